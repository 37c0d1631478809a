//! Signs what leaves: status and body of every answer to a request whose token was genuine, refusals included.
use super::PeerCaller;
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse, Response},
};
use exarch_common_base::Ambient;
use exarch_common_http::{Problem, tunnel::MAX_ANSWER};
use exarch_common_wire::{
    names,
    service::{self, About},
};
use std::sync::{Arc, OnceLock};

/// Where the gate leaves whom the answer is for.
#[derive(Clone, Default)]
pub(super) struct ToSign(Arc<OnceLock<PeerCaller>>);

impl ToSign {
    pub(super) fn set(&self, caller: PeerCaller) {
        let _ = self.0.set(caller);
    }
}

/// The outermost layer: nothing may change the body after it.
pub(super) async fn sign(State(ambient): State<Ambient>, mut request: Request, next: Next) -> Response {
    let slot = ToSign::default();
    request.extensions_mut().insert(slot.clone());
    let method = request.method().clone();
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let response = next.run(request).await;
    let Some(caller) = slot.0.get() else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, MAX_ANSWER).await {
        Ok(body) => body,
        Err(e) => return Problem::internal(&e).into_response(),
    };
    let to = names::region(caller.region);
    let about = About {
        from: names::GLOBAL,
        to: &to,
        method: method.as_str(),
        path: &path,
        body: &body,
        exporter: &caller.exporter,
    };
    let token = service::answer(&ambient, &caller.key, &about, &caller.jti, parts.status.as_u16());
    match HeaderValue::from_str(&token) {
        Ok(value) => {
            parts
                .headers
                .insert(HeaderName::from_static(names::ANSWER_HEADER), value);
            Response::from_parts(parts, Body::from(body))
        }
        Err(e) => Problem::internal(&e).into_response(),
    }
}
