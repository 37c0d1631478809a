//! An API key in the place of a person: for software, which nobody signs in.
use crate::Failure;
use exarch_common_base::SecretString;
use std::{
    io::{self, BufRead, Read},
    path::Path,
};

/// Bytes of a line at most.
const LONGEST: u64 = 1024;

/// A key and the server that knows it.
#[derive(Clone, Debug)]
pub enum ByKey {
    /// A federated one: at the global it gets tokens for regions.
    AtGlobal(String, SecretString),
    /// A regional one: in its region it is shown itself.
    InRegion(String, SecretString),
}

impl ByKey {
    /// Reads the secret from a file, or from standard input for `-`. The server is one of the two.
    ///
    /// # Errors
    /// The file cannot be read or holds no key, or it is not clear which server is meant.
    pub fn read(file: &Path, global: Option<&str>, region: Option<&str>) -> Result<Self, Failure> {
        let text = if file == Path::new("-") {
            let mut line = String::new();
            io::stdin().lock().take(LONGEST).read_line(&mut line).map(|_| line)
        } else {
            std::fs::read_to_string(file)
        };
        let text = text.map_err(|e| Failure::Usage(format!("The file {} cannot be read: {e}.", file.display())))?;
        let secret = text.trim_end_matches(['\r', '\n']);
        // What else it holds may be another secret: it is not sent anywhere.
        if !secret.starts_with("sk_") || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Failure::Usage(format!("The file {} holds no API key.", file.display())));
        }
        let secret = SecretString::from(secret);
        match (global, region) {
            (Some(url), None) => Ok(Self::AtGlobal(url.to_owned(), secret)),
            (None, Some(url)) => Ok(Self::InRegion(url.to_owned(), secret)),
            _ => Err(Failure::Usage(
                "Say where the API key is known: --global-url for a federated one, --region-url for a regional one."
                    .into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::ExposeSecret;

    #[test]
    fn a_key_comes_from_a_file_for_one_server_and_nothing_else_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let (global, region) = (Some("https://g"), Some("https://r"));
        std::fs::write(&file, "sk_1_x\n").unwrap();
        match ByKey::read(&file, None, region).unwrap() {
            ByKey::InRegion(url, secret) => {
                assert_eq!((url.as_str(), secret.expose_secret()), ("https://r", "sk_1_x"));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(ByKey::read(&file, global, None), Ok(ByKey::AtGlobal(..))));
        for (global, region) in [(None, None), (global, region)] {
            assert!(matches!(ByKey::read(&file, global, region), Err(Failure::Usage(_))));
        }
        for wrong in ["", "exr_1", "sk_1_x\nsk_2_y", "hunter2"] {
            std::fs::write(&file, wrong).unwrap();
            let refused = ByKey::read(&file, global, None).unwrap_err().to_string();
            assert!(wrong.is_empty() || !refused.contains(wrong), "{refused}");
        }
        assert!(ByKey::read(&dir.path().join("none"), global, None).is_err());
    }
}
