//! Before every request of a gateway: its service token. Certificate, key id and sender name the same region, the token is
//! for this very request on this very connection, and it was not used before.
use super::{PeerCaller, answers::ToSign, secrets, store};
use crate::{app::App, regions};
use axum::{
    body::Bytes,
    http::{header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::RegionId;
use exarch_common_crypto::jws;
use exarch_common_http::{Gate, PeerBody, Problem, RouteKind, serve::Peer};
use exarch_common_pg::SystemTx;
use exarch_common_wire::{
    federation::paths,
    names,
    service::{self, About, Refusal},
    tombstone,
};

/// The gate of the protocol `exarch-up/1`.
#[derive(Clone)]
pub struct PeerGate(pub App);

/// The one answer to whatever is wrong with a token.
pub(super) fn refused() -> Problem {
    Problem::unauthorized("service-token-refused").detail("The service token was not accepted.")
}

/// As [`refused`], for a number that was spent before.
pub(super) fn replayed() -> Problem {
    count("replay")
}

/// What a removed region hears, whatever it asks. No secret is left by which the answer could be signed: the tombstone is
/// signed for itself.
fn removed(tombstone: &[u8]) -> Problem {
    let _ = count("removed");
    Problem::gone("region-removed")
        .detail("This region was removed from the federation.")
        .with(tombstone::MEMBER, B64.encode(tombstone))
}

/// Why nobody was let in, for the counter.
fn count(cause: &'static str) -> Problem {
    metrics::counter!("exarch_service_token_refusals_total", "cause" => cause).increment(1);
    tracing::debug!(cause, "a service token was refused");
    refused()
}

const fn cause(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Token(_) => "token",
        Refusal::Pair => "pair",
        Refusal::Request => "request",
        Refusal::Body => "body",
        Refusal::Connection => "connection",
        Refusal::Time => "time",
        Refusal::Answer => "answer",
    }
}

/// The region of the connection's certificate.
pub(super) fn region_of(peer: &Peer) -> Option<RegionId> {
    names::parse_region_uri(peer.certificate()?.identity()?)
}

impl Gate for PeerGate {
    async fn admit(&self, kind: RouteKind, parts: &mut Parts) -> Result<(), Problem> {
        if kind != RouteKind::Peer {
            return Err(count("route"));
        }
        let app = &self.0;
        let peer: &Peer = parts.extensions.get().ok_or_else(|| count("connection"))?;
        let (region, certificate, exporter) = region_of(peer)
            .zip(peer.certificate())
            .zip(peer.exporter())
            .map(|((region, certificate), exporter)| (region, certificate, *exporter))
            .ok_or_else(|| count("certificate"))?;
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(|| count("none"))?;

        let mut tx = SystemTx::begin(&app.app_pool, "service-token").await?;
        let known = store::known_peer(tx.conn(), region, &certificate.thumbprint).await?;
        let tombstone = match known {
            None => regions::tombstone(tx.conn(), region).await?,
            Some(_) => None,
        };
        tx.rollback().await?;
        let known = known.ok_or_else(|| tombstone.map_or_else(|| count("certificate"), |signed| removed(&signed)))?;
        let unused = known
            .secrets
            .iter()
            .find(|secret| !secret.used)
            .map(|secret| secret.kid.clone());
        let keys = secrets::open(app, region, secrets::UP, known)?;

        let none = Bytes::new();
        let body = parts.extensions.get::<PeerBody>().map_or(&none, |b| &b.0);
        let sender = names::region(region);
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        let about = About {
            from: &sender,
            to: names::GLOBAL,
            method: parts.method.as_str(),
            path,
            body,
            exporter: &exporter,
        };
        let find = |kid: &str| keys.iter().find(|k| k.kid == kid);
        let claims = service::verify_challenged(token, find, &about).map_err(|r| count(cause(r)))?;
        let now = app.ambient.now().unix_timestamp();
        // All else is right: what is left to refuse is the time.
        let late = service::verify_request(token, find, &about, now).is_err();
        let key = jws::peek_kid(token)
            .and_then(|kid| find(&kid).cloned())
            .ok_or_else(|| count("token"))?;
        let caller = PeerCaller {
            region,
            public_key: certificate.public_key.clone(),
            expired: certificate.not_after <= app.ambient.now(),
            address: peer.addr.ip().to_canonical().to_string(),
            key,
            exporter,
            jti: claims.jti,
        };
        if let Some(slot) = parts.extensions.get::<ToSign>() {
            slot.set(caller.clone());
        }
        if caller.expired && parts.uri.path() != paths::CERTIFICATE {
            let _ = count("expired");
            return Err(Problem::unauthorized("certificate-expired")
                .detail("The certificate has expired: on this connection it can be renewed, and nothing else."));
        }
        if late {
            // Worth telling, and signed like any other answer, so that the region believes it.
            let _ = count(cause(Refusal::Time));
            return Err(Problem::unauthorized("clock-skew")
                .detail("The clocks of global and region differ too much; see server_time.")
                .with("server_time", now));
        }
        if !app
            .federation
            .seen
            .first(peer.connection, &caller.jti, app.ambient.boot())
        {
            return Err(replayed());
        }
        if unused.as_ref() == Some(&caller.key.kid) {
            // Once a secret: from now on the one before it may go.
            let mut tx = SystemTx::begin(&app.app_pool, "service-secret-used").await?;
            store::first_use(tx.conn(), region, secrets::UP, &caller.key.kid, app.ambient.now()).await?;
            tx.commit().await?;
        }
        parts.extensions.insert(caller);
        Ok(())
    }
}
