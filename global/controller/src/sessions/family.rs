//! Refresh tokens: a family for each session, numbered, each used once.
//!
//! Token *n* is a MAC over family and *n* under the family's own key, so none is stored and the successor can be given again
//! to a client that did not receive it. What happens to a token that comes back is decided here.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use exarch_common_crypto::mac;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const PREFIX: &str = "exr_";

/// A refresh token, read and not yet verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Which family it says it is of.
    pub family: Uuid,
    /// Which number.
    pub number: u32,
    mac: [u8; 32],
}

impl Presented {
    /// Reads `exr_` and base64url of family, number and MAC; nothing for any other text.
    pub fn read(token: &str) -> Option<Self> {
        let raw = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let raw: [u8; 52] = raw.try_into().ok()?;
        let (family, rest) = raw.split_at(16);
        let (number, mac) = rest.split_at(4);
        Some(Self {
            family: Uuid::from_slice(family).ok()?,
            number: u32::from_be_bytes(number.try_into().ok()?),
            mac: mac.try_into().ok()?,
        })
    }

    /// Whether it was made under the family's key.
    pub fn is_of(&self, key: &[u8; 32]) -> bool {
        mac::equal(&tag(key, self.family, self.number), &self.mac)
    }
}

/// The token number `number` of `family`, under the family's key.
pub fn token(key: &[u8; 32], family: Uuid, number: u32) -> String {
    let mut raw = Vec::with_capacity(52);
    raw.extend_from_slice(family.as_bytes());
    raw.extend_from_slice(&number.to_be_bytes());
    raw.extend_from_slice(&tag(key, family, number));
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(raw))
}

fn tag(key: &[u8; 32], family: Uuid, number: u32) -> [u8; 32] {
    let mut message = *b"exarch refresh v1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    message[17..33].copy_from_slice(family.as_bytes());
    message[33..].copy_from_slice(&number.to_be_bytes());
    mac::hmac_sha256(key, &message)
}

/// How far a family has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The number of the token that was given last.
    pub number: u32,
    /// When, and by which client, the one before it was used.
    pub rotated: Option<(OffsetDateTime, [u8; 32])>,
    /// Until when the last token may be used.
    pub expires_at: OffsetDateTime,
    /// Whether it was ended.
    pub revoked: bool,
}

/// What to do with a token that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is the last one: give the next.
    Rotate,
    /// It was used a moment ago by the same client: give the same pair again.
    Again,
    /// It was used before: somebody has a copy. The family ends.
    Reused,
    /// It is worth nothing.
    Dead,
}

impl Family {
    /// Decides about token `number`, whose MAC was verified.
    pub fn present(&self, number: u32, client: &[u8; 32], now: OffsetDateTime, grace: Duration) -> Use {
        if self.revoked || number > self.number {
            return Use::Dead;
        }
        if number == self.number {
            return if now < self.expires_at { Use::Rotate } else { Use::Dead };
        }
        match &self.rotated {
            Some((at, by)) if number + 1 == self.number && by == client && now < *at + grace => Use::Again,
            _ => Use::Reused,
        }
    }

    /// After [`Use::Rotate`]: the next token was given to `client`.
    #[must_use]
    pub fn rotate(self, client: [u8; 32], now: OffsetDateTime, expires_at: OffsetDateTime) -> Self {
        Self {
            number: self.number + 1,
            rotated: Some((now, client)),
            expires_at,
            revoked: self.revoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const T0: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);
    const GRACE: Duration = Duration::seconds(10);
    const ME: [u8; 32] = [1; 32];
    const OTHER: [u8; 32] = [2; 32];

    fn fresh() -> Family {
        Family {
            number: 1,
            rotated: None,
            expires_at: T0 + Duration::days(7),
            revoked: false,
        }
    }

    fn used(at: OffsetDateTime) -> Family {
        fresh().rotate(ME, at, at + Duration::days(7))
    }

    #[test]
    fn a_token_reads_back_and_only_under_its_familys_key() {
        let (key, family) = ([7; 32], Uuid::from_u128(9));
        let read = Presented::read(&token(&key, family, 3)).unwrap();
        assert_eq!((read.family, read.number), (family, 3));
        assert!(read.is_of(&key) && !read.is_of(&[8; 32]));
        let next = Presented { number: 4, ..read };
        assert!(!next.is_of(&key), "a number cannot be raised");
        let elsewhere = Presented {
            family: Uuid::from_u128(8),
            ..read
        };
        assert!(!elsewhere.is_of(&key));
        for text in ["", "exr_", "exr_AAAA", "sk_AAAA"] {
            assert_eq!(Presented::read(text), None);
        }
    }

    #[test]
    fn the_last_token_rotates_once_and_then_gives_the_same_within_the_grace_to_the_same_client() {
        assert_eq!(fresh().present(1, &ME, T0, GRACE), Use::Rotate);
        let family = used(T0);
        assert_eq!(family.present(1, &ME, T0, GRACE), Use::Again);
        assert_eq!(family.present(1, &ME, T0 + GRACE - Duration::SECOND, GRACE), Use::Again);
        assert_eq!(family.present(1, &ME, T0 + GRACE, GRACE), Use::Reused);
        assert_eq!(family.present(1, &OTHER, T0, GRACE), Use::Reused);
        assert_eq!(family.present(2, &ME, T0, GRACE), Use::Rotate);
    }

    #[test]
    fn a_token_two_back_is_reuse_also_within_the_grace() {
        let family = used(T0).rotate(ME, T0, T0 + Duration::days(7));
        assert_eq!(family.present(1, &ME, T0, GRACE), Use::Reused);
        assert_eq!(family.present(2, &ME, T0, GRACE), Use::Again);
    }

    #[test]
    fn a_revoked_family_and_an_expired_token_are_dead() {
        let revoked = Family {
            revoked: true,
            ..used(T0)
        };
        for number in 1..=3 {
            assert_eq!(revoked.present(number, &ME, T0, GRACE), Use::Dead);
        }
        assert_eq!(fresh().present(1, &ME, T0 + Duration::days(7), GRACE), Use::Dead);
        assert_eq!(fresh().present(2, &ME, T0, GRACE), Use::Dead);
    }

    proptest! {
        /// Any client, any old token, at any time: no number is ever given twice to different uses.
        #[test]
        fn a_number_is_made_once(steps in proptest::collection::vec((0u32..4, 0i64..20, any::<bool>()), 1..40)) {
            let (mut family, mut now, mut highest) = (fresh(), T0, 1);
            for (back, seconds, mine) in steps {
                now += Duration::seconds(seconds);
                let number = family.number.saturating_sub(back).max(1);
                let client = if mine { ME } else { OTHER };
                match family.present(number, &client, now, GRACE) {
                    Use::Rotate => {
                        family = family.rotate(client, now, now + Duration::days(7));
                        prop_assert_eq!(family.number, highest + 1);
                        highest = family.number;
                    }
                    Use::Again => {
                        let (at, by) = family.rotated.unwrap_or((T0, [0; 32]));
                        prop_assert_eq!(number + 1, family.number);
                        prop_assert!(now - at < GRACE && by == client);
                    }
                    Use::Reused => family.revoked = true,
                    Use::Dead => prop_assert!(family.revoked),
                }
                prop_assert!(!family.revoked || family.present(family.number, &ME, now, GRACE) == Use::Dead);
            }
        }
    }
}
