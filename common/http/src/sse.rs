//! Server-sent events.
use axum::{
    http::{HeaderMap, header},
    response::sse::{Event, KeepAlive, KeepAliveStream, Sse},
};
use futures_util::Stream;
use std::time::Duration;

/// Whether the caller asks for events rather than one answer.
pub fn wants_events(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter();
    accepts
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|kind| {
            let mut parts = kind.split(';').map(str::trim);
            let is_events = parts.next() == Some("text/event-stream");
            // a weight of nothing is how a caller says that it does not want it
            is_events && !parts.any(|p| p.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0)))
        })
}

/// An answer that sends events as they come, and a comment every 15 s so that neither end takes silence for a dead
/// connection.
pub fn events<S>(stream: S) -> Sse<KeepAliveStream<S>>
where
    S: Stream<Item = Result<Event, axum::Error>> + Send + 'static,
{
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
