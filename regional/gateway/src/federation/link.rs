//! Calls to the global: each is signed for this very request and connection, and an answer is believed when it is signed
//! for this very call.
use crate::app::App;
use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_http::{
    Problem,
    layers::{TRACEPARENT, outgoing_trace},
    tunnel::{CallError, H2Client},
};
use exarch_common_wire::{
    names,
    service::{self, About, Refusal, ServiceKey},
    tombstone,
};
use http_body_util::Full;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// For one call.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no connection to the global now.
    #[error("there is no connection to the global")]
    NoConnection,
    /// The connection.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer is not signed by the global for this call.
    #[error("the global's answer ({status}) is not believed: {cause}")]
    Unbelieved {
        /// What it claims.
        status: StatusCode,
        /// Why.
        cause: String,
    },
    /// The region was removed.
    #[error("the global has removed this region")]
    Removed,
    /// The global said no.
    #[error("the global refused with {status}: {detail}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its reason.
        detail: String,
    },
    /// The answer is none.
    #[error("the global's answer cannot be read: {0}")]
    Unreadable(String),
}

/// The connection on which the gateway calls.
#[derive(Clone, Debug)]
pub struct Link(H2Client);

impl Link {
    /// On a connection that was dialled.
    pub(super) fn new(client: H2Client) -> Self {
        Self(client)
    }

    /// Waits until the connection has ended.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }

    /// Ends it.
    pub(super) fn close(&self) {
        self.0.close();
    }

    /// Sends JSON and reads JSON; `()` where the answer is empty.
    pub async fn post<T: DeserializeOwned>(
        &self,
        app: &App,
        path: &str,
        message: &impl Serialize,
    ) -> Result<T, LinkError> {
        let body = serde_json::to_vec(message).map_err(|e| LinkError::Unreadable(e.to_string()))?;
        let answer = self.call(app, Method::POST, path, body.into()).await?;
        let text: &[u8] = if answer.is_empty() { b"null" } else { &answer };
        serde_json::from_slice(text).map_err(|e| LinkError::Unreadable(e.to_string()))
    }

    /// Reads bytes.
    pub async fn get(&self, app: &App, path: &str) -> Result<Bytes, LinkError> {
        self.call(app, Method::GET, path, Bytes::new()).await
    }

    /// A 401 without a signature means that nothing was done: should another replica have put a newer secret in force, the
    /// call is made once more with that.
    async fn call(&self, app: &App, method: Method, path: &str, body: Bytes) -> Result<Bytes, LinkError> {
        let with = app.secrets.service();
        let outcome = self.call_with(app, with.up(), method.clone(), path, body.clone()).await;
        let unknown =
            |e: &LinkError| matches!(e, LinkError::Unbelieved { status, .. } if *status == StatusCode::UNAUTHORIZED);
        if !outcome.as_ref().is_err_and(unknown) {
            return outcome;
        }
        match app.secrets.reload_service(&app.app_pool).await {
            Ok(now) if now.up().kid != with.up().kid => self.call_with(app, now.up(), method, path, body).await,
            Ok(_) | Err(_) => outcome,
        }
    }

    async fn call_with(
        &self,
        app: &App,
        key: &ServiceKey,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, LinkError> {
        let exporter = self.0.peer().exporter().ok_or(LinkError::NoConnection)?;
        let region = names::region(app.region.id);
        let about = About {
            from: &region,
            to: names::GLOBAL,
            method: method.as_str(),
            path,
            body: &body,
            exporter,
        };
        let (token, jti) = service::request(&app.ambient, key, &about);
        let trace = outgoing_trace(&app.ambient);
        tracing::debug!(%method, path, traceparent = trace, "asking the global");
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(TRACEPARENT, trace)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.clone()))
            .map_err(|e| LinkError::Unreadable(e.to_string()))?;
        let answer = self.0.request(request, LIMIT).await?;
        let status = answer.status();
        let unbelieved = |cause: String| LinkError::Unbelieved { status, cause };
        if status == StatusCode::GONE
            && let Some(tombstone) = tombstone(answer.body())
        {
            let buried = app.directory.bury(&tombstone).await;
            buried
                .map_err(|e| unbelieved(e.to_string()))?
                .map_err(|refusal| unbelieved(refusal.to_string()))?;
            self.close();
            // The connection by which this region was called ends too; it is not made again.
            app.federation.redial.send_modify(|n| *n += 1);
            return Err(LinkError::Removed);
        }
        let signed = answer
            .headers()
            .get(names::ANSWER_HEADER)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| unbelieved("it is not signed".to_owned()))?;
        let back = About {
            from: names::GLOBAL,
            to: &region,
            body: answer.body(),
            ..about
        };
        service::verify_answer(
            signed,
            |kid| (kid == key.kid).then_some(key),
            &back,
            &jti,
            status.as_u16(),
        )
        .map_err(|refusal: Refusal| unbelieved(refusal.to_string()))?;
        app.federation.heard(app.ambient.now());
        if status.is_success() {
            return Ok(answer.into_body());
        }
        Err(LinkError::Refused {
            status,
            detail: reason(answer.body()),
        })
    }
}

/// The tombstone in the answer to a region that was removed; it is signed for itself, not for the call.
fn tombstone(body: &[u8]) -> Option<Vec<u8>> {
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    B64.decode(problem.get(tombstone::MEMBER)?.as_str()?).ok()
}

/// What a problem says, in one line; a body that is none is not repeated.
pub(super) fn reason(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Told {
        title: Option<String>,
        detail: Option<String>,
    }
    serde_json::from_slice::<Told>(body)
        .ok()
        .and_then(|told| told.detail.or(told.title))
        .unwrap_or_else(|| Problem::bad_request("no-reason-given").to_string())
}
