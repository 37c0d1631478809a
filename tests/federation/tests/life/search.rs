//! Looking for secrets in text, however they are written there.
use super::{harvest::Secret, places::Place};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use std::collections::BTreeSet;

/// What is looked for: by name, in each form.
pub struct Search(Vec<(String, BTreeSet<String>)>);

impl Search {
    /// For all of these.
    pub fn of(secrets: &[Secret]) -> Self {
        Self(secrets.iter().map(|s| (s.what.clone(), forms(&s.text))).collect())
    }

    /// What was found where.
    pub fn found(&self, places: &[Place]) -> Vec<String> {
        let mut found = Vec::new();
        for (place, text) in places {
            let text = String::from_utf8_lossy(text);
            let there = self
                .0
                .iter()
                .filter(|(_, forms)| forms.iter().any(|form| text.contains(form)));
            found.extend(there.map(|(what, _)| format!("{place}: {what}")));
        }
        found
    }

    /// # Panics
    /// Something was found.
    pub fn assert_none(&self, places: &[Place]) {
        let found = self.found(places);
        assert!(found.is_empty(), "secrets were found: {found:#?}");
    }

    /// A search that cannot find is none: each form of each secret is found between other things.
    ///
    /// # Panics
    /// One is overlooked.
    pub fn assert_it_finds(&self, secrets: &[Secret]) {
        for Secret { what, text } in secrets {
            let basic = |before: &str| STANDARD_NO_PAD.encode(format!("{before}{text} and more"));
            for planted in [
                format!("{{\"why\":\"{text}\"}}"),
                basic("a"),
                basic("ab"),
                basic("abc"),
                URL_SAFE_NO_PAD.encode(format!("x{text}")),
                format!("GET /v1/x?y={} HTTP/1.1", percent(text, |_| false)),
            ] {
                let found = self.found(&[("here".into(), planted.into_bytes())]);
                let it = format!("here: {what}");
                assert!(found.contains(&it), "{what} is overlooked");
            }
        }
    }
}

/// As it is, in base64 at whatever place of a longer text, percent-encoded, in hexadecimal.
fn forms(secret: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([
        secret.to_owned(),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        percent(secret, |_| false),
        percent(secret, |byte| byte.is_ascii_alphanumeric()),
        percent(secret, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
    ]);
    for (before, first) in [("", 0), ("x", 2), ("xx", 3)] {
        let text = format!("{before}{secret}");
        for written in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            // Characters at both ends are also of what stands beside it.
            found.insert(written[first..text.len() / 3 * 4].to_owned());
        }
    }
    found
}

fn percent(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let letter = |byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}
