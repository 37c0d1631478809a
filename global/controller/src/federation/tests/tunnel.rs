use crate::tests::{Gateway, Manner, World, until};
use axum::http::{Request, StatusCode};
use exarch_common_base::Ambient;
use exarch_common_crypto::{
    pki::{self, Ca},
    sign::{Algorithm, SigningKey},
    tls::{self, Identity},
};
use exarch_common_http::tunnel::{H2Client, dial};
use exarch_common_wire::{federation::paths, names};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

fn connected(world: &World, gateway: &Gateway) -> usize {
    world.app.federation.tunnels.of(gateway.id).len()
}

/// Whether a request gets any answer at all; a refused certificate shows only then (TLS 1.3).
pub(super) async fn answers(client: Result<H2Client, exarch_common_http::tunnel::DialError>) -> bool {
    let Ok(client) = client else { return false };
    let request = Request::get(paths::PASSPORT).body(Default::default()).unwrap();
    client.request(request, Duration::from_secs(5)).await.is_ok()
}

#[tokio::test]
async fn without_a_certificate_of_this_federation_there_is_no_connection() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let ambient = Ambient::system();
    let key = SigningKey::generate(Algorithm::Es384).unwrap();
    let foreign = Ca::create(&ambient, "elsewhere", &key, time::Duration::days(1)).unwrap();
    let request = pki::request(&gateway.key).unwrap();
    let uri = names::region_uri(gateway.id);
    let issued = foreign
        .issue_client(&ambient, &request, &uri, time::Duration::days(1))
        .unwrap();
    let identity = Identity {
        chain: vec![issued.der, foreign.der().to_vec()],
        key: gateway.key.pkcs8().to_vec().into(),
    };
    assert!(!answers(gateway.try_up(None).await).await, "no certificate");
    assert!(
        !answers(gateway.try_up(Some(&identity)).await).await,
        "a foreign authority's"
    );
    assert!(
        answers(gateway.try_up(Some(&gateway.identity())).await).await,
        "its own"
    );
    // A certificate of the right authority that is nobody's in the register.
    let issued = world
        .app
        .keys
        .federation_ca()
        .issue_client(&ambient, &request, &uri, time::Duration::days(1))
        .unwrap();
    let unknown = Identity {
        chain: vec![issued.der],
        key: gateway.key.pkcs8().to_vec().into(),
    };
    let client = gateway.try_up(Some(&unknown)).await.unwrap();
    let request = Request::get(paths::PASSPORT).body(Default::default()).unwrap();
    let answer = client.request(request, Duration::from_secs(5)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn on_the_joining_protocol_nothing_answers_but_joining() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let config = tls::client_config(&gateway.roots(), Some(&gateway.identity()), &[names::ALPN_JOIN]).unwrap();
    let dialled = dial(&world.addr.to_string(), "localhost", Arc::new(config))
        .await
        .unwrap();
    let client = H2Client::dialled(dialled).await.unwrap();
    for path in [paths::PASSPORT, paths::CERTIFICATE, "/v1/regions"] {
        let request = Request::get(path).body(Default::default()).unwrap();
        let answer = client.request(request, Duration::from_secs(5)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn plain_text_and_protocols_of_others_are_refused() {
    let world = World::new().await;
    let mut plain = TcpStream::connect(world.addr).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await.unwrap_or_default();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let gateway = world.region("eu-north").await;
    for alpn in [&["h2"][..], &["http/1.1"], &[]] {
        let config = tls::client_config(&gateway.roots(), Some(&gateway.identity()), alpn).unwrap();
        assert!(
            dial(&world.addr.to_string(), "localhost", Arc::new(config))
                .await
                .is_err(),
            "{alpn:?}"
        );
    }
}

#[tokio::test]
async fn a_tunnel_is_known_while_it_is_up_and_gone_when_it_ends() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let (first, second) = (gateway.down().await, gateway.down().await);
    until("both replicas are connected", || async {
        connected(&world, &gateway) == 2
    })
    .await;
    first.connections.close_where(|_| true);
    until("one is gone", || async { connected(&world, &gateway) == 1 }).await;
    drop(second);
    until("both are gone", || async { connected(&world, &gateway) == 0 }).await;
    assert!(world.app.federation.tunnels.connected().is_empty());
}

#[tokio::test]
async fn a_region_that_was_removed_gets_no_tunnel() {
    let world = World::new().await;
    let (gone, there) = (world.region("eu-north").await, world.region("us-east").await);
    world.set_lifecycle(gone.id, "removed").await;
    let (refused, _held) = (gone.down().await, there.down().await);
    until("the other is connected", || async { connected(&world, &there) == 1 }).await;
    until("the connection has ended", || async { refused.connections.open() == 0 }).await;
    assert_eq!(connected(&world, &gone), 0);
}

/// Carries bytes until it is told to hold them back: then nothing arrives any more, and nothing says so.
async fn proxy(to: std::net::SocketAddr) -> (std::net::SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let cut = CancellationToken::new();
    let is_cut = cut.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(to).await.unwrap();
            let (client, server) = (client.into_split(), server.into_split());
            tokio::spawn(carry(client.0, server.1, is_cut.clone()));
            tokio::spawn(carry(server.0, client.1, is_cut.clone()));
        }
    });
    (addr, cut)
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    cut: CancellationToken,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            biased;
            // Held, not closed: both ends believe that the connection is there.
            () = cut.cancelled() => std::future::pending::<()>().await,
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => if to.write_all(&buffer[..n]).await.is_err() { return },
            },
        }
    }
}

#[tokio::test]
async fn a_connection_that_fell_silent_is_noticed_within_ten_seconds() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let (addr, cut) = proxy(world.addr).await;
    let _down = gateway.by(addr).down().await;
    until("it is connected", || async { connected(&world, &gateway) == 1 }).await;
    cut.cancel();
    let since = std::time::Instant::now();
    until("it is noticed", || async { connected(&world, &gateway) == 0 }).await;
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_slow_transfer_on_one_connection_delays_no_probe_on_the_other() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, gateway.id).await;
    for n in 0..40 {
        let user = world.user(&format!("{n}-{}", "x".repeat(20_000))).await;
        world.member_silently(tenant, user).await;
    }
    world.touch(tenant).await;
    let (addr, cut) = proxy(world.addr).await;
    let (slow, _down) = (gateway.by(addr).up().await, gateway.down().await);
    until("it is connected", || async { connected(&world, &gateway) == 1 }).await;
    let section = format!("{}/tenant/{tenant}?offset=0&length=524288", paths::SECTIONS);
    let whole = slow.get(&section).await;
    assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, 512 * 1024));
    slow.acknowledge(slow.version(&slow.poll(None).await)).await;
    until("it was probed", || async { !world.probes(gateway.id).await.is_empty() }).await;
    // From here on the transfer hangs in the middle of the way.
    let hanging = tokio::spawn(async move { slow.get(&section).await });
    tokio::task::yield_now().await;
    cut.cancel();
    gateway.behave(Manner::Well);
    let since = std::time::Instant::now();
    crate::health::probe_soon(world.app.clone(), gateway.id).await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    let probes = world.probes(gateway.id).await;
    assert_eq!(probes.len(), 2);
    assert_eq!(probes[1].0, "good", "{probes:?}");
    hanging.abort();
}
