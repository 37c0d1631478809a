//! Lists that watch: the same route with `Accept: text/event-stream`.
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
    response::sse::{Event, KeepAlive, KeepAliveStream, Sse},
};
use futures_util::Stream;
use std::{convert::Infallible, time::Duration};

/// Whether the caller asked for events rather than one page.
#[derive(Clone, Copy, Debug)]
pub struct WantsEvents(pub bool);

impl<S: Send + Sync> FromRequestParts<S> for WantsEvents {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let accepts = parts.headers.get_all(header::ACCEPT).iter();
        let wants = accepts
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|kind| kind.split(';').next().is_some_and(|k| k.trim() == "text/event-stream"));
        Ok(Self(wants))
    }
}

/// An answer that sends events as they come, and a comment every 15 s so that neither end takes silence for a dead
/// connection.
pub fn events<S>(stream: S) -> Sse<KeepAliveStream<S>>
where
    S: Stream<Item = Result<Event, axum::Error>> + Send + 'static,
{
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
