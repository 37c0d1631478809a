//! Certificates (RFC 5280): our own authorities, signing requests and the reading of peers, all on P-384.
use crate::{
    hash::sha256,
    sign::{Algorithm, KeyError, SigningKey},
};
use exarch_common_base::Ambient;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};
use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::{GeneralName, ParsedExtension},
    oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384},
    prelude::{FromDer, X509Certificate},
};

/// Certificates start a little in the past, so that a peer whose clock is behind accepts them.
const BACKDATE: Duration = Duration::minutes(5);

/// Why a certificate or request is refused. The texts are for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PkiError {
    /// No DER of the expected kind.
    #[error("the {0} is not valid DER")]
    Malformed(&'static str),
    /// The request is not signed by the key in it.
    #[error("the signing request is not signed by the key that it holds")]
    RequestSignature,
    /// The key is on another curve, or of another kind.
    #[error("the key must be an ECDSA key on P-384")]
    WrongCurve,
    /// The request asks for more than a key.
    #[error("the signing request must not ask for {0}; names and usages are given by the issuer")]
    Unwanted(&'static str),
    /// A key could not be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The library refused; the text says why.
    #[error("certificate could not be made: {0}")]
    Library(String),
}

impl From<rcgen::Error> for PkiError {
    fn from(e: rcgen::Error) -> Self {
        Self::Library(e.to_string())
    }
}

/// What a new certificate says.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// Its serial number.
    pub serial: Vec<u8>,
    /// Until when it is good.
    pub not_after: OffsetDateTime,
}

/// A certificate authority: the federation's, or a region's for its agents.
pub struct Ca {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn key_pair(key: &SigningKey) -> Result<KeyPair, PkiError> {
    let der = PrivatePkcs8KeyDer::from(key.pkcs8().to_vec());
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P384_SHA384)?)
}

fn serial(ambient: &Ambient) -> SerialNumber {
    let mut bytes: [u8; 16] = ambient.bytes();
    // Positive and of full length in DER (RFC 5280, 4.1.2.2).
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

impl Ca {
    /// A new self-signed authority that may sign end-entity certificates only.
    ///
    /// # Errors
    /// The key is not on P-384, or the library refused.
    pub fn create(ambient: &Ambient, common_name: &str, key: &SigningKey, life: Duration) -> Result<Self, PkiError> {
        let now = ambient.now();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name = name(common_name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = now - BACKDATE;
        params.not_after = now + life;
        params.serial_number = Some(serial(ambient));
        let pair = key_pair(key)?;
        let der = params.self_signed(&pair)?.der().to_vec();
        Ok(Self {
            der,
            issuer: Issuer::new(params, pair),
        })
    }

    /// An authority from its stored certificate and key.
    ///
    /// # Errors
    /// Either is damaged, or they do not belong together.
    pub fn load(der: &[u8], key: &SigningKey) -> Result<Self, PkiError> {
        let certificate = Peer::read(der)?;
        if certificate.public_key != key.public().raw() {
            return Err(PkiError::Malformed("authority's key"));
        }
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(der.to_vec()), key_pair(key)?)?;
        Ok(Self {
            der: der.to_vec(),
            issuer,
        })
    }

    /// The authority's own certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What a joining party pins.
    pub fn pin(&self) -> Pin {
        Pin::of(&self.der)
    }

    /// Signs a request: only its public key is taken, the rest is ours. The name is one URI for TLS clients.
    ///
    /// # Errors
    /// The request is malformed, badly signed, on another curve, or asks for names, usages or CA = true.
    pub fn issue_client(&self, ambient: &Ambient, csr: &[u8], uri: &str, life: Duration) -> Result<Issued, PkiError> {
        check_request(csr)?;
        let mut request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr.to_vec()))?;
        let uri = uri.try_into().map_err(|_| PkiError::Malformed("name"))?;
        let params = leaf(ambient, SanType::URI(uri), ExtendedKeyUsagePurpose::ClientAuth, life);
        let (serial, not_after) = (params.serial_number.clone(), params.not_after);
        request.params = params;
        let der = request.signed_by(&self.issuer)?.der().to_vec();
        Ok(Issued {
            der,
            serial: serial.map(|s| s.to_bytes()).unwrap_or_default(),
            not_after,
        })
    }

    /// A server certificate for a listener of this process: DNS names or addresses.
    ///
    /// # Errors
    /// A name is no DNS name or address, or the library refused.
    pub fn issue_server(
        &self,
        ambient: &Ambient,
        key: &SigningKey,
        names: &[String],
        life: Duration,
    ) -> Result<Issued, PkiError> {
        let names = CertificateParams::new(names.to_vec())?.subject_alt_names;
        let first = names.first().cloned().ok_or(PkiError::Malformed("name"))?;
        let mut params = leaf(ambient, first, ExtendedKeyUsagePurpose::ServerAuth, life);
        params.subject_alt_names = names;
        let (serial, not_after) = (params.serial_number.clone(), params.not_after);
        let der = params.signed_by(&key_pair(key)?, &self.issuer)?.der().to_vec();
        Ok(Issued {
            der,
            serial: serial.map(|s| s.to_bytes()).unwrap_or_default(),
            not_after,
        })
    }
}

