use super::*;
use crate::{
    pki_for_tests::{Pki, Running, protocol, start},
    serve::{AlpnService, ClientCertificate},
};
use axum::{
    Extension,
    body::Body,
    extract::Path,
    routing::{get, post},
};
use exarch_common_crypto::tls::Clients;
use rustls::ServerConfig;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};

const LONG: Duration = Duration::from_secs(20);
const DOWN: &str = "exarch-down/1";

fn router() -> Router {
    Router::new()
        .route("/n/{n}", get(|Path(n): Path<u32>| async move { n.to_string() }))
        .route(
            "/exporter",
            get(|Extension(peer): Extension<Peer>| async move { peer.exporter().unwrap().to_vec() }),
        )
        .route("/forever", get(std::future::pending::<()>))
        .route("/long", get(|| async { vec![0_u8; MAX_ANSWER + 1] }))
        .route(
            "/drip",
            get(|| async { Body::from_stream(futures_util::stream::pending::<Result<Bytes, io::Error>>()) }),
        )
        .route("/echo", post(|body: Bytes| async move { body }))
}

/// The gateway dials and serves; the global accepts and calls.
struct Tunnel {
    global: Running,
    caller: H2Client,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    _tls: watch::Sender<Arc<ServerConfig>>,
}

async fn tunnel_through(keep_alive: KeepAlive, proxy: Option<&Proxy>) -> Tunnel {
    let pki = Pki::new();
    let (live, tls) = watch::channel(pki.server(Clients::Required));
    let (taker, mut taken) = mpsc::channel(4);
    let down = protocol(DOWN, &tls, ClientCertificate::Required, AlpnService::Raw(taker));
    let global = start(vec![down], ServeOptions::default()).await;
    let to = match proxy {
        Some(proxy) => proxy.forward(global.addr).await,
        None => global.addr,
    };
    let client = pki.client(Some("exarch://region/reg_1"), &[DOWN]);
    let dialled = dial(&to.to_string(), "localhost", client).await.unwrap();
    let stop = CancellationToken::new();
    let token = stop.clone();
    let options = ServeOptions {
        keep_alive_interval: keep_alive.interval,
        keep_alive_timeout: keep_alive.timeout,
        ..ServeOptions::default()
    };
    let serving = tokio::spawn(async move { serve_h2(dialled, router(), &options, &Connections::new(), &token).await });
    let raw = taken.recv().await.unwrap();
    let killed = raw.registered.killed();
    let caller = H2Client::start(raw.stream, raw.peer, keep_alive, killed, raw.registered)
        .await
        .unwrap();
    Tunnel {
        global,
        caller,
        serving,
        stop,
        _tls: live,
    }
}

async fn tunnel() -> Tunnel {
    tunnel_through(KeepAlive::default(), None).await
}

fn request_for(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

#[tokio::test]
async fn the_side_that_accepted_calls_the_side_that_dialled_many_times_at_once() {
    let t = tunnel().await;
    let calls = (0..200).map(|n| {
        let caller = t.caller.clone();
        tokio::spawn(async move {
            let answer = caller.request(request_for(&format!("/n/{n}")), LONG).await.unwrap();
            assert_eq!(answer.body(), n.to_string().as_bytes());
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let theirs = t.caller.request(request_for("/exporter"), LONG).await.unwrap();
    assert_eq!(t.caller.peer().exporter().unwrap()[..], theirs.body()[..]);
}

#[tokio::test]
async fn a_call_that_waits_or_drips_delays_no_other() {
    let t = tunnel().await;
    let slow: Vec<_> = ["/forever", "/drip"]
        .into_iter()
        .map(|path| {
            let caller = t.caller.clone();
            tokio::spawn(async move { caller.request(request_for(path), Duration::from_millis(200)).await })
        })
        .collect();
    assert_eq!(t.caller.request(request_for("/n/1"), LONG).await.unwrap().status(), 200);
    for call in slow {
        assert!(matches!(call.await.unwrap(), Err(CallError::Late)));
    }
    assert!(!t.caller.is_closed());
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_and_the_connection_goes_on() {
    let t = tunnel().await;
    assert!(matches!(
        t.caller.request(request_for("/long"), LONG).await,
        Err(CallError::TooLong)
    ));
    let whole = Bytes::from(vec![7; MAX_ANSWER]);
    let echo = Request::post("/echo").body(Full::new(whole.clone())).unwrap();
    assert_eq!(t.caller.request(echo, LONG).await.unwrap().into_body(), whole);
}

#[tokio::test]
async fn both_ends_see_the_other_leave() {
    let t = tunnel().await;
    t.stop.cancel();
    timeout(LONG, t.caller.closed()).await.expect("the caller sees it");
    t.serving.await.unwrap();
    assert!(matches!(
        t.caller.request(request_for("/n/1"), LONG).await,
        Err(CallError::Closed)
    ));

    let t = tunnel().await;
    t.caller.close();
    timeout(LONG, t.serving)
        .await
        .expect("the serving side sees it")
        .unwrap();
    timeout(LONG, t.caller.closed()).await.unwrap();

    let t = tunnel().await;
    assert_eq!(t.global.connections.close_where(|_| true), 1);
    timeout(LONG, t.caller.closed()).await.unwrap();
    timeout(LONG, t.serving).await.unwrap().unwrap();
    assert_eq!(t.global.connections.open(), 0);
}

#[tokio::test]
async fn a_connection_that_went_silent_is_noticed_at_both_ends() {
    let proxy = Proxy::default();
    let quick = KeepAlive {
        interval: Duration::from_millis(50),
        timeout: Duration::from_millis(100),
    };
    let t = tunnel_through(quick, Some(&proxy)).await;
    assert_eq!(t.caller.request(request_for("/n/1"), LONG).await.unwrap().status(), 200);
    proxy.go_silent();
    timeout(LONG, t.caller.closed()).await.expect("the caller notices");
    timeout(LONG, t.serving)
        .await
        .expect("the serving side notices")
        .unwrap();
}

#[tokio::test]
async fn nobody_at_the_address_is_told_with_the_address() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let client = Pki::new().client(None, &[DOWN]);
    let refused = dial(&free, "localhost", client.clone()).await.unwrap_err();
    assert!(
        matches!(refused, DialError::Connect { .. }) && refused.to_string().contains(&free),
        "{refused}"
    );
    assert!(matches!(
        dial(&free, "not a name", client).await,
        Err(DialError::Name(_))
    ));
}

#[test]
fn a_silent_peer_is_noticed_within_ten_seconds() {
    let KeepAlive { interval, timeout } = KeepAlive::default();
    assert!(interval + timeout < Duration::from_secs(9));
}

/// Forwards bytes until told to swallow them, as a network does that lost its state.
#[derive(Clone, Default)]
struct Proxy(CancellationToken);

impl Proxy {
    fn go_silent(&self) {
        self.0.cancel();
    }

    async fn forward(&self, to: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let silent = self.0.clone();
        tokio::spawn(async move {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(to).await.unwrap();
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            tokio::join!(pump(near_in, far_out, silent.clone()), pump(far_in, near_out, silent));
        });
        addr
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, silent: CancellationToken) {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) if silent.is_cancelled() => std::future::pending().await,
            Ok(0) | Err(_) => return,
            Ok(n) if !silent.is_cancelled() => {
                if to.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
        }
    }
}
