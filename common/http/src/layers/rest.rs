//! What is left of a body that nobody read. A connection that is closed on a caller who is still sending takes the answer
//! with it: the caller sees a broken connection instead of the refusal. So the rest is read and thrown away, within limits.
use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// Bytes that are read for the answer's sake at most.
const AT_MOST: usize = 8 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// A body whose rest is read when it is dropped.
pub(super) struct Rest(Body);

impl Rest {
    pub(super) fn of(body: Body) -> Body {
        if body.is_end_stream() {
            body
        } else {
            Body::new(Self(body))
        }
    }
}

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if !self.0.is_end_stream()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let body = std::mem::take(&mut self.0);
            runtime.spawn(async move { tokio::time::timeout(PATIENCE, discard(body)).await });
        }
    }
}

async fn discard(mut body: Body) {
    let mut left = AT_MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else { return };
        left = rest;
    }
}