fn leaf(ambient: &Ambient, san: SanType, usage: ExtendedKeyUsagePurpose, life: Duration) -> CertificateParams {
    let now = ambient.now();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![san];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - BACKDATE;
    params.not_after = now + life;
    params.serial_number = Some(serial(ambient));
    params
}

/// A signing request (PKCS #10, RFC 2986) for `key`, DER. It holds the key and nothing else.
///
/// # Errors
/// The key is not on P-384, or the library refused.
pub fn request(key: &SigningKey) -> Result<Vec<u8>, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(&key_pair(key)?)?.der().to_vec())
}

/// Checks a signing request as an issuer does and returns its public key, an uncompressed point on P-384.
///
/// # Errors
/// [`PkiError`], with a text for the sender.
pub fn check_request(csr: &[u8]) -> Result<Vec<u8>, PkiError> {
    let malformed = PkiError::Malformed("signing request");
    let (rest, request) = X509CertificationRequest::from_der(csr).map_err(|_| malformed.clone())?;
    if !rest.is_empty() {
        return Err(malformed);
    }
    let key = p384_point(&request.certification_request_info.subject_pki)?;
    request.verify_signature().map_err(|_| PkiError::RequestSignature)?;
    if let Some(extension) = request.requested_extensions().into_iter().flatten().next() {
        return Err(PkiError::Unwanted(match extension {
            ParsedExtension::BasicConstraints(b) if b.ca => "CA rights",
            ParsedExtension::SubjectAlternativeName(_) => "names",
            ParsedExtension::ExtendedKeyUsage(_) | ParsedExtension::KeyUsage(_) => "key usages",
            _ => "extensions",
        }));
    }
    if request.certification_request_info.subject.iter().next().is_some() {
        return Err(PkiError::Unwanted("a subject name"));
    }
    Ok(key)
}

fn p384_point(spki: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> Result<Vec<u8>, PkiError> {
    let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
    let point = &spki.subject_public_key.data;
    let good = spki.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && curve == Some(OID_NIST_EC_P384)
        && crate::sign::PublicKey::from_raw(Algorithm::Es384, point).is_ok();
    if good {
        Ok(point.to_vec())
    } else {
        Err(PkiError::WrongCurve)
    }
}

/// What a certificate says, read after TLS has verified its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// All URI names; an identity of ours has exactly one.
    pub uris: Vec<String>,
    /// The serial number.
    pub serial: Vec<u8>,
    /// From when it is good.
    pub not_before: OffsetDateTime,
    /// Until when it is good.
    pub not_after: OffsetDateTime,
    /// SHA-256 of the DER: `x5t#S256` of RFC 8705.
    pub thumbprint: [u8; 32],
    /// The key's point on P-384.
    pub public_key: Vec<u8>,
    /// CA = true.
    pub is_ca: bool,
    /// Good for TLS client authentication.
    pub client_auth: bool,
}

