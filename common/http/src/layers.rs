//! What happens to every request of every listener, in this order: request id and trace, one log line and metrics,
//! security headers, problems for what has no handler, panics, time limit, cross-site refusal, limits of the body's size and time.
//!
//! `X-Forwarded-*`, `X-HTTP-Method-Override` and `_method` change nothing, because nothing here or below reads them.
use self::rest::Rest;
use crate::{Problem, json};
use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use exarch_common_base::{Ambient, RequestId};
use http_body_util::Limited;
use std::{any::Any, convert::Infallible, time::Duration, time::Instant};
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer};
use tracing::Instrument;

/// The policy of every answer.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";

const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=63072000; includeSubDomains"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C trace context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What differs between listeners.
#[derive(Clone, Debug)]
pub struct LayerOptions {
    /// Where request ids and trace ids come from.
    pub ambient: Ambient,
    /// The name of the listener in metrics and the log: `public`, `federation`, `agents`, `ops`.
    pub listener: &'static str,
    /// Until the head of the answer; after it 503.
    pub timeout: Duration,
    /// From the head of a request to the end of its body; after it 408.
    pub body: Duration,
}

impl LayerOptions {
    /// Time limit 30 s, of it 10 s for the body.
    pub fn new(ambient: Ambient, listener: &'static str) -> Self {
        Self {
            ambient,
            listener,
            timeout: Duration::from_secs(30),
            body: Duration::from_secs(10),
        }
    }
}

/// The request's id and trace, in its extensions; also an extractor.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext {
    /// The id that the answer carries in `X-Request-Id`.
    pub request_id: RequestId,
    /// W3C trace id: the caller's when it sent one, otherwise new.
    pub trace_id: u128,
    /// This request's own span.
    pub span_id: u64,
}

impl RequestContext {
    fn of(headers: &HeaderMap, ambient: &Ambient) -> Self {
        let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        Self {
            request_id: text(&REQUEST_ID)
                .and_then(|v| v.parse().ok())
                .unwrap_or_else(|| ambient.id()),
            trace_id: text(&TRACEPARENT)
                .and_then(trace_id)
                .unwrap_or_else(|| u128::from_le_bytes(ambient.bytes())),
            span_id: u64::from_le_bytes(ambient.bytes()),
        }
    }

    /// For requests made on behalf of this one.
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-01", self.trace_id, self.span_id)
    }
}

tokio::task_local! {
    /// The request that a task works for.
    static CURRENT: RequestContext;
}

/// The header for a request to another process: of the trace that this task works for, or the beginning of one.
pub fn outgoing_trace(ambient: &Ambient) -> String {
    let context = CURRENT.try_with(|context| *context);
    context
        .unwrap_or_else(|_| RequestContext::of(&HeaderMap::new(), ambient))
        .traceparent()
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| {
            tracing::error!("a router is served without its standard layers");
            Problem::broken()
        })
    }
}

/// The trace id of a W3C `traceparent`, version 00.
fn trace_id(text: &str) -> Option<u128> {
    let hex = |part: &str, digits: usize| {
        (part.len() == digits && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))).then_some(())
    };
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    hex(trace, 32)?;
    hex(span, 16)?;
    hex(flags, 2)?;
    let valid = version == "00" && parts.next().is_none() && span.bytes().any(|b| b != b'0');
    u128::from_str_radix(trace, 16).ok().filter(|id| valid && *id != 0)
}

/// Puts the standard layers around `router`. Call it last: routes added later are outside.
pub fn standard(router: Router, options: &LayerOptions) -> Router {
    let (timeout, body) = (options.timeout, options.body);
    let outer = options.clone();
    router
        .layer(from_fn(move |request, next| limit_body(body, request, next)))
        .layer(CsrfLayer::new().with_rejection_response(|_| cross_site()))
        .layer(from_fn(move |request, next| limit_time(timeout, request, next)))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(move |request, next| observe(outer.clone(), request, next)))
}

async fn observe(options: LayerOptions, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = RequestContext::of(request.headers(), &options.ambient);
    request.extensions_mut().insert(context);
    let method = known(request.method());
    let is_head = request.method() == Method::HEAD;
    // Never the path itself: it may hold ids, and each would be a time series of its own.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("request", request_id = %context.request_id);
    let response = CURRENT.scope(context, next.run(request)).instrument(span.clone()).await;
    let response = finish(response, context.request_id, is_head);
    let (status, took) = (response.status().as_u16(), started.elapsed());
    span.in_scope(|| {
        tracing::info!(
            listener = options.listener,
            method,
            route,
            status,
            duration_ms = took.as_secs_f64() * 1000.0,
            traceparent = context.traceparent(),
            "answered"
        );
    });
    let labels = [
        ("listener", options.listener.to_owned()),
        ("route", route),
        ("method", method.to_owned()),
        ("status", status.to_string()),
    ];
    metrics::histogram!("exarch_http_request_seconds", &labels[..3]).record(took);
    metrics::counter!("exarch_http_requests_total", &labels).increment(1);
    response
}

/// A method of the caller's own making must not become a label.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Problems for what had no handler, the request id in every problem, and the headers of every answer.
fn finish(mut response: Response, id: RequestId, is_head: bool) -> Response {
    // axum answers an unknown path or method with an empty body of no type, and a long body with a sentence of its own.
    let typed = response.headers().contains_key(header::CONTENT_TYPE);
    let is_problem = response.extensions().get::<Problem>().is_some();
    let missing = match response.status() {
        StatusCode::NOT_FOUND if !typed => {
            Some(Problem::not_found("no-such-route").detail("Nothing is served at this path."))
        }
        StatusCode::METHOD_NOT_ALLOWED if !typed => Some(
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            )
            .detail("The path exists and does not take this method; see the header Allow."),
        ),
        StatusCode::PAYLOAD_TOO_LARGE if !is_problem => Some(json::too_large()),
        _ => None,
    };
    if let Some(problem) = missing {
        response = problem.into_response();
    }
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        if !is_head {
            *response.body_mut() = Body::from(problem.request_id(id).body());
        }
    }
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, value);
    }
    // Whatever is not public by the handler's own word is somebody's.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| cause.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    tracing::error!(cause = text, "a handler panicked");
    Problem::broken().into_response()
}

async fn limit_time(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!(limit_ms = limit.as_millis() as u64, "a request took too long");
            Problem::unavailable("request-timeout", Duration::from_secs(1))
                .detail("The request took too long and was given up; it may have had its effect.")
                .into_response()
        }
    }
}

fn cross_site() -> Response {
    Problem::forbidden("cross-site-request")
        .detail("A page of another origin sent this request; open this service's own page and repeat it there.")
        .into_response()
}

async fn limit_body(time: Duration, request: Request, next: Next) -> Result<Response, Infallible> {
    let request = request.map(|body| Rest::of(body, time));
    let length = request.headers().get(header::CONTENT_LENGTH);
    let announced = length
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<usize>().ok());
    if announced.is_some_and(|n| n > json::MAX_BODY) {
        return Ok(json::too_large().into_response());
    }
    Ok(next
        .run(request.map(|body| Body::new(Limited::new(body, json::MAX_BODY))))
        .await)
}

mod rest;
#[cfg(test)]
mod tests;
