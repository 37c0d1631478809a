//! Calling a region: a request with a service token over one of its tunnels, and an answer that is believed only when it
//! is signed for this very request.
use super::{Tunnel, requests, secrets, store};
use crate::app::App;
use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue, Request, StatusCode, header},
};
use exarch_common_base::RegionId;
use exarch_common_crypto::seal::SealError;
use exarch_common_http::{
    layers::{TRACEPARENT, outgoing_trace},
    tunnel::CallError,
};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::{
    names::{self, ANSWER_HEADER},
    service::{self, About, Refusal, ServiceKey},
};
use http_body_util::Full;
use std::time::Duration;

/// A believed answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status, signed.
    pub status: StatusCode,
    /// Its body, signed.
    pub body: Bytes,
    /// The tunnel it came by; nothing when another replica holds it.
    pub tunnel: Option<u64>,
}

/// Why there is no answer that can be believed.
#[derive(Debug, thiserror::Error)]
pub enum CallFailure {
    /// No connection to the region, from here or another replica.
    #[error("the region has no tunnel")]
    NoTunnel,
    /// The replica that holds the tunnel has such a call under way.
    #[error("such a call is under way")]
    Busy,
    /// What the replica that holds the tunnel says.
    #[error("by the replica that holds the tunnel: {0}")]
    Elsewhere(String),
    /// There is no secret to sign with.
    #[error("the region has no service secret")]
    NoSecret,
    /// The secret cannot be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Our own database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The request could not be put together.
    #[error("the request cannot be made")]
    Request,
    /// No answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An answer without a signature.
    #[error("the answer ({0}) is not signed")]
    Unsigned(StatusCode),
    /// An answer with a wrong one.
    #[error("the answer is not believed: {0}")]
    Unbelieved(#[from] Refusal),
}

/// Sends `body` by `POST` to `path` of a region's gateway and waits for the answer for at most `limit`. Of several tunnels
/// the newest is used; one that had ended before the request left is passed over. Where none is here, the replica that holds
/// one is asked.
///
/// # Errors
/// [`CallFailure`]. Unless it is [`CallFailure::NoTunnel`] or [`CallFailure::Busy`], the request may have had its effect.
pub async fn call(
    app: &App,
    region: RegionId,
    path: &str,
    content_type: &'static str,
    body: Bytes,
    limit: Duration,
) -> Result<Answer, CallFailure> {
    match here(app, region, path, content_type, body.clone(), limit).await {
        Err(CallFailure::NoTunnel) => requests::ask(app, region, path, content_type, &body, limit).await,
        other => other,
    }
}

/// The same over a tunnel of this replica alone.
pub(super) async fn here(
    app: &App,
    region: RegionId,
    path: &str,
    content_type: &str,
    body: Bytes,
    limit: Duration,
) -> Result<Answer, CallFailure> {
    let tunnels = app.federation.tunnels.of(region);
    if tunnels.is_empty() {
        return Err(CallFailure::NoTunnel);
    }
    let mut tx = SystemTx::begin(&app.app_pool, "call-region").await?;
    let kept = store::secrets(tx.conn(), region, secrets::DOWN).await?;
    tx.rollback().await?;
    let kept = kept.first().ok_or(CallFailure::NoSecret)?;
    let key = secrets::open_one(&app.sealer, region, secrets::DOWN, kept)?;
    for tunnel in tunnels {
        match over(app, &tunnel, &key, region, path, content_type, body.clone(), limit).await {
            Err(CallFailure::Call(CallError::Closed)) => {}
            other => return other,
        }
    }
    Err(CallFailure::NoTunnel)
}

#[expect(clippy::too_many_arguments, reason = "one request, spelled out")]
async fn over(
    app: &App,
    tunnel: &Tunnel,
    key: &ServiceKey,
    region: RegionId,
    path: &str,
    content_type: &str,
    body: Bytes,
    limit: Duration,
) -> Result<Answer, CallFailure> {
    let region = names::region(region);
    let exporter = tunnel.client.peer().exporter().ok_or(CallFailure::Request)?;
    let about = About {
        from: names::GLOBAL,
        to: &region,
        method: "POST",
        path,
        body: &body,
        exporter,
    };
    let (token, jti) = service::request(&app.ambient, key, &about);
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| CallFailure::Request)?;
    let trace = outgoing_trace(&app.ambient);
    tracing::debug!(%region, path, traceparent = trace, "asking the region");
    let request = Request::post(path)
        .header(TRACEPARENT, trace)
        .header(header::AUTHORIZATION, bearer)
        .header(header::CONTENT_TYPE, content_type)
        .body(Full::new(body.clone()))
        .map_err(|_| CallFailure::Request)?;
    let answer = tunnel.client.request(request, limit).await?;
    let status = answer.status();
    let signed = answer
        .headers()
        .get(HeaderName::from_static(ANSWER_HEADER))
        .and_then(|v| v.to_str().ok())
        .ok_or(CallFailure::Unsigned(status))?
        .to_owned();
    let body = answer.into_body();
    let back = About {
        from: &region,
        to: names::GLOBAL,
        body: &body,
        ..about
    };
    let find = |kid: &str| (kid == key.kid).then_some(key);
    service::verify_answer(&signed, find, &back, &jti, status.as_u16())?;
    Ok(Answer {
        status,
        body,
        tunnel: Some(tunnel.id()),
    })
}
