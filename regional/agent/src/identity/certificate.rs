//! The certificate: when it is renewed, and whether a new one may take its place. Pure.
use super::state::Identity;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_crypto::{
    pki::{Peer, PkiError},
    sign::SigningKey,
    tls,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// Why a certificate is not used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// What lies in the state directory cannot be read.
    #[error("the certificate in the state directory is damaged; enrol this host again")]
    Damaged,
    /// What the gateway sent is none, or was not made by the region's authority.
    #[error("the certificate that the gateway sent cannot be used: {0}")]
    Unusable(#[from] PkiError),
    /// What the gateway sent is for something else.
    #[error("the certificate that the gateway sent {0}")]
    Other(&'static str),
}

/// A certificate of this agent, and what it was made by.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    authority: Vec<u8>,
    peer: Peer,
}

impl Certificate {
    /// The one of an identity.
    ///
    /// # Errors
    /// [`CertificateError::Damaged`].
    pub fn of(identity: &Identity) -> Result<Self, CertificateError> {
        let der = |text: &str| B64.decode(text).map_err(|_| CertificateError::Damaged);
        let (der, authority) = (der(&identity.certificate)?, der(&identity.agent_ca)?);
        let peer = Peer::read(&der).map_err(|_| CertificateError::Damaged)?;
        Ok(Self { der, authority, peer })
    }

    /// The one that takes its place: for the same key and name, by the same authority, and good for longer. It is looked at
    /// as a gateway would before the old one is given up.
    ///
    /// # Errors
    /// [`CertificateError`]; the old one stays.
    pub fn followed_by(&self, text: &str, now: OffsetDateTime) -> Result<Self, CertificateError> {
        let other = |what| Err(CertificateError::Other(what));
        let Ok(der) = B64.decode(text) else {
            return other("is not base64url");
        };
        let peer = Peer::read(&der)?;
        if peer.public_key != self.peer.public_key {
            return other("is for another key");
        }
        if peer.identity().is_none() || peer.identity() != self.peer.identity() {
            return other("is for another agent");
        }
        if peer.not_after <= self.peer.not_after {
            return other("is good for no longer than the one before");
        }
        // Our clock may be behind the gateway's; which authority made it does not depend on that.
        let then = now.clamp(peer.not_before, peer.not_after);
        tls::check_client(std::slice::from_ref(&self.authority), &der, then)?;
        Ok(Self {
            der,
            authority: self.authority.clone(),
            peer,
        })
    }

    /// When another one is to be asked for: after a third of its life.
    pub fn due_at(&self) -> OffsetDateTime {
        self.peer.not_before + (self.peer.not_after - self.peer.not_before) / 3
    }

    /// Whether that moment has come.
    pub fn is_due(&self, now: OffsetDateTime) -> bool {
        now >= self.due_at()
    }

    /// Whether its time is over: all that is left to it is to be renewed.
    pub fn is_over(&self, now: OffsetDateTime) -> bool {
        now >= self.peer.not_after
    }

    /// How long until another one is to be asked for.
    pub fn until_due(&self, now: OffsetDateTime) -> Duration {
        (self.due_at() - now).max(Duration::ZERO)
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        B64.encode(&self.der)
    }

    /// What made it, DER: the authority of the gateway's listener as well.
    pub fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// What is shown to the gateway.
    pub fn shown_with(&self, key: &SigningKey) -> tls::Identity {
        tls::Identity {
            chain: vec![self.der.clone(), self.authority.clone()],
            key: Zeroizing::new(key.pkcs8().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::{AgentId, Ambient};
    use exarch_common_crypto::{
        pki::{self, Ca},
        sign::Algorithm,
    };
    use exarch_common_wire::names;
    use proptest::prelude::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    struct Region {
        ca: Ca,
        key: SigningKey,
        agent: AgentId,
    }

    fn key() -> SigningKey {
        SigningKey::generate(Algorithm::Es384).unwrap()
    }

    fn at(now: OffsetDateTime) -> Ambient {
        Ambient::manual(now, now.unix_timestamp().unsigned_abs()).0
    }

    impl Region {
        fn new() -> Self {
            exarch_common_crypto::init().unwrap();
            Self {
                ca: Ca::create(&at(NOW - Duration::DAY), "agents", &key(), Duration::days(730)).unwrap(),
                key: key(),
                agent: at(NOW).id(),
            }
        }

        fn issue(&self, ca: &Ca, key: &SigningKey, agent: AgentId, now: OffsetDateTime, life: Duration) -> String {
            let uri = names::agent_uri(Ambient::manual(NOW, 7).0.id(), agent);
            let issued = ca.issue_client(&at(now), &pki::request(key).unwrap(), &uri, life);
            B64.encode(issued.unwrap().der)
        }

        fn mine(&self, now: OffsetDateTime) -> String {
            self.issue(&self.ca, &self.key, self.agent, now, Duration::days(7))
        }

        fn identity(&self) -> Identity {
            Identity {
                gateway: "https://localhost:1".into(),
                other_gateways: Vec::new(),
                region: Ambient::manual(NOW, 7).0.id(),
                tenant: at(NOW).id(),
                cluster: at(NOW).id(),
                agent: self.agent,
                name: "edge-1".into(),
                certificate: self.mine(NOW),
                agent_ca: B64.encode(self.ca.der()),
                grant_keys: Vec::new(),
            }
        }
    }

    #[test]
    fn a_certificate_of_seven_days_is_renewed_after_a_third_of_them() {
        let certificate = Certificate::of(&Region::new().identity()).unwrap();
        let (just_before, due) = (NOW + Duration::hours(55), NOW + Duration::hours(56));
        assert!(!certificate.is_due(just_before) && certificate.is_due(due));
        assert!(!certificate.is_over(NOW + Duration::hours(167)) && certificate.is_over(NOW + Duration::days(7)));
        assert_eq!(certificate.until_due(due), Duration::ZERO);
        assert!(certificate.until_due(NOW) > Duration::hours(55));
    }

    #[test]
    fn only_a_later_one_for_this_key_and_agent_by_this_authority_takes_its_place() {
        let region = Region::new();
        let first = Certificate::of(&region.identity()).unwrap();
        let later = NOW + Duration::days(3);
        let sent = region.mine(later);
        let next = first.followed_by(&sent, later).unwrap();
        assert!(next.due_at() > first.due_at());
        assert_eq!(next.text(), sent);
        let foreign = Ca::create(&at(NOW), "agents", &key(), Duration::days(730)).unwrap();
        let week = Duration::days(7);
        for (what, text) in [
            (
                "another key",
                region.issue(&region.ca, &key(), region.agent, later, week),
            ),
            (
                "another agent",
                region.issue(&region.ca, &region.key, at(later).id(), later, week),
            ),
            (
                "another authority",
                region.issue(&foreign, &region.key, region.agent, later, week),
            ),
            ("no longer", region.mine(NOW)),
            ("no certificate", B64.encode("x")),
            ("no text", "%".to_owned()),
        ] {
            assert!(first.followed_by(&text, later).is_err(), "{what}");
        }
    }

    #[test]
    fn a_clock_that_is_behind_the_gateways_does_not_stop_a_renewal() {
        let region = Region::new();
        let first = Certificate::of(&region.identity()).unwrap();
        let later = NOW + Duration::days(3);
        assert!(
            first
                .followed_by(&region.mine(later), later - Duration::minutes(20))
                .is_ok()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whoever asks when it is due has two thirds of its life left to get an answer.
        #[test]
        fn it_is_due_long_before_it_is_over(life in 60i64..30 * 86_400) {
            let region = Region::new();
            let mut identity = region.identity();
            identity.certificate = region.issue(&region.ca, &region.key, region.agent, NOW, Duration::seconds(life));
            let certificate = Certificate::of(&identity).unwrap();
            let due = certificate.due_at();
            prop_assert!(certificate.is_due(due) && !certificate.is_over(due));
            let over = NOW + Duration::seconds(life);
            prop_assert!(certificate.is_over(over));
            prop_assert!(over - due >= Duration::seconds(life) * 2 / 3 - Duration::SECOND);
        }
    }
}
