//! Addresses by which people sign in.
use serde::{Deserialize, Deserializer};
use std::fmt;

/// An address in its one spelling: lower case, no white space at the ends. Compared by its blind index; stored sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an e-mail address of at most 254 characters")]
pub struct EmailError;

impl Email {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        // Whether mail arrives there only mail can tell; this keeps out what is certainly none.
        let text = text.trim().to_lowercase();
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let good = (1..=64).contains(&local.len())
            && (1..=253).contains(&domain.len())
            && text.len() <= 254
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !local.contains('@');
        good.then_some(Self(text)).ok_or(EmailError)
    }
}

impl fmt::Debug for Email {
    /// An address is personal data: it does not get into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_address_are_one_and_other_texts_none() {
        let email: Email = " Ada@Example.ORG ".parse().unwrap();
        assert_eq!(email.as_str(), "ada@example.org");
        assert_eq!(format!("{email:?}"), "Email");
        for bad in ["", "ada", "@x", "ada@", "a b@x", "a@b@c", "a@.x", "a@x.", "a\0@x"] {
            assert_eq!(bad.parse::<Email>(), Err(EmailError), "{bad:?}");
        }
        assert!(format!("{}@x.org", "a".repeat(65)).parse::<Email>().is_err());
    }

    proptest! {
        #[test]
        fn an_address_reads_back_as_itself(text in "\\PC{0,40}@\\PC{0,40}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse::<Email>(), Ok(email));
            }
        }
    }
}
