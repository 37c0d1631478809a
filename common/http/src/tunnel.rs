//! The tunnel's parts: dialling, serving HTTP/2 on a connection that we dialled, and being the HTTP/2 client on one that
//! was accepted. Which side plays which role is settled by the protocol's name, not here.
use crate::serve::{self, CONNECTION_WINDOW, Connections, Peer, RawConn, STREAM_WINDOW, ServeOptions};
use axum::{
    Router,
    body::Bytes,
    http::{Request, Response, Uri, uri},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{error::Error, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

/// Bytes of an answer at most.
pub const MAX_ANSWER: usize = 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How a silent peer is found out; together less than 10 s.
#[derive(Clone, Copy)]
struct KeepAlive {
    interval: Duration,
    timeout: Duration,
}

impl Default for KeepAlive {
    fn default() -> Self {
        let ServeOptions {
            keep_alive_interval: interval,
            keep_alive_timeout: timeout,
            ..
        } = ServeOptions::default();
        Self { interval, timeout }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name to verify is no DNS name and no address.
    #[error("{0:?} is not a name that a certificate can carry")]
    Name(String),
    /// Nobody answers at the address.
    #[error("cannot reach {addr}: {source}")]
    Connect {
        /// Host and port.
        addr: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The two ends did not agree: certificate, protocol, version.
    #[error("{addr} refused the handshake or was refused: {source}")]
    Handshake {
        /// Host and port.
        addr: String,
        /// The reason.
        source: io::Error,
    },
}

/// A connection that we dialled.
#[derive(Debug)]
pub struct Dialled {
    /// The other end; its certificate, and the exporter value of the connection.
    pub peer: Peer,
    /// The session.
    pub stream: TlsStream<TcpStream>,
}

/// Dials `addr` (`host:port`), verifies `name` and agrees on one of the protocols in `tls.alpn_protocols`. Whether our own
/// certificate was accepted shows only with the first answer (TLS 1.3).
pub async fn dial(addr: &str, name: &str, tls: Arc<ClientConfig>) -> Result<Dialled, DialError> {
    let server = ServerName::try_from(name.to_owned()).map_err(|_| DialError::Name(name.to_owned()))?;
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let unreachable = |source| DialError::Connect {
        addr: addr.to_owned(),
        source,
    };
    let refused = |source| DialError::Handshake {
        addr: addr.to_owned(),
        source,
    };
    let tcp = timeout(CONNECT, TcpStream::connect(addr))
        .await
        .unwrap_or_else(|_| Err(late()))
        .map_err(unreachable)?;
    let _ = tcp.set_nodelay(true);
    let to = tcp.peer_addr().map_err(unreachable)?;
    let must_agree = !tls.alpn_protocols.is_empty();
    let stream = timeout(HANDSHAKE, TlsConnector::from(tls).connect(server, tcp))
        .await
        .unwrap_or_else(|_| Err(late()))
        .map_err(refused)?;
    let shown = serve::tls_peer(stream.get_ref().1).map_err(refused)?;
    if must_agree && shown.alpn.is_empty() {
        return Err(refused(io::Error::other("the other end does not know the protocol")));
    }
    Ok(Dialled {
        peer: Peer::new(to, Some(shown)),
        stream,
    })
}

/// Serves HTTP/2 on a connection that we dialled, until the other end closes it or `stop` fires.
pub async fn serve_h2(
    dialled: Dialled,
    router: Router,
    options: &ServeOptions,
    connections: &Connections,
    stop: &CancellationToken,
) {
    let Dialled { peer, stream } = dialled;
    let accepted = serve::Accepted {
        registered: connections.register(peer.clone()),
        peer,
        stranger: None,
    };
    serve::serve_connection(stream, serve::Http::Two, router, accepted, options, stop).await;
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection had ended before the request was sent: it had no effect.
    #[error("the connection is closed")]
    Closed,
    /// No answer in time; the request may have had its effect.
    #[error("no answer in time")]
    Late,
    /// The answer is longer than [`MAX_ANSWER`].
    #[error("the answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
    /// The connection broke while the request was under way; it may have had its effect.
    #[error("the connection broke: {0}")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

/// The HTTP/2 client on one connection, dialled or accepted. Clones share the connection; it closes when the last one is
/// dropped.
#[derive(Clone, Debug)]
pub struct H2Client {
    sender: http2::SendRequest<Full<Bytes>>,
    peer: Peer,
    ended: CancellationToken,
    end: CancellationToken,
}

impl H2Client {
    /// On a connection that we dialled.
    pub async fn dialled(dialled: Dialled) -> Result<Self, hyper::Error> {
        let end = CancellationToken::new();
        Self::start(dialled.stream, dialled.peer, KeepAlive::default(), end, ()).await
    }

    /// On a connection that was accepted; it ends with its registration.
    pub async fn accepted(conn: RawConn) -> Result<Self, hyper::Error> {
        let end = conn.registered.killed();
        Self::start(conn.stream, conn.peer, KeepAlive::default(), end, conn.registered).await
    }

    async fn start<I, K>(
        io: I,
        peer: Peer,
        keep_alive: KeepAlive,
        end: CancellationToken,
        keep: K,
    ) -> Result<Self, hyper::Error>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        K: Send + 'static,
    {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(keep_alive.interval)
            .keep_alive_timeout(keep_alive.timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(STREAM_WINDOW as usize)
            .handshake(TokioIo::new(io))
            .await?;
        let ended = CancellationToken::new();
        let (over, ending, addr) = (ended.clone().drop_guard(), end.clone(), peer.addr);
        tokio::spawn(async move {
            tokio::select! {
                done = connection => if let Err(e) = done {
                    tracing::debug!(%addr, error = %e, "a tunnel's connection ended early");
                },
                () = ending.cancelled() => {}
            }
            drop((over, keep));
        });
        Ok(Self {
            sender,
            peer,
            ended,
            end,
        })
    }

    /// The other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.ended.is_cancelled() || self.sender.is_closed()
    }

    /// Waits until the connection has ended; a half-open one is noticed within 10 s.
    pub async fn closed(&self) {
        self.ended.cancelled().await;
    }

    /// Ends the connection at once.
    pub fn close(&self) {
        self.end.cancel();
    }

    /// Sends one request and reads its whole answer within `limit`. A path alone is enough for a URI.
    pub async fn request(
        &self,
        mut request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response<Bytes>, CallError> {
        if request.uri().authority().is_none() {
            *request.uri_mut() = absolute(request.uri());
        }
        let mut sender = self.sender.clone();
        let call = async {
            sender.ready().await.map_err(|_| CallError::Closed)?;
            let answer = sender.send_request(request).await.map_err(|e| {
                if e.is_canceled() {
                    CallError::Closed
                } else {
                    CallError::Broken(e.into())
                }
            })?;
            let (parts, body) = answer.into_parts();
            let bytes = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| {
                if e.is::<LengthLimitError>() {
                    CallError::TooLong
                } else {
                    CallError::Broken(e)
                }
            })?;
            Ok(Response::from_parts(parts, bytes.to_bytes()))
        };
        timeout(limit, call).await.unwrap_or(Err(CallError::Late))
    }
}

/// HTTP/2 needs scheme and authority; on a tunnel there is only one other end, so the name is fixed.
fn absolute(path: &Uri) -> Uri {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTPS);
    parts.authority = Some(uri::Authority::from_static("exarch.internal"));
    parts.path_and_query = Some(
        path.path_and_query()
            .cloned()
            .unwrap_or_else(|| uri::PathAndQuery::from_static("/")),
    );
    Uri::from_parts(parts).expect("scheme, authority and path make a URI")
}

#[cfg(test)]
mod tests;
