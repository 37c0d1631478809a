use super::*;
use crate::{
    client::{ApiClient, ClientTls},
    pki_for_tests::{Pki, Running, protocol, start},
    tunnel::{CallError, DialError, H2Client, dial},
};
use axum::{
    Extension,
    body::Bytes,
    http::{Method, Version},
    routing::{get, post},
};
use exarch_common_crypto::tls::Clients;
use http_body_util::Full;
use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

mod idle;

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);

async fn whoami(Extension(peer): Extension<Peer>) -> String {
    let identity = peer.certificate().and_then(|c| c.identity()).unwrap_or("nobody");
    format!("{identity} {}", String::from_utf8_lossy(peer.alpn()))
}

fn router() -> Router {
    Router::new()
        .route("/whoami", get(whoami))
        .route(
            "/exporter",
            get(|Extension(peer): Extension<Peer>| async move { peer.exporter().unwrap().to_vec() }),
        )
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/much", get(|| async { vec![0; 64 << 20] }))
        .route("/forever", get(std::future::pending::<()>))
}

/// `up` needs a certificate, `join` does not; one configuration serves both.
async fn listener(pki: &Pki, options: ServeOptions) -> (Running, watch::Sender<Arc<ServerConfig>>) {
    let (live, tls) = watch::channel(pki.server(Clients::Optional));
    let up = protocol(
        "exarch-up/1",
        &tls,
        ClientCertificate::Required,
        AlpnService::Router(router()),
    );
    let join = protocol(
        "exarch-join/1",
        &tls,
        ClientCertificate::Optional,
        AlpnService::Router(router()),
    );
    let old = protocol(
        "http/1.1",
        &tls,
        ClientCertificate::Optional,
        AlpnService::Router(router()),
    );
    (start(vec![up, join, old], options).await, live)
}

async fn client(running: &Running, tls: Arc<ClientConfig>) -> Result<H2Client, DialError> {
    let dialled = dial(&running.addr.to_string(), "localhost", tls).await?;
    Ok(H2Client::dialled(dialled).await.unwrap())
}

