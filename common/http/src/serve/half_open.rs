//! Connections that have not said anything yet: no handshake finished, no request begun. Each costs its caller nothing, so
//! there is room for so many and no more; one beyond that takes the place of the one that has waited longest. Who means it
//! is through within milliseconds, and is shut out by nobody who only connects.
use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// With these bytes a client begins HTTP/2 (RFC 9113, 3.4). From then on it is asked whether it is there.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Those of one listener, oldest first.
#[derive(Debug)]
pub(super) struct HalfOpen {
    room: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    evict: BTreeMap<u64, CancellationToken>,
}

impl HalfOpen {
    pub(super) fn new(room: usize) -> Arc<Self> {
        Arc::new(Self {
            room,
            waiting: Mutex::default(),
        })
    }

    /// One more; where there is no room the oldest is told to go.
    pub(super) fn enter(self: &Arc<Self>) -> Stranger {
        let evicted = CancellationToken::new();
        let mut waiting = self.lock();
        let id = waiting.next;
        waiting.next += 1;
        waiting.evict.insert(id, evicted.clone());
        if waiting.evict.len() > self.room
            && let Some((_, oldest)) = waiting.evict.pop_first()
        {
            oldest.cancel();
        }
        Stranger(Arc::new(Entry {
            id,
            of: self.clone(),
            evicted,
            known: CancellationToken::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no holder of this lock panics")
    }
}

#[derive(Debug)]
struct Entry {
    id: u64,
    of: Arc<HalfOpen>,
    evicted: CancellationToken,
    known: CancellationToken,
}

impl Entry {
    fn leave(&self) {
        self.of.lock().evict.remove(&self.id);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A connection that may be told to go as long as it has said nothing. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Stranger(Arc<Entry>);

impl Stranger {
    /// It has begun: from now on it is not in anybody's way.
    pub(super) fn known(&self) {
        if !self.0.known.is_cancelled() {
            self.0.known.cancel();
            self.0.leave();
        }
    }

    /// Comes when another takes its place; never once it is known.
    pub(super) async fn evicted(&self) {
        tokio::select! {
            biased;
            () = self.0.known.cancelled() => std::future::pending().await,
            () = self.0.evicted.cancelled() => {}
        }
    }

    /// Comes after `limit`; never once it is known.
    pub(super) async fn late(&self, limit: Duration) {
        if timeout(limit, self.0.known.cancelled()).await.is_ok() {
            std::future::pending().await
        }
    }
}

/// A connection whose first bytes are looked at: the beginning of HTTP/2 makes a stranger known, as a request does.
pub(super) struct FirstBytes<I> {
    io: I,
    stranger: Option<Stranger>,
    seen: usize,
}

impl<I> FirstBytes<I> {
    pub(super) fn of(io: I, stranger: Option<Stranger>) -> Self {
        Self { io, stranger, seen: 0 }
    }

    fn look(&mut self, read: &[u8]) {
        let Some(stranger) = &self.stranger else { return };
        let expected = &PREFACE[self.seen..];
        let n = read.len().min(expected.len());
        self.seen += n;
        if read[..n] != expected[..n] {
            self.stranger = None;
        } else if self.seen == PREFACE.len() {
            stranger.known();
            self.stranger = None;
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for FirstBytes<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if self.stranger.is_some() {
            self.look(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for FirstBytes<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
