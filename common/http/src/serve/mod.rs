//! One accept loop for every listener.
//!
//! - Plain HTTP, on loopback only.
//! - TLS 1.3. The protocol that the client offers (ALPN) decides which certificate rules apply and who serves the
//!   connection: a router, or a task that takes the raw connection (the reversed tunnel).
//!
//! A handshake and the beginning of a first request have time limits and a task of their own, and those who say nothing
//! have only so many places ([`half_open`]): a silent client holds nothing else. Certificates are replaced while serving. Sessions are never resumed: a resumed one would skip the check of the client's certificate.
mod connections;
mod half_open;
mod later;
mod listen;

pub use connections::{Connections, HangUp, Peer, Registered, TlsPeer};
pub use later::Later;
pub use listen::{BindError, PlainListener, TlsListener};

use self::half_open::{FirstBytes, HalfOpen, Stranger};
use axum::{Router, body::Body, http::Request};
use exarch_common_crypto::pki;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::{CommonState, ConnectionCommon, ProtocolVersion, ServerConfig, server::Acceptor};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// The label under which both ends of a connection export the value that service tokens are bound to.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-exarch-service";

/// Limits of a listener.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// For requests in flight once the stop began.
    pub grace: Duration,
    /// From the accepted socket to the agreed session.
    pub handshake: Duration,
    /// Until a connection has begun: the head of an HTTP/1 request, also of each further one, or the first bytes of HTTP/2.
    pub header_read: Duration,
    /// How long a peer may leave unread, or unacknowledged, what was written to it.
    pub unread: Duration,
    /// Open connections; further ones are closed at once.
    pub max_connections: usize,
    /// Of them those that have not begun; one more takes the place of the oldest.
    pub max_half_open: usize,
    /// Requests at a time on one connection.
    pub max_streams: u32,
    /// Bytes of a request's head.
    pub max_header_bytes: u32,
    /// HTTP/2: how often a silent peer is asked whether it is there.
    pub keep_alive_interval: Duration,
    /// HTTP/2: how long it may take to answer. With the interval it makes less than 10 s.
    pub keep_alive_timeout: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            header_read: Duration::from_secs(10),
            unread: Duration::from_secs(30),
            max_connections: 4096,
            max_half_open: 1024,
            max_streams: 128,
            max_header_bytes: 16 * 1024,
            keep_alive_interval: Duration::from_secs(3),
            keep_alive_timeout: Duration::from_secs(5),
        }
    }
}

/// Bytes that one stream, and one connection, may have in flight unread.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;
pub(crate) const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// One protocol of a TLS listener.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// As in ALPN: `h2`, `http/1.1`, `exarch-up/1` …
    pub alpn: &'static str,
    /// Certificate, and whether and which client certificates are asked for; read anew for every handshake.
    pub tls: watch::Receiver<Arc<ServerConfig>>,
    /// Without a client certificate the connection ends after the handshake, also where `tls` only asks for one.
    pub certificate: ClientCertificate,
    /// Who serves it.
    pub service: AlpnService,
}

/// Whether a protocol's clients must have shown a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// One that `tls` verified.
    Required,
    /// One or none: public pages, joining and enrolment.
    Optional,
}

/// Who serves the connections of a protocol.
#[derive(Clone, Debug)]
pub enum AlpnService {
    /// HTTP/1 for `http/1.1`, HTTP/2 for every other name.
    Router(Router),
    /// The connection as it is after the handshake. When the receiver's queue is full the connection is closed.
    Raw(mpsc::Sender<RawConn>),
}

impl Protocol {
    /// `h2` and `http/1.1` for one router: a public HTTPS listener.
    pub fn https(tls: &watch::Receiver<Arc<ServerConfig>>, router: &Router) -> Vec<Protocol> {
        ["h2", HTTP1]
            .into_iter()
            .map(|alpn| Protocol {
                alpn,
                tls: tls.clone(),
                certificate: ClientCertificate::Optional,
                service: AlpnService::Router(router.clone()),
            })
            .collect()
    }
}

const HTTP1: &str = "http/1.1";

/// A connection handed over after the handshake.
#[derive(Debug)]
pub struct RawConn {
    /// The other end.
    pub peer: Peer,
    /// The session.
    pub stream: TlsStream<TcpStream>,
    /// Keep it as long as the connection is used, and end when it says so.
    pub registered: Registered,
}

