//! The secret of an API key: `sk_<id>_<secret>`, shown once. Whoever judges it keeps only the SHA-256 of its 256 bits.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, ExposeSecret, KeyId, SecretBox, SecretString};
use exarch_common_crypto::{hash::sha256, mac};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, net::IpAddr, str::FromStr};

/// How every one begins; no other credential does.
pub const PREFIX: &str = "sk_";

/// A secret as it is presented.
pub struct ApiKey {
    /// Which key it says it is.
    pub id: KeyId,
    secret: SecretBox<[u8; 32]>,
}

impl ApiKey {
    /// Another secret for a key.
    pub fn generate(ambient: &Ambient, id: KeyId) -> Self {
        Self {
            id,
            secret: SecretBox::new(Box::new(ambient.bytes())),
        }
    }

    /// Reads what was presented; nothing where it is not of the form. There is one spelling of each.
    pub fn read(presented: &str) -> Option<Self> {
        let (id, secret) = presented.strip_prefix(PREFIX)?.split_once('_')?;
        Some(Self {
            id: format!("key_{id}").parse().ok()?,
            secret: SecretBox::new(Box::new(B64.decode(secret).ok()?.try_into().ok()?)),
        })
    }

    /// As it is shown, once.
    pub fn text(&self) -> SecretString {
        let id = self.id.uuid().simple();
        format!("{PREFIX}{id}_{}", B64.encode(self.secret.expose_secret())).into()
    }

    /// What is kept of it.
    pub fn verifier(&self) -> Verifier {
        Verifier(sha256(self.secret.expose_secret()))
    }

    /// Whether it is the secret of which this was kept; in time that does not depend on the answer.
    pub fn matches(&self, verifier: &Verifier) -> bool {
        mac::equal(&self.verifier().0, &verifier.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.id)
    }
}

/// The SHA-256 of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier(pub [u8; 32]);

impl Serialize for Verifier {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&B64.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Verifier {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes = B64.decode(String::deserialize(d)?).ok();
        let digest = bytes.and_then(|bytes| bytes.try_into().ok());
        digest
            .map(Self)
            .ok_or_else(|| D::Error::custom("no SHA-256 in base64url"))
    }
}

/// Addresses that begin alike: `192.0.2.0/24`, `2001:db8::/32`; a whole address is one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr(IpNet);

/// A text that is no [`Cidr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// It is of another form.
    #[error("is no address range, such as 192.0.2.0/24 or 2001:db8::/32")]
    Form,
    /// It says more than the prefix covers: one of the two is wrong.
    #[error("has bits behind its prefix")]
    Behind,
}

impl Cidr {
    /// Whether an address is in it. An IPv4 address in the clothes of an IPv6 one counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let whole = || text.parse::<IpAddr>().map(IpNet::from).map_err(|_| CidrError::Form);
        let net = text.parse().or_else(|_| whole())?;
        match net {
            // Nobody comes from there: addresses of this kind are judged as IPv4.
            IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => Err(CidrError::Form),
            net if net.trunc() != net => Err(CidrError::Behind),
            net => Ok(Self(net)),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a key that names these ranges may be used from there; one that names none, from anywhere.
pub fn admits(cidrs: &[Cidr], address: Option<IpAddr>) -> bool {
    cidrs.is_empty() || address.is_some_and(|address| cidrs.iter().any(|cidr| cidr.contains(address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> ApiKey {
        let ambient = Ambient::system();
        ApiKey::generate(&ambient, ambient.id())
    }

    #[test]
    fn a_secret_comes_back_from_its_text_and_is_the_only_one_that_matches() {
        let (one, other) = (key(), key());
        let text = one.text();
        let read = ApiKey::read(text.expose_secret()).unwrap();
        assert_eq!(read.id, one.id);
        assert!(read.matches(&one.verifier()));
        assert!(!read.matches(&other.verifier()));
        assert!(!format!("{read:?}").contains(text.expose_secret().rsplit('_').next().unwrap()));
    }

    #[test]
    fn there_is_one_spelling() {
        let text = key().text().expose_secret().to_owned();
        let (id, secret) = text[3..].split_once('_').unwrap();
        for wrong in [
            format!("SK_{id}_{secret}"),
            format!("sk_{}_{secret}", id.to_uppercase()),
            format!("sk_key_{id}_{secret}"),
            format!("sk_{id}_{secret}="),
            format!("sk_{id}_{secret} "),
            format!(" {text}"),
            format!("sk_{id}_"),
            format!("sk_{id}"),
            format!("sk_{id}_{}", &secret[1..]),
            format!("sk_{id}_A{secret}"),
            format!("sk_{id}__{secret}"),
        ] {
            assert!(ApiKey::read(&wrong).is_none(), "{wrong}");
        }
        // the last character carries two bits that say nothing: they must be zero
        let last = secret.chars().last().unwrap();
        let others = ('A'..='Z').chain('a'..='z').chain('0'..='9').filter(|c| *c != last);
        let verifier = ApiKey::read(&text).unwrap().verifier();
        for other in others {
            let wrong = format!("sk_{id}_{}{other}", &secret[..42]);
            assert!(
                ApiKey::read(&wrong).is_none_or(|key| !key.matches(&verifier)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn ranges_are_read_strictly() {
        for (text, told) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:DB8:0::/48", "2001:db8::/48"),
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), told);
        }
        for text in [
            "",
            "192.0.2.0/33",
            "192.0.2/24",
            "192.0.2.0/24 ",
            "north",
            "::ffff:192.0.2.0/120",
            "10.0.0.0/08x",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Form), "{text}");
        }
        assert_eq!("192.0.2.1/24".parse::<Cidr>(), Err(CidrError::Behind));
    }

    #[test]
    fn an_address_is_judged_as_what_it_is() {
        let ranges: Vec<Cidr> = ["192.0.2.0/24", "2001:db8::/32"]
            .map(|text| text.parse().unwrap())
            .into();
        let admitted = |text: &str| admits(&ranges, Some(text.parse().unwrap()));
        for inside in ["192.0.2.1", "::ffff:192.0.2.255", "2001:db8:1::1"] {
            assert!(admitted(inside), "{inside}");
        }
        for outside in ["192.0.3.1", "::ffff:192.0.3.1", "2001:db9::1", "::192.0.2.1"] {
            assert!(!admitted(outside), "{outside}");
        }
        assert!(!admits(&ranges, None) && admits(&[], None));
    }

    proptest! {
        #[test]
        fn nothing_presented_makes_it_stumble(text in "(sk_)?\\PC{0,90}") {
            if let Some(key) = ApiKey::read(&text) {
                let again = key.text();
                prop_assert_eq!(again.expose_secret(), text.as_str());
            }
        }
    }
}