fn request_for(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

async fn text(client: &H2Client, path: &str) -> Result<String, CallError> {
    let answer = client.request(request_for(path), LONG).await?;
    assert_eq!(answer.status(), 200, "{path}");
    Ok(String::from_utf8_lossy(answer.body()).into_owned())
}

#[tokio::test]
async fn plain_http_is_refused_on_every_address_that_others_reach() {
    for addr in [
        "0.0.0.0:0",
        "[::]:0",
        "192.0.2.1:0",
        "[::ffff:192.0.2.1]:0",
        "10.0.0.1:0",
    ] {
        let addr: SocketAddr = addr.parse().unwrap();
        let refused = PlainListener::bind(addr).await.unwrap_err();
        assert!(matches!(refused, BindError::NotLoopback(at) if at == addr), "{refused}");
        assert!(refused.to_string().contains(&addr.to_string()), "{refused}");
    }
    assert!(PlainListener::bind(([127, 0, 0, 1], 0).into()).await.is_ok());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = PlainListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let addr = first.local_addr().unwrap();
    for refused in [
        PlainListener::bind(addr).await.err(),
        TlsListener::bind(addr).await.err(),
    ] {
        let refused = refused.unwrap();
        assert!(matches!(refused, BindError::InUse(at) if at == addr));
        assert!(
            refused.to_string().starts_with(&format!("{addr} is in use")),
            "{refused}"
        );
    }
    let absent = TlsListener::bind("192.0.2.1:0".parse().unwrap()).await.unwrap_err();
    assert!(
        matches!(absent, BindError::Other { .. }) && absent.to_string().contains("192.0.2.1"),
        "{absent}"
    );
}

#[tokio::test]
async fn the_protocol_that_the_client_offers_decides() {
    let pki = Pki::new();
    let (running, _live) = listener(&pki, ServeOptions::default()).await;
    let uri = Some("exarch://region/reg_1");
    let up = client(&running, pki.client(uri, &["exarch-up/1"])).await.unwrap();
    assert_eq!(text(&up, "/whoami").await.unwrap(), "exarch://region/reg_1 exarch-up/1");
    let join = client(&running, pki.client(None, &["exarch-join/1"])).await.unwrap();
    assert_eq!(text(&join, "/whoami").await.unwrap(), "nobody exarch-join/1");
    let both = client(&running, pki.client(uri, &["exarch-join/1", "exarch-up/1"]))
        .await
        .unwrap();
    assert_eq!(
        text(&both, "/whoami").await.unwrap(),
        "exarch://region/reg_1 exarch-up/1"
    );
    let old = dial(&running.addr.to_string(), "localhost", pki.client(None, &[]))
        .await
        .unwrap();
    assert_eq!(http_1(old.stream).await, "nobody ", "without an offer it is HTTP/1");
    let foreign = client(&running, pki.client(uri, &["h3"])).await.unwrap_err();
    assert!(matches!(foreign, DialError::Handshake { .. }), "{foreign}");
    drop((up, join, both));
    let (_live, tls) = watch::channel(pki.server(Clients::Optional));
    let only = protocol(
        "exarch-join/1",
        &tls,
        ClientCertificate::Optional,
        AlpnService::Router(router()),
    );
    let running = start(vec![only], ServeOptions::default()).await;
    assert!(
        dial(&running.addr.to_string(), "localhost", pki.client(None, &[]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn without_a_certificate_only_the_protocols_for_it_answer() {
    let pki = Pki::new();
    let (running, _live) = listener(&pki, ServeOptions::default()).await;
    let bare = client(&running, pki.client(None, &["exarch-up/1"])).await;
    if let Ok(bare) = bare {
        assert!(text(&bare, "/whoami").await.is_err());
    }
    // A listener whose own rules demand one refuses within the handshake.
    let (_live, tls) = watch::channel(pki.server(Clients::Required));
    let strict = protocol(
        "exarch-up/1",
        &tls,
        ClientCertificate::Required,
        AlpnService::Router(router()),
    );
    let running = start(vec![strict], ServeOptions::default()).await;
    if let Ok(bare) = client(&running, pki.client(None, &["exarch-up/1"])).await {
        assert!(text(&bare, "/whoami").await.is_err());
    }
    assert_eq!(running.connections.open(), 0);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_on_both_sides() {
    let (pki, foreign) = (Pki::new(), Pki::new());
    let (running, _live) = listener(&pki, ServeOptions::default()).await;
    let stranger = client(
        &running,
        foreign.client(Some("exarch://region/reg_1"), &["exarch-up/1"]),
    )
    .await;
    assert!(
        matches!(stranger, Err(DialError::Handshake { .. })),
        "the client does not know the server"
    );
    let mut trusting = ClientConfig::clone(&pki.client(None, &["exarch-up/1"]));
    let theirs = foreign.client(Some("exarch://region/reg_1"), &[]);
    trusting.client_auth_cert_resolver = theirs.client_auth_cert_resolver.clone();
    if let Ok(c) = client(&running, Arc::new(trusting)).await {
        assert!(
            text(&c, "/whoami").await.is_err(),
            "the server does not know the client"
        );
    }
}

#[tokio::test]
async fn tls_1_2_and_plain_text_are_refused() {
    let pki = Pki::new();
    let (running, _live) = listener(&pki, ServeOptions::default()).await;
    // A hello of TLS 1.2: no supported_versions; one suite, P-256, ECDSA, ALPN http/1.1.
    let extensions: &[u8] = &[
        0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17, // supported_groups
        0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03, // signature_algorithms
        0x00, 0x10, 0x00, 0x0b, 0x00, 0x09, 0x08, b'h', b't', b't', b'p', b'/', b'1', b'.', b'1',
    ];
    let mut body = vec![0x03, 0x03];
    body.extend([7; 32]);
    body.extend([0x00, 0x00, 0x02, 0xc0, 0x2b, 0x01, 0x00]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut hello = vec![0x16, 0x03, 0x01];
    hello.extend((body.len() as u16 + 4).to_be_bytes());
    hello.extend([0x01, 0x00]);
    hello.extend((body.len() as u16).to_be_bytes());
    hello.extend(body);
    let answer = exchange(running.addr, &hello).await;
    assert_eq!(answer.get(..2), Some(&[0x15, 0x03][..]), "an alert");
    assert_eq!(answer.last(), Some(&70), "protocol_version");
    let plain = exchange(running.addr, b"GET /whoami HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(!plain.starts_with(b"HTTP"));
    assert_eq!(running.connections.open(), 0);
}

/// A plain listener on a free port.
async fn plain(options: ServeOptions) -> (SocketAddr, CancellationToken) {
    let listener = PlainListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let (addr, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    tokio::spawn(serve_plain(
        listener,
        router(),
        options,
        Connections::new(),
        stop.clone(),
    ));
    (addr, stop)
}

async fn exchange(addr: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    tcp.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A reset instead of an end is as good a refusal.
    let _ = timeout(LONG, tcp.read_to_end(&mut answer))
        .await
        .expect("the server ends the connection");
    answer
}

#[tokio::test]
async fn the_exporter_is_the_same_at_both_ends_and_another_on_each_connection() {
    let pki = Pki::new();
    let (running, _live) = listener(&pki, ServeOptions::default()).await;
    let tls = pki.client(None, &["exarch-join/1"]);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let c = client(&running, tls.clone()).await.unwrap();
        let theirs = c.request(request_for("/exporter"), LONG).await.unwrap().into_body();
        assert_eq!(c.peer().exporter().unwrap()[..], theirs[..]);
        seen.push(theirs);
    }
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_new_certificate_serves_the_next_connection() {
    let pki = Pki::new();
    let (running, live) = listener(&pki, ServeOptions::default()).await;
    let shown = async || {
        let c = client(&running, pki.client(None, &["exarch-join/1"])).await.unwrap();
        c.peer().certificate().unwrap().thumbprint
    };
    let first = shown().await;
    assert_eq!(shown().await, first);
    live.send(pki.server(Clients::Optional)).unwrap();
    assert_ne!(shown().await, first);
}

#[tokio::test]
async fn closing_by_certificate_ends_that_peer_and_no_other() {
    let pki = Pki::new();
    let (running, _live) = listener(&pki, ServeOptions::default()).await;
    let revoked = client(&running, pki.client(Some("exarch://agent/1"), &["exarch-up/1"]))
        .await
        .unwrap();
    let other = client(&running, pki.client(Some("exarch://agent/2"), &["exarch-up/1"]))
        .await
        .unwrap();
    assert!(text(&revoked, "/whoami").await.is_ok() && text(&other, "/whoami").await.is_ok());
    let waiting = tokio::spawn({
        let revoked = revoked.clone();
        async move { revoked.request(request_for("/forever"), LONG).await }
    });
    let is_first = |p: &Peer| p.certificate().and_then(|c| c.identity()) == Some("exarch://agent/1");
    assert_eq!(running.connections.close_where(is_first), 1);
    timeout(LONG, revoked.closed()).await.expect("the connection ends");
    assert!(waiting.await.unwrap().is_err());
    assert!(text(&other, "/whoami").await.is_ok());
    assert!(matches!(text(&revoked, "/whoami").await, Err(CallError::Closed)));
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_takes_no_new_connections() {
    let pki = Pki::new();
    let (go, release) = oneshot::channel::<()>();
    let (entered, inside) = oneshot::channel::<()>();
    let once = Arc::new(std::sync::Mutex::new(Some((entered, release))));
    let slow = Router::new().route(
        "/slow",
        get(move || {
            let taken = once.lock().unwrap().take();
            async move {
                let (entered, release) = taken.expect("called once");
                entered.send(()).unwrap();
                release.await.unwrap();
                "done"
            }
        }),
    );
    let (_live, tls) = watch::channel(pki.server(Clients::Optional));
    let only = protocol(
        "exarch-join/1",
        &tls,
        ClientCertificate::Optional,
        AlpnService::Router(slow),
    );
    let running = start(vec![only], ServeOptions::default()).await;
    let c = client(&running, pki.client(None, &["exarch-join/1"])).await.unwrap();
    let answer = tokio::spawn(async move { text(&c, "/slow").await });
    inside.await.unwrap();
    running.stop.cancel();
    while TcpStream::connect(running.addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.task.is_finished());
    go.send(()).unwrap();
    assert_eq!(answer.await.unwrap().unwrap(), "done");
    timeout(LONG, running.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_beyond_the_grace() {
    let pki = Pki::new();
    let options = ServeOptions {
        grace: Duration::from_millis(50),
        ..ServeOptions::default()
    };
    let (running, _live) = listener(&pki, options).await;
    let c = client(&running, pki.client(None, &["exarch-join/1"])).await.unwrap();
    assert!(text(&c, "/whoami").await.is_ok());
    let hanging = tokio::spawn(async move { c.request(request_for("/forever"), LONG).await });
    running.stop.cancel();
    timeout(LONG, running.task).await.unwrap().unwrap();
    assert!(matches!(
        hanging.await.unwrap(),
        Err(CallError::Broken(_) | CallError::Closed)
    ));
}

#[tokio::test]
async fn a_raw_connection_is_handed_over_and_refused_when_nobody_takes_it() {
    let pki = Pki::new();
    let (_live, tls) = watch::channel(pki.server(Clients::Required));
    let (taker, mut taken) = mpsc::channel(1);
    let down = protocol(
        "exarch-down/1",
        &tls,
        ClientCertificate::Required,
        AlpnService::Raw(taker),
    );
    let running = start(vec![down], ServeOptions::default()).await;
    let tls = pki.client(Some("exarch://region/reg_1"), &["exarch-down/1"]);
    let addr = running.addr.to_string();
    let mut first = dial(&addr, "localhost", tls.clone()).await.unwrap();
    let mut raw = taken.recv().await.unwrap();
    assert_eq!(
        raw.peer.certificate().unwrap().identity(),
        Some("exarch://region/reg_1")
    );
    assert_eq!(raw.peer.exporter(), first.peer.exporter());
    raw.stream.write_all(b"hello").await.unwrap();
    raw.stream.flush().await.unwrap();
    let mut read = [0; 5];
    first.stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"hello");
    drop(raw);
    assert_eq!(running.connections.open(), 0);
    drop(taken);
    let mut second = dial(&addr, "localhost", tls).await.unwrap();
    let ended = timeout(LONG, second.stream.read(&mut read)).await.unwrap();
    assert!(!matches!(ended, Ok(n) if n > 0));
}

const ASK: &[u8] = b"GET /whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// The body of the answer to [`ASK`].
async fn http_1(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream.write_all(ASK).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn http_1_is_served_where_it_is_offered_and_plain_on_loopback() {
    let pki = Pki::new();
    let (running, _live) = listener(&pki, ServeOptions::default()).await;
    let tls = pki.client(None, &["http/1.1"]);
    let dialled = dial(&running.addr.to_string(), "localhost", tls).await.unwrap();
    assert_eq!(http_1(dialled.stream).await, "nobody http/1.1");

    let (addr, stop) = plain(ServeOptions::default()).await;
    let answer = exchange(addr, ASK).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    let long = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "a".repeat(64 * 1024)
    );
    let answer = exchange(addr, long.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    stop.cancel();
}

#[tokio::test]
async fn a_public_listener_asks_nobody_for_a_certificate_and_speaks_http_2() {
    let pki = Pki::new();
    let (_live, tls) = watch::channel(pki.server(Clients::None));
    let running = start(Protocol::https(&tls, &router()), ServeOptions::default()).await;
    let config = ClientConfig::clone(&pki.client(Some("exarch://region/reg_1"), &[]));
    let api = ApiClient::new(
        &format!("https://localhost:{}", running.addr.port()),
        ClientTls::Private(Box::new(config)),
    )
    .unwrap();
    let answer = api.open(api.request(Method::GET, "/whoami")).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(answer.text().await.unwrap(), "nobody h2");
}

#[test]
fn a_dead_peer_is_noticed_within_ten_seconds() {
    let options = ServeOptions::default();
    assert!(options.keep_alive_interval + options.keep_alive_timeout + SECOND < Duration::from_secs(10));
}
