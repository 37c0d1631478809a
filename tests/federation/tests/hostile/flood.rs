//! Two thousand sockets that say nothing, half of something, or something slowly, at every listener that others reach.
use super::once::bootstrap_token;
use axum::http::Method;
use exarch_tests_federation::{ADA, EU, Federation};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// At each of four listeners.
const EACH: usize = 500;
const ROUNDS: usize = 3;
const ASKED: usize = 150;
/// All of the sockets are free again after it.
const FREED: Duration = Duration::from_secs(15);
/// Below it a difference is the machine's.
const NOISE: Duration = Duration::from_millis(10);

/// What a socket says at its beginning, and then goes on with, piece by piece.
#[derive(Clone)]
struct Manner {
    first: Vec<u8>,
    more: &'static [u8],
}

fn silent() -> Manner {
    let first = Vec::new();
    Manner { first, more: b"" }
}

fn slow_head() -> Manner {
    let first = b"GET /v1/me HTTP/1.1\r\nhost: localhost\r\nx-slow: ".to_vec();
    Manner { first, more: b"y" }
}

fn slow_body(path: &str, token: &str) -> Manner {
    let headers = "content-type: application/json\r\ncontent-length: 900";
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{headers}\r\n\r\n{{");
    Manner {
        first: head.into_bytes(),
        more: b" ",
    }
}

/// The beginning of a handshake: a record that announces more than ever comes.
fn half_hello() -> Manner {
    Manner {
        first: vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03],
        more: &[7],
    }
}

/// Opens one socket and goes on until the other end has had enough; how long that took. What it said is nothing, or that it
/// waits no longer.
async fn hang(port: u16, manner: Manner, open: Arc<AtomicUsize>) -> Duration {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    open.fetch_add(1, Ordering::SeqCst);
    let began = Instant::now();
    let _ = tcp.write_all(&manner.first).await;
    let mut heard = Vec::new();
    let mut bytes = [0; 1024];
    let mut pace = tokio::time::interval(Duration::from_secs(2));
    pace.tick().await;
    loop {
        tokio::select! {
            read = tcp.read(&mut bytes) => match read {
                Ok(n) if n > 0 => heard.extend_from_slice(&bytes[..n]),
                _ => break,
            },
            _ = pace.tick(), if !manner.more.is_empty() => {
                let _ = tcp.write_all(manner.more).await;
            }
        }
    }
    let text = String::from_utf8_lossy(&heard);
    let is_refusal = text.is_empty() || text.starts_with("HTTP/1.1 408") || heard.first() == Some(&0x15);
    assert!(is_refusal, "{text}");
    began.elapsed()
}

fn open_files(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the process lives")
        .count()
}

fn percentile(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}

pub async fn two_thousand_idle_sockets_delay_nobody_and_are_freed(federation: Arc<Federation>) {
    let limit = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(Resource::Nofile, raised).expect("a process may raise its own limit");
    let file = federation.file();
    let region = file.regions.iter().find(|region| region.slug == EU).unwrap();
    let servers = [file.global.pids[0], region.pids[0]];
    for pid in servers {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let values: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
        assert_eq!(values[0], values[1], "the limit of open files was not raised: {line}");
    }
    let (global, eu) = (federation.place("global"), federation.place(EU));
    let (ada, in_region) = (federation.person(ADA).await, federation.person_in(ADA, EU).await);
    let (token, _) = bootstrap_token(&federation, EU, "beside-a-flood").await;
    let agent = federation.agent(EU, &token).await;
    // Everybody who is known, one after the other.
    let ask = async || {
        let mut times = Vec::with_capacity(3 * ASKED);
        for _ in 0..ASKED {
            let began = Instant::now();
            ada.get("/v1/me").await.ok();
            times.push(began.elapsed());
            let began = Instant::now();
            in_region.get("/v1/me").await.ok();
            times.push(began.elapsed());
            let began = Instant::now();
            let path = "/agent/v1/assignments?wait_ms=0";
            let answer = agent.wire.send(Method::GET, path, Some(&agent.token), Vec::new()).await;
            assert!(answer.expect("an answer").status < 300);
            times.push(began.elapsed());
        }
        percentile(times)
    };
    let at_global = [silent(), slow_head(), slow_body("/v1/auth/refresh", "none")];
    let token = federation.region_token(ADA, EU).await;
    let at_region = [silent(), slow_head(), slow_body("/v1/clusters", &token)];
    let mut best = f64::INFINITY;
    for round in 0..ROUNDS {
        let quiet = ask().await.max(NOISE);
        let before = servers.map(open_files);
        let open = Arc::new(AtomicUsize::new(0));
        let flood: Vec<_> = (0..EACH)
            .flat_map(|n| {
                let inner = if n % 2 == 0 { silent() } else { half_hello() };
                [
                    (global.public, at_global[n % 3].clone()),
                    (eu.public, at_region[n % 3].clone()),
                    (global.inner, inner.clone()),
                    (eu.inner, inner),
                ]
            })
            .map(|(port, manner)| tokio::spawn(hang(port, manner, open.clone())))
            .collect();
        let all = 4 * EACH;
        federation
            .until(Duration::from_secs(10), "all are connected", async || {
                open.load(Ordering::SeqCst) == all
            })
            .await;
        let loaded = ask().await;
        // Somebody new is let in beside them, at each of the listeners.
        federation.global().get("/.well-known/jwks.json").await.ok();
        federation.join("exj_nobody").await.refused(401, "join-token-unknown");
        federation
            .enrol(EU, "nobody")
            .await
            .1
            .refused(401, "bootstrap-token-unknown");
        for hanging in flood {
            let took = hanging.await.expect("what it heard is a refusal");
            assert!(took < FREED, "round {round}: a socket was held for {took:?}");
        }
        federation
            .until(Duration::from_secs(5), "the servers have let go", async || {
                servers
                    .map(open_files)
                    .iter()
                    .zip(before)
                    .all(|(now, before)| *now <= before + 20)
            })
            .await;
        best = best.min(loaded.as_secs_f64() / quiet.as_secs_f64());
        if best <= 2.0 {
            return;
        }
    }
    panic!("at best the 99th percentile was {best:.1} times that of the quiet");
}
