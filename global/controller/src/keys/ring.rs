//! The keys that sign users' tokens, chosen by their dates: published before they sign, kept until their last token is dead.
use exarch_common_base::KeyId;
use exarch_common_crypto::sign::{PublicKey, SigningKey};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// One of them.
#[derive(Debug)]
pub struct UserKey {
    /// Its id; as text, the `kid` of its tokens.
    pub id: KeyId,
    /// The key itself, on P-256.
    pub key: SigningKey,
    /// From when it may sign.
    pub signs_from: OffsetDateTime,
    /// From when its tokens are worth nothing; nothing while it is in use.
    pub retired_at: Option<OffsetDateTime>,
}

impl UserKey {
    /// As tokens name it.
    pub fn kid(&self) -> String {
        self.id.to_string()
    }

    fn alive(&self, now: OffsetDateTime) -> bool {
        self.retired_at.is_none_or(|end| now < end)
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Ring(Vec<Arc<UserKey>>);

/// What is to be done about the ring.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing now.
    Nothing,
    /// Publish a new key, which signs from this moment on.
    Publish {
        /// When every verifier has had time to learn of it.
        signs_from: OffsetDateTime,
    },
    /// Let these keys, which no longer sign, end at this moment.
    Retire {
        /// Which.
        keys: Vec<KeyId>,
        /// When the last token that they signed is dead.
        at: OffsetDateTime,
    },
}

/// How long a key is known before it signs: longer than a region is without a fresh passport before it says so.
pub const PUBLISHED_AHEAD: Duration = Duration::hours(1);

impl Ring {
    /// In any order.
    pub fn new(keys: impl IntoIterator<Item = UserKey>) -> Self {
        let mut keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        keys.sort_by_key(|key| (key.signs_from, key.id));
        Self(keys)
    }

    /// The newest key whose time has come.
    pub fn signer(&self, now: OffsetDateTime) -> Option<&Arc<UserKey>> {
        self.0.iter().rfind(|key| key.signs_from <= now && key.alive(now))
    }

    /// What verifies tokens of key `kid`, unless that key is retired or none of ours.
    pub fn verifier(&self, kid: &str, now: OffsetDateTime) -> Option<PublicKey> {
        self.published(now)
            .find(|key| key.kid() == kid)
            .map(|key| key.key.public())
    }

    /// The keys that verify at `now`, those that do not sign yet among them.
    pub fn published(&self, now: OffsetDateTime) -> impl Iterator<Item = &Arc<UserKey>> {
        self.0.iter().filter(move |key| key.alive(now))
    }

