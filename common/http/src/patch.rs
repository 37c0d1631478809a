//! Members of a PATCH (RFC 7396): what is absent stays as it is, `null` takes a value away.
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;

/// One member; give it `#[serde(default)]`, since absent is what it is by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// As it is.
    #[default]
    Keep,
    /// `null`: none any more.
    Clear,
    /// This instead.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(d)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Patch<T> {
    /// What there is after the change.
    pub fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The same of another kind.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(f(value)),
        }
    }
}

/// A time as it is written in JSON: RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Timestamp(#[serde(with = "time::serde::rfc3339")] pub OffsetDateTime);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[derive(Debug, Deserialize)]
    struct Change {
        #[serde(default)]
        until: Patch<Timestamp>,
    }

    #[test]
    fn absent_keeps_null_takes_away_and_a_value_replaces() {
        let before = Some(OffsetDateTime::UNIX_EPOCH);
        let after = |body: &str| {
            let change: Change = parse(body.as_bytes()).unwrap();
            change.until.map(|at| at.0).over(before)
        };
        assert_eq!(after("{}"), before);
        assert_eq!(after(r#"{"until":null}"#), None);
        let set = after(r#"{"until":"1970-01-01T00:00:01Z"}"#);
        assert_eq!(set, Some(OffsetDateTime::UNIX_EPOCH + time::Duration::SECOND));
        assert_eq!(parse::<Change>(br#"{"until":"soon"}"#).unwrap_err().status(), 422);
        assert_eq!(parse::<Change>(br#"{"till":null}"#).unwrap_err().status(), 422);
    }
}