/// Serves plain HTTP until `stop`, then lets requests in flight finish within the grace.
pub async fn serve_plain(
    listener: PlainListener,
    router: Router,
    options: ServeOptions,
    connections: Connections,
    stop: CancellationToken,
) {
    let listening = Listening {
        options: Arc::new(options),
        connections,
        stop,
    };
    listening
        .run(listener.0, move |l, tcp, addr, stranger| {
            let router = router.clone();
            async move {
                let peer = Peer::new(addr, None);
                let accepted = Accepted {
                    registered: l.connections.register(peer.clone()),
                    peer,
                    stranger: Some(stranger),
                };
                serve_connection(tcp, Http::Either, router, accepted, &l.options, &l.stop).await;
            }
        })
        .await;
}

/// Serves TLS until `stop`, then lets requests in flight finish within the grace. Of the protocols that a client offers,
/// the first of ours is taken.
pub async fn serve_tls(
    listener: TlsListener,
    protocols: Vec<Protocol>,
    options: ServeOptions,
    connections: Connections,
    stop: CancellationToken,
) {
    let listening = Listening {
        options: Arc::new(options),
        connections,
        stop,
    };
    let protocols: Arc<[Protocol]> = protocols.into();
    listening
        .run(listener.0, move |l, tcp, addr, stranger| {
            let protocols = protocols.clone();
            async move {
                let shaken = tokio::select! {
                    shaken = timeout(l.options.handshake, handshake(tcp, &protocols)) => shaken,
                    () = stranger.evicted() => return refused(addr, PUSHED_OUT),
                };
                let (protocol, stream) = match shaken {
                    Ok(Ok(x)) => x,
                    Ok(Err(e)) => return refused(addr, &e.to_string()),
                    Err(_) => return refused(addr, "the handshake took too long"),
                };
                let tls = match tls_peer(stream.get_ref().1) {
                    Ok(tls) => tls,
                    Err(e) => return refused(addr, &e.to_string()),
                };
                if protocol.certificate == ClientCertificate::Required && tls.certificate.is_none() {
                    return refused(addr, "the client has no certificate");
                }
                let peer = Peer::new(addr, Some(tls));
                let registered = l.connections.register(peer.clone());
                match protocol.service {
                    AlpnService::Router(router) => {
                        let http = if protocol.alpn == HTTP1 { Http::One } else { Http::Two };
                        let accepted = Accepted {
                            peer,
                            registered,
                            stranger: Some(stranger),
                        };
                        serve_connection(stream, http, router, accepted, &l.options, &l.stop).await;
                    }
                    AlpnService::Raw(taker) => {
                        let conn = RawConn {
                            peer,
                            stream,
                            registered,
                        };
                        if taker.try_send(conn).is_err() {
                            refused(addr, "nobody takes this protocol's connections now");
                        }
                    }
                }
            }
        })
        .await;
}

#[derive(Clone)]
struct Listening {
    options: Arc<ServeOptions>,
    connections: Connections,
    stop: CancellationToken,
}

impl Listening {
    async fn run<F>(self, listener: TcpListener, serve: impl Fn(Listening, TcpStream, SocketAddr, Stranger) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let half_open = HalfOpen::new(self.options.max_half_open);
        let slots = Arc::new(Semaphore::new(self.options.max_connections));
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (tcp, addr) = match accepted {
                Ok(x) => x,
                Err(e) => {
                    // Out of descriptors, most likely: it passes when a connection ends.
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(slot) = slots.clone().try_acquire_owned() else {
                refused(addr, "too many connections");
                continue;
            };
            // Without it small answers wait for acknowledgements.
            let _ = tcp.set_nodelay(true);
            // The kernel keeps this limit for every protocol above it; one that cannot has the others' limits still.
            let unread = u32::try_from(self.options.unread.as_millis()).unwrap_or(u32::MAX);
            let _ = rustix::net::sockopt::set_tcp_user_timeout(&tcp, unread);
            let serving = serve(self.clone(), tcp, addr, half_open.enter());
            tasks.spawn(async move {
                serving.await;
                drop(slot);
            });
        }
        drop(listener);
        tasks.close();
        // A connection ends itself at the end of the grace; handshakes that hang are the reason for the limit here.
        let _ = timeout(self.options.grace + Duration::from_millis(500), tasks.wait()).await;
    }
}

const PUSHED_OUT: &str = "it said nothing for longest of too many";

fn refused(addr: SocketAddr, why: &str) {
    metrics::counter!("exarch_connections_refused_total").increment(1);
    tracing::debug!(%addr, why, "a connection was refused");
}

/// Reads the client's hello, picks the protocol, and shakes hands by that protocol's rules.
async fn handshake(tcp: TcpStream, protocols: &[Protocol]) -> io::Result<(Protocol, TlsStream<TcpStream>)> {
    let none = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the client offers no protocol that is served here",
        )
    };
    let start = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
    let offered: Option<Vec<Vec<u8>>> = start
        .client_hello()
        .alpn()
        .map(|names| names.map(<[u8]>::to_vec).collect());
    let chosen = match &offered {
        Some(names) => protocols.iter().find(|p| names.iter().any(|n| n == p.alpn.as_bytes())),
        None => protocols.iter().find(|p| p.alpn == HTTP1),
    };
    // With a foreign offer the handshake goes on under any of our names, and rustls ends it with the proper alert.
    let protocol = match (chosen, offered) {
        (Some(protocol), _) => protocol,
        (None, Some(_)) => protocols.first().ok_or_else(none)?,
        (None, None) => return Err(none()),
    };
    let mut config = ServerConfig::clone(&protocol.tls.borrow());
    config.alpn_protocols = vec![protocol.alpn.as_bytes().to_vec()];
    config.send_tls13_tickets = 0;
    let stream = start.into_stream(Arc::new(config)).await?;
    Ok((protocol.clone(), stream))
}

