//! TLS 1.3 (RFC 8446) configurations: private roots, our own names, no platform trust store.
use crate::pki::{Peer, Pin, PkiError};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use std::{sync::Arc, time::Duration};

/// How long after its end a certificate can still be renewed with itself.
pub const RENEWABLE: Duration = Duration::from_secs(90 * 24 * 3600);

/// What a dialler of [`pinned_client_config`] is told when the server is not the one pinned.
pub const PIN_DIFFERS: &str = "no certificate of the server has the pinned fingerprint";

/// A certificate with its chain, end entity first, and its PKCS#8 key.
#[derive(Clone)]
pub struct Identity {
    /// DER, end entity first; the authority last, so that a joining party can check its pin.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8.
    pub key: zeroize::Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

impl Identity {
    fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>) {
        let chain = self.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        (chain, PrivatePkcs8KeyDer::from(self.key.to_vec()))
    }
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// A certificate of one of the roots, or no handshake.
    Required,
    /// As [`Clients::Required`], and one that expired at most [`RENEWABLE`] ago completes the handshake too: certificates
    /// must outlive outages. The listener looks at `not_after` itself, and lets such a connection renew and do nothing else.
    RequiredOrExpired,
    /// The ALPN protocols that identify by token (join, enrol) complete without one; the accept loop refuses all
    /// others that come without.
    Optional,
    /// Nobody is asked for one: a public HTTPS listener. The roots are not used.
    None,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

fn library(e: impl std::fmt::Display) -> PkiError {
    PkiError::Library(e.to_string())
}

fn roots(ders: &[Vec<u8>]) -> Result<Arc<RootCertStore>, PkiError> {
    let mut store = RootCertStore::empty();
    for der in ders {
        store.add(CertificateDer::from(der.clone())).map_err(library)?;
    }
    Ok(Arc::new(store))
}

/// A listener: its own identity, the authorities of its clients, and the ALPN protocols it speaks.
///
/// # Errors
/// A certificate or key is damaged or does not fit.
pub fn server_config(
    identity: &Identity,
    client_roots: &[Vec<u8>],
    clients: Clients,
    alpn: &[&str],
) -> Result<ServerConfig, PkiError> {
    let asking = || {
        Ok::<_, PkiError>(WebPkiClientVerifier::builder_with_provider(
            roots(client_roots)?,
            provider(),
        ))
    };
    let verifier = match clients {
        Clients::Required => asking()?.build().map_err(library)?,
        Clients::RequiredOrExpired => Arc::new(Lenient(asking()?.build().map_err(library)?)),
        Clients::Optional => asking()?.allow_unauthenticated().build().map_err(library)?,
        Clients::None => WebPkiClientVerifier::no_client_auth(),
    };
    let (chain, key) = identity.parts();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(library)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key.into())
        .map_err(library)?;
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    // A resumed session would carry the certificate of an earlier connection past its revocation.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

/// Whether a listener with these roots would let a client with this certificate in at `now`: to be asked before a new
/// certificate takes the place of one that works.
///
/// # Errors
/// [`PkiError`], with the reason.
pub fn check_client(roots_der: &[Vec<u8>], certificate: &[u8], now: time::OffsetDateTime) -> Result<(), PkiError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(roots_der)?, provider())
        .build()
        .map_err(library)?;
    let now = Duration::from_secs(now.unix_timestamp().try_into().map_err(library)?);
    verifier
        .verify_client_cert(&CertificateDer::from(certificate), &[], UnixTime::since_unix_epoch(now))
        .map_err(library)?;
    Ok(())
}

/// Verifies as the other does; a certificate that expired not too long ago it verifies as of the moment of its end.
#[derive(Debug)]
struct Lenient(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Lenient {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refused = match self.0.verify_client_cert(end_entity, intermediates, now) {
            Err(Error::InvalidCertificate(
                reason @ (CertificateError::Expired | CertificateError::ExpiredContext { .. }),
            )) => Error::InvalidCertificate(reason),
            other => return other,
        };
        let ended = Peer::read(end_entity)
            .ok()
            .and_then(|peer| u64::try_from(peer.not_after.unix_timestamp()).ok())
            .map(Duration::from_secs);
        match ended {
            Some(ended) if now.as_secs() <= (ended + RENEWABLE).as_secs() => {
                let then = UnixTime::since_unix_epoch(ended);
                self.0.verify_client_cert(end_entity, intermediates, then)
            }
            _ => Err(refused),
        }
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn client_builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, PkiError> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(library)
}

/// A client of a listener whose authority is known; with `identity` it shows a certificate.
///
/// # Errors
/// A certificate or key is damaged or does not fit.
pub fn client_config(
    server_roots: &[Vec<u8>],
    identity: Option<&Identity>,
    alpn: &[&str],
) -> Result<ClientConfig, PkiError> {
    let builder = client_builder()?.with_root_certificates(roots(server_roots)?);
    let mut config = match identity {
        Some(identity) => {
            let (chain, key) = identity.parts();
            builder.with_client_auth_cert(chain, key.into()).map_err(library)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    Ok(config)
}

/// A client that knows of the server only the fingerprint of its authority: for joining and enrolment. The server's
/// chain must end in a certificate with that fingerprint, and the end entity must be one of it for the name dialled.
///
/// # Errors
/// The library refused.
pub fn pinned_client_config(pin: Pin, alpn: &[&str]) -> Result<ClientConfig, PkiError> {
    let verifier = Arc::new(PinnedAuthority {
        pin,
        provider: provider(),
    });
    let mut config = client_builder()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    Ok(config)
}

#[derive(Debug)]
struct PinnedAuthority {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates
            .iter()
            .find(|der| Pin::of(der) == self.pin)
            .ok_or_else(|| Error::General(PIN_DIFFERS.into()))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|e| Error::General(e.to_string()))?;
        verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
