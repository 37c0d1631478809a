//! Join tokens: 256 bits, shown once, kept as a hash, good once and for a quarter of an hour.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, SecretString};
use exarch_common_crypto::hash::sha256;
use time::{Duration, OffsetDateTime};

/// How long a token is good.
pub const LIFE: Duration = Duration::minutes(15);
/// For how long after its use the same gateway is answered again, as long as it has not shown that it heard the answer.
const REPEAT: Duration = Duration::minutes(15);
const PREFIX: &str = "exj_";

/// A new token: what is shown once, and the hash that is kept.
pub fn generate(ambient: &Ambient) -> (SecretString, [u8; 32]) {
    let text = format!("{PREFIX}{}", B64.encode(ambient.bytes::<32>()));
    let hash = sha256(text.as_bytes());
    (text.into(), hash)
}

/// The hash under which a presented token is looked up; none when it cannot be one of ours.
pub fn hash(presented: &str) -> Option<[u8; 32]> {
    let secret = B64.decode(presented.strip_prefix(PREFIX)?).ok()?;
    (secret.len() == 32).then(|| sha256(presented.as_bytes()))
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// Until when it is good.
    pub expires_at: OffsetDateTime,
    /// When another one took its place.
    pub superseded_at: Option<OffsetDateTime>,
    /// When it was used, and from which address.
    pub used: Option<(OffsetDateTime, String)>,
}

/// Why a known token does not let anybody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was used before.
    #[error("This join token was used at {0} from {1}; if that was not you, tell whoever registered the region.")]
    Used(String, String),
    /// A newer one took its place.
    #[error("This join token was replaced by a newer one at {0}; use that one.")]
    Superseded(String),
    /// Too late.
    #[error("This join token expired at {0}; ask for a new one with `exarch region join-token`.")]
    Expired(String),
}

impl JoinToken {
    /// Whether it lets a gateway in at `now`.
    ///
    /// # Errors
    /// [`Refusal`], with its story. A use is told first: it is what its owner must know.
    pub fn check(&self, now: OffsetDateTime) -> Result<(), Refusal> {
        if let Some((at, from)) = &self.used {
            return Err(Refusal::Used(rfc3339(*at), from.clone()));
        }
        if let Some(at) = self.superseded_at {
            return Err(Refusal::Superseded(rfc3339(at)));
        }
        if now >= self.expires_at {
            return Err(Refusal::Expired(rfc3339(self.expires_at)));
        }
        Ok(())
    }

    /// Whether the answer to its use may be given once more at `now`: it can have been lost on its way.
    pub fn answers_again(&self, now: OffsetDateTime) -> bool {
        self.used.as_ref().is_some_and(|(at, _)| now - *at < REPEAT)
    }
}

fn rfc3339(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).expect("zero is less than a second");
    whole
        .format(&time::format_description::well_known::Rfc3339)
        .expect("a year of four digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::ExposeSecret;
    use time::macros::datetime;

    const EXPIRES: OffsetDateTime = datetime!(2026-01-01 12:15 UTC);

    fn fresh() -> JoinToken {
        JoinToken {
            expires_at: EXPIRES,
            superseded_at: None,
            used: None,
        }
    }

    #[test]
    fn a_token_is_found_by_its_hash_and_what_is_no_token_is_not_looked_up() {
        let (text, kept) = generate(&Ambient::system());
        assert_eq!(hash(text.expose_secret()), Some(kept));
        for other in ["", "exj_", "exj_AAAA", &text.expose_secret()[4..], "exb_AAAA"] {
            assert_eq!(hash(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_is_good_until_its_very_end() {
        assert_eq!(fresh().check(EXPIRES - Duration::SECOND), Ok(()));
        assert!(matches!(fresh().check(EXPIRES), Err(Refusal::Expired(_))));
    }

    #[test]
    fn a_used_token_tells_when_and_from_where_also_when_it_is_expired_by_now() {
        let token = JoinToken {
            used: Some((datetime!(2026-01-01 12:03:04.5 UTC), "192.0.2.7".into())),
            ..fresh()
        };
        let told = token.check(EXPIRES + Duration::DAY).unwrap_err().to_string();
        assert!(
            told.contains("2026-01-01T12:03:04Z") && told.contains("192.0.2.7"),
            "{told}"
        );
    }

    #[test]
    fn only_a_used_token_is_answered_again_and_not_for_long() {
        let at = datetime!(2026-01-01 12:03 UTC);
        let used = JoinToken {
            used: Some((at, "192.0.2.7".into())),
            ..fresh()
        };
        assert!(used.answers_again(at) && used.answers_again(at + REPEAT - Duration::SECOND));
        assert!(!used.answers_again(at + REPEAT));
        assert!(!fresh().answers_again(at));
    }

    #[test]
    fn a_replaced_token_is_refused() {
        let token = JoinToken {
            superseded_at: Some(datetime!(2026-01-01 12:01 UTC)),
            ..fresh()
        };
        assert!(matches!(
            token.check(datetime!(2026-01-01 12:02 UTC)),
            Err(Refusal::Superseded(_))
        ));
    }
}
