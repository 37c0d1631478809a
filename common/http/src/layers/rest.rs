//! A body on its way: it has so much time to come, and what is left of one that nobody read is read and thrown away. A connection that is closed on a caller who is still sending takes the answer
//! with it: the caller sees a broken connection instead of the refusal. So the rest is read, within limits; that of a body
//! which did not come in time is not waited for any longer.
use crate::json::BodyLate;
use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// Bytes that are read for the answer's sake at most.
const AT_MOST: usize = 8 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// A body that must come in time, and whose rest is read when it is dropped.
pub(super) struct Rest {
    body: Body,
    over: Pin<Box<Sleep>>,
    is_late: bool,
}

impl Rest {
    pub(super) fn of(body: Body, time: Duration) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Self {
            body,
            over: Box::pin(sleep(time)),
            is_late: false,
        })
    }
}

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // What is there already is taken, however long the handler thought before it read.
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending() && self.over.as_mut().poll(cx).is_ready() {
            self.is_late = true;
            return Poll::Ready(Some(Err(axum::Error::new(BodyLate))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if !self.is_late
            && !self.body.is_end_stream()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let body = std::mem::take(&mut self.body);
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
