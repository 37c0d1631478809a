//! The token of a session.
use crate::{app::App, secrets::NamedSecret};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{AgentId, ExposeSecret};
use exarch_common_crypto::{
    jws::{self, JwsError},
    mac,
    seal::Sealer,
};
use exarch_common_wire::{
    agent::{CertificateBinding, SESSION_TYP, SessionClaims},
    grant::Incarnation,
    names,
};
use time::{Duration, OffsetDateTime};

/// How long a token lives; the agent asks for a new one twice in this time.
pub(super) const LIFE: Duration = Duration::minutes(10);
/// Clocks of replicas may differ by this much.
const SKEW: Duration = Duration::seconds(30);

/// What a token is bound to.
pub(super) fn binding(thumbprint: &[u8; 32]) -> CertificateBinding {
    CertificateBinding {
        x5t_s256: B64.encode(thumbprint),
    }
}

/// A new token for a process of `agent`, of the agent's present epoch.
pub(super) fn claims(
    app: &App,
    agent: AgentId,
    incarnation: Incarnation,
    epoch: i64,
    thumbprint: &[u8; 32],
    now: OffsetDateTime,
) -> SessionClaims {
    let region = names::region(app.region.id);
    SessionClaims {
        iss: region.clone(),
        aud: region,
        sub: agent,
        iat: now.unix_timestamp(),
        exp: (now + LIFE).unix_timestamp(),
        jti: B64.encode(app.ambient.bytes::<16>()),
        inc: incarnation,
        epo: epoch,
        cnf: binding(thumbprint),
    }
}

pub(super) fn sign(key: &NamedSecret, claims: &SessionClaims) -> String {
    jws::sign_hs256(key.secret.expose_secret(), SESSION_TYP, &key.kid, claims)
}

/// Verifies what can be verified without the database: MAC, region, time, agent and certificate.
pub(super) fn verify(app: &App, token: &str, agent: AgentId, thumbprint: &[u8; 32]) -> Option<SessionClaims> {
    let key = app.secrets.session_key();
    let secret = |kid: &str| (kid == key.kid).then(|| key.secret.expose_secret());
    let claims: Result<SessionClaims, JwsError> = jws::verify_hs256(token, SESSION_TYP, secret);
    let region = names::region(app.region.id);
    let now = app.ambient.now();
    claims.ok().filter(|claims| {
        claims.iss == region
            && claims.aud == region
            && claims.sub == agent
            && claims.iat <= (now + SKEW).unix_timestamp()
            && now.unix_timestamp() < claims.exp
            && mac::equal(claims.cnf.x5t_s256.as_bytes(), binding(thumbprint).x5t_s256.as_bytes())
    })
}

/// Seals the answers that are kept for a repeat: they hold a token and a link.
pub(super) fn answers(key: &NamedSecret) -> Sealer {
    let derived = mac::hmac_sha256(key.secret.expose_secret(), b"exarch agent session answers");
    Sealer::new(&derived.to_vec().into()).expect("a MAC has the 32 bytes of a key")
}