/// What both ends learn from a finished handshake.
pub(crate) fn tls_peer<D>(connection: &ConnectionCommon<D>) -> io::Result<TlsPeer> {
    let state: &CommonState = connection;
    if state.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the session is not TLS 1.3"));
    }
    let exporter = connection
        .export_keying_material([0; 32], EXPORTER_LABEL, None)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let leaf = state.peer_certificates().and_then(|chain| chain.first());
    Ok(TlsPeer {
        certificate: leaf
            .map(|der| pki::Peer::read(der))
            .transpose()
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?,
        alpn: state.alpn_protocol().unwrap_or_default().to_vec(),
        exporter,
    })
}

#[derive(Clone, Copy)]
pub(crate) enum Http {
    One,
    Two,
    Either,
}

/// A connection as it comes to be served.
pub(crate) struct Accepted {
    pub(crate) peer: Peer,
    pub(crate) registered: Registered,
    /// For one that was accepted: it must begin in time.
    pub(crate) stranger: Option<Stranger>,
}

/// Serves one connection until it ends, is killed, has not begun in time, or the grace after the stop is over.
pub(crate) async fn serve_connection<I>(
    io: I,
    http: Http,
    router: Router,
    accepted: Accepted,
    options: &ServeOptions,
    stop: &CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Accepted {
        peer,
        registered,
        stranger,
    } = accepted;
    let addr = peer.addr;
    let hang_up = HangUp(registered.killed());
    let io = FirstBytes::of(io, stranger.clone());
    let caller = stranger.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        if let Some(caller) = &caller {
            caller.known();
        }
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(hang_up.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_read)
        .max_buf_size(options.max_header_bytes.max(8192) as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.max_streams)
        .max_header_list_size(options.max_header_bytes)
        // Streams that were opened and reset before they were served: beyond this the connection ends.
        .max_pending_accept_reset_streams(32)
        .max_local_error_reset_streams(256)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_WINDOW as usize)
        .keep_alive_interval(options.keep_alive_interval)
        .keep_alive_timeout(options.keep_alive_timeout);
    let builder = match http {
        Http::One => builder.http1_only(),
        Http::Two => builder.http2_only(),
        Http::Either => builder,
    };
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service));
    let killed = registered.killed();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = killed.cancelled() => return,
        why = silent(stranger.as_ref(), options.header_read) => return refused(addr, why),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = killed.cancelled() => return,
                () = tokio::time::sleep(options.grace) => return,
            }
        }
    };
    if let Err(e) = ended {
        tracing::debug!(%addr, error = %e, "a connection ended early");
    }
}

/// Comes when a stranger has not begun in time or gave up its place; says which.
async fn silent(stranger: Option<&Stranger>, limit: Duration) -> &'static str {
    let Some(stranger) = stranger else {
        return std::future::pending().await;
    };
    tokio::select! {
        () = stranger.evicted() => PUSHED_OUT,
        () = stranger.late(limit) => "it began no request in time",
    }
}

#[cfg(test)]
mod tests;