    /// What a pass over the ring should do: one thing at a time. `rotation` is how long a key signs, `token_life` how long
    /// its last token lives, skew included.
    pub fn due(&self, now: OffsetDateTime, rotation: Duration, token_life: Duration) -> Due {
        let Some(newest) = self.0.last() else {
            return Due::Nothing;
        };
        if newest.signs_from + rotation - PUBLISHED_AHEAD <= now {
            return Due::Publish {
                signs_from: now + PUBLISHED_AHEAD,
            };
        }
        let Some(signer) = self.signer(now) else {
            return Due::Nothing;
        };
        let past = self
            .0
            .iter()
            .filter(|key| key.signs_from < signer.signs_from && key.retired_at.is_none());
        let keys: Vec<_> = past.map(|key| key.id).collect();
        if keys.is_empty() {
            return Due::Nothing;
        }
        Due::Retire {
            keys,
            at: now + token_life,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_crypto::sign::Algorithm;
    use proptest::prelude::*;
    use time::macros::datetime;
    use uuid::Uuid;

    const T0: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);
    const ROTATION: Duration = Duration::days(90);
    const LIFE: Duration = Duration::minutes(16);

    fn key(n: u128, signs_from: OffsetDateTime, retired_at: Option<OffsetDateTime>) -> UserKey {
        UserKey {
            id: Uuid::from_u128(n).into(),
            key: SigningKey::generate(Algorithm::Es256).unwrap(),
            signs_from,
            retired_at,
        }
    }

    fn signer(ring: &Ring, now: OffsetDateTime) -> Option<u128> {
        ring.signer(now).map(|key| key.id.uuid().as_u128())
    }

    #[test]
    fn the_newest_key_whose_time_has_come_signs_and_a_published_one_verifies_before() {
        let later = T0 + Duration::days(1);
        let ring = Ring::new([key(2, later, None), key(1, T0, None)]);
        assert_eq!(signer(&ring, T0 - Duration::SECOND), None);
        assert_eq!(signer(&ring, T0), Some(1));
        assert_eq!(signer(&ring, later - Duration::SECOND), Some(1));
        assert_eq!(signer(&ring, later), Some(2));
        let second = KeyId::from(Uuid::from_u128(2)).to_string();
        assert!(ring.verifier(&second, T0).is_some());
        assert!(ring.verifier("key_0", T0).is_none());
    }

    #[test]
    fn a_retired_key_neither_signs_nor_verifies() {
        let ring = Ring::new([key(1, T0, Some(T0 + Duration::HOUR))]);
        let kid = KeyId::from(Uuid::from_u128(1)).to_string();
        assert!(ring.verifier(&kid, T0 + Duration::minutes(59)).is_some());
        assert!(ring.verifier(&kid, T0 + Duration::HOUR).is_none());
        assert_eq!(signer(&ring, T0 + Duration::HOUR), None);
    }

    #[test]
    fn a_rotation_publishes_first_then_signs_then_retires() {
        let end = T0 + ROTATION;
        let ring = Ring::new([key(1, T0, None)]);
        assert_eq!(
            ring.due(end - PUBLISHED_AHEAD - Duration::SECOND, ROTATION, LIFE),
            Due::Nothing
        );
        assert_eq!(
            ring.due(end - PUBLISHED_AHEAD, ROTATION, LIFE),
            Due::Publish { signs_from: end }
        );
        let ring = Ring::new([key(1, T0, None), key(2, end, None)]);
        assert_eq!(ring.due(end - Duration::SECOND, ROTATION, LIFE), Due::Nothing);
        let first = Uuid::from_u128(1).into();
        let retire = Due::Retire {
            keys: vec![first],
            at: end + LIFE,
        };
        assert_eq!(ring.due(end, ROTATION, LIFE), retire);
        let ring = Ring::new([key(1, T0, Some(end + LIFE)), key(2, end, None)]);
        assert_eq!(ring.due(end, ROTATION, LIFE), Due::Nothing);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Passes at any times, each of which does what is due: a token verifies for all of its life.
        #[test]
        fn rotation_never_yields_a_401(steps in proptest::collection::vec(1i64..400, 1..24)) {
            let mut keys = vec![(1u128, T0, None)];
            let mut now = T0;
            let mut signed: Vec<(String, OffsetDateTime)> = Vec::new();
            let ring_of = |keys: &[(u128, OffsetDateTime, Option<OffsetDateTime>)]| {
                Ring::new(keys.iter().map(|&(n, from, retired)| key(n, from, retired)))
            };
            for hours in steps {
                now += Duration::hours(hours);
                let ring = ring_of(&keys);
                let signer = ring.signer(now);
                prop_assert!(signer.is_some());
                if let Some(signer) = signer {
                    signed.push((signer.kid(), now + LIFE));
                }
                for (kid, dead) in &signed {
                    prop_assert!(now >= *dead || ring.verifier(kid, now).is_some());
                }
                match ring.due(now, ROTATION, LIFE) {
                    Due::Nothing => {}
                    Due::Publish { signs_from } => {
                        prop_assert!(signs_from >= now + PUBLISHED_AHEAD);
                        keys.push((keys.len() as u128 + 1, signs_from, None));
                    }
                    Due::Retire { keys: which, at } => {
                        for key in &mut keys {
                            if which.contains(&Uuid::from_u128(key.0).into()) {
                                key.2 = Some(at);
                            }
                        }
                    }
                }
            }
        }
    }
}