impl Peer {
    /// Reads a certificate.
    ///
    /// # Errors
    /// Not DER, or its key is not on P-384.
    pub fn read(der: &[u8]) -> Result<Self, PkiError> {
        let malformed = || PkiError::Malformed("certificate");
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| malformed())?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        let names = certificate.subject_alternative_name().map_err(|_| malformed())?;
        let uris = names
            .into_iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some((*uri).to_owned()),
                _ => None,
            });
        let usage = certificate.extended_key_usage().map_err(|_| malformed())?;
        Ok(Self {
            uris: uris.collect(),
            serial: certificate.raw_serial().to_vec(),
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
            thumbprint: sha256(der),
            public_key: p384_point(certificate.public_key())?,
            is_ca: certificate.is_ca(),
            client_auth: usage.is_some_and(|u| u.value.client_auth),
        })
    }

    /// The one URI name of an end-entity client certificate; `None` when it has none or several, is a CA or has
    /// another usage.
    pub fn identity(&self) -> Option<&str> {
        match self.uris.as_slice() {
            [one] if self.client_auth && !self.is_ca => Some(one),
            _ => None,
        }
    }
}

/// SHA-256 of an authority's certificate, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    /// The pin of a certificate.
    pub fn of(der: &[u8]) -> Self {
        Self(sha256(der))
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl std::str::FromStr for Pin {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, PkiError> {
        let bytes = text
            .strip_prefix("sha256:")
            .and_then(|hex| hex::decode(hex).ok())
            .and_then(|b| b.try_into().ok());
        bytes
            .map(Self)
            .ok_or(PkiError::Malformed("pin (sha256: and 64 hexadecimal digits)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::generate(Algorithm::Es384).unwrap()
    }

    fn ca() -> Ca {
        Ca::create(&Ambient::system(), "test", &key(), Duration::days(3650)).unwrap()
    }

    #[test]
    fn an_issued_certificate_says_what_the_issuer_says() {
        let (ambient, agent) = (Ambient::system(), key());
        let issued = ca()
            .issue_client(
                &ambient,
                &request(&agent).unwrap(),
                "exarch://reg_1/agent/agt_2",
                Duration::days(7),
            )
            .unwrap();
        let peer = Peer::read(&issued.der).unwrap();
        assert_eq!(peer.identity(), Some("exarch://reg_1/agent/agt_2"));
        assert_eq!(peer.public_key, agent.public().raw());
        assert_eq!(peer.serial, issued.serial);
        assert!(!peer.is_ca && peer.client_auth);
        assert!(peer.not_before < ambient.now() && peer.not_after > ambient.now() + Duration::days(6));
    }

    #[test]
    fn an_authority_loads_with_its_own_key_only() {
        let mine = key();
        let authority = Ca::create(&Ambient::system(), "test", &mine, Duration::days(1)).unwrap();
        assert_eq!(Ca::load(authority.der(), &mine).unwrap().pin(), authority.pin());
        assert!(Ca::load(authority.der(), &key()).is_err());
        assert_eq!(authority.pin().to_string().parse(), Ok(authority.pin()));
    }

    #[test]
    fn a_request_on_another_curve_is_refused() {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(&pair).unwrap().der().to_vec();
        assert_eq!(check_request(&csr), Err(PkiError::WrongCurve));
    }

    #[test]
    fn a_request_for_more_than_a_key_is_refused() {
        let ask = |change: fn(&mut CertificateParams)| {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            change(&mut params);
            let pair = key_pair(&key()).unwrap();
            check_request(params.serialize_request(&pair).unwrap().der())
        };
        assert!(ask(|_| ()).is_ok());
        assert_eq!(
            ask(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            Err(PkiError::Unwanted("CA rights"))
        );
        assert_eq!(
            ask(|p| p.subject_alt_names = vec![SanType::DnsName("x.example".try_into().unwrap())]),
            Err(PkiError::Unwanted("names"))
        );
        assert_eq!(
            ask(|p| p.distinguished_name = name("admin")),
            Err(PkiError::Unwanted("a subject name"))
        );
        assert_eq!(
            ask(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            Err(PkiError::Unwanted("key usages"))
        );
    }

    #[test]
    fn no_flipped_bit_of_a_request_brings_in_another_key() {
        let csr = request(&key()).unwrap();
        let genuine = check_request(&csr).unwrap();
        let accepted = (0..csr.len() * 8).filter_map(|bit| {
            let mut other = csr.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            check_request(&other).ok()
        });
        // A few bits outside the signed part have no meaning; none of them may change what is certified.
        accepted.for_each(|key| assert_eq!(key, genuine));
    }
}
