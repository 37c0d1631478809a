//! Headers that want to be believed, and headers that want to be large.
use super::once::bootstrap_token;
use exarch_tests_federation::{ADA, EU, Federation, OWNER};
use reqwest::{Method, header::HeaderName};
use serde_json::json;
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub async fn overrides_and_forwarding_headers_change_nothing(federation: Arc<Federation>) {
    let (owner, ada) = (federation.person(OWNER).await, federation.person_in(ADA, EU).await);
    let cluster = federation.cluster(EU).await;
    let one = format!("/v1/clusters/{cluster}");
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let name = HeaderName::from_static(name);
        ada.clone().with(name.clone(), "DELETE").get(&one).await.ok();
        let post = ada.clone().with(name, "GET").post(&one, &json!({})).await;
        post.refused(405, "method-not-allowed");
    }
    ada.post("/v1/clusters", &json!({"_method": "DELETE", "name": "x"}))
        .await
        .refused(422, "invalid-value");
    // Where a request says that it comes from and goes to: neither what is answered nor what is written down.
    let registered = json!({"slug": "by-another-name", "name": "By another name", "url": "http://127.0.0.1:1"});
    let spoofs = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9;host=evil.example"),
        ("x-original-url", "/v1/regions"),
        ("x-rewrite-url", "/v1/regions"),
        ("host", "evil.example"),
        ("connection", "authorization, x-request-id"),
        ("x-user", "owner"),
        ("x-tenant-id", "acme"),
    ];
    let mut spoofed = owner.clone();
    for (name, value) in spoofs {
        spoofed = spoofed.with(HeaderName::from_static(name), value);
    }
    let answer = spoofed.post("/v1/regions", &registered).await.ok().to_string();
    let said = federation.layout().federation_url();
    assert!(answer.contains(&said) && !answer.contains("evil"), "{answer}");
    spoofed.post("/v1/tenants", &json!({"slug": "no"})).await.problem(422);
    let audit = owner.get("/v1/federation-audit?limit=100").await.ok().to_string();
    assert!(audit.contains("127.0.0.1") && !audit.contains("203.0.113.9") && !audit.contains("evil"));
    for (name, value) in spoofs {
        if name == "connection" || name == "host" {
            continue;
        }
        let name = HeaderName::from_static(name);
        federation
            .global()
            .with(name.clone(), value)
            .get("/v1/regions")
            .await
            .refused(401, "unauthenticated");
        federation
            .region(EU)
            .with(name, value)
            .get("/v1/clusters")
            .await
            .refused(401, "unauthenticated");
    }
    // A request id is taken over only when it could be one of ours.
    let odd = owner
        .clone()
        .with(HeaderName::from_static("x-request-id"), "<script>")
        .get("/v1/me")
        .await;
    assert!(!odd.headers["x-request-id"].to_str().unwrap().contains('<'));
}

/// Resident memory of a process, in kilobytes.
fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends bytes as they are; the head of the answer, or nothing when the connection just ended.
async fn raw(port: u16, bytes: &[u8]) -> String {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // The server may answer and hang up before all is sent.
    let _ = tcp.write_all(bytes).await;
    let mut answer = vec![0; 4096];
    let read = timeout(Duration::from_secs(10), tcp.read(&mut answer))
        .await
        .expect("an answer or an end");
    String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned()
}

pub async fn a_megabyte_of_dots_is_refused_at_once_and_kept_nowhere(federation: Arc<Federation>) {
    let request = |head: &str, dots: usize| {
        let dots = ".".repeat(dots);
        format!("GET /v1/me HTTP/1.1\r\nhost: localhost\r\n{head}{dots}\r\nconnection: close\r\n\r\n").into_bytes()
    };
    let huge = request("authorization: Bearer ", 1024 * 1024);
    for place in ["global", EU] {
        let at = federation.place(place);
        let file = federation.file();
        let region = file.regions.iter().find(|region| region.slug == place);
        let pid = region.map_or(file.global.pids[0], |region| region.pids[0]);
        let mut times = Vec::new();
        let mut before = 0;
        for round in 0..60 {
            if round == 10 {
                before = resident(pid);
            }
            let began = Instant::now();
            let answer = raw(at.public, &huge).await;
            times.push(began.elapsed());
            let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 401");
            assert!(refused, "{answer}");
        }
        times.sort();
        let median = times[times.len() / 2];
        assert!(median < Duration::from_millis(50), "{median:?}");
        let after = resident(pid);
        assert!(after < before + 16 * 1024, "{place} grew from {before} to {after} kB");
        // What fits is told what it is: no token. And a head of very many small lines does not fit either.
        for dots in [1, 100, 7_000] {
            let answer = raw(at.public, &request("authorization: Bearer ", dots)).await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{dots}: {answer}");
        }
        let lines: String = (0..5_000).map(|n| format!("x-{n}: y\r\n")).collect();
        let answer = raw(at.public, &request(&format!("{lines}x: "), 1)).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
        let answer = raw(
            at.public,
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(100_000)).as_bytes(),
        )
        .await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 414") || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
        // Two lengths, or a length and pieces: what two servers in a row could cut differently.
        for lengths in [
            "content-length: 2\r\ncontent-length: 3",
            "transfer-encoding: chunked\r\ncontent-length: 2",
            "transfer-encoding: gzip",
        ] {
            let smuggled = format!(
                "POST /v1/auth/refresh HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{lengths}\r\n\r\n0\r\n\r\nGET /v1/me HTTP/1.1\r\nhost: x\r\n\r\n"
            );
            let answer = raw(at.public, smuggled.as_bytes()).await;
            let status = answer.split(' ').nth(1).unwrap_or("400");
            assert!(
                ["400", "404", "405", "411", "501"].contains(&status),
                "{lengths}: {answer}"
            );
            assert!(answer.matches("HTTP/1.1").count() <= 1, "{lengths}: {answer}");
        }
    }
}

pub async fn a_megabyte_of_dots_is_refused_on_the_inner_listeners_too(federation: Arc<Federation>) {
    let secrets = federation.secrets(EU).await;
    let (token, _) = bootstrap_token(&federation, EU, "beside-dots").await;
    let agent = federation.agent(EU, &token).await;
    let up = federation.upwards(&secrets).await;
    let poll = "/federation/v1/passport?have=0.0";
    for dots in [1, 100, 7_000, 1024 * 1024] {
        let dots = ".".repeat(dots);
        for (wire, path) in [(&agent.wire, "/agent/v1/assignments?wait_ms=0"), (&up, poll)] {
            let began = Instant::now();
            let answer = wire.send(Method::GET, path, Some(&dots), Vec::new()).await;
            // One that does not fit into a head at all ends the request, or the connection.
            let status = answer.map_or(431, |answer| answer.status);
            assert!([401, 431].contains(&status), "{} dots: {status}", dots.len());
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        }
    }
    // Whoever is known comes in, then as before.
    let up = federation.upwards(&secrets).await;
    let token = federation.service_token(EU, &secrets, &up, "GET", poll, b"");
    let answer = up.send(Method::GET, poll, Some(&token), Vec::new()).await.unwrap();
    assert!(answer.status < 300, "{}", answer.text());
}

pub async fn credentials_that_come_twice_are_none(federation: Arc<Federation>) {
    let good = federation.access(ADA).await;
    let both = |first: &str, second: &str| {
        let global = federation.global();
        let request = global.request(Method::GET, "/v1/me");
        (
            global,
            request
                .header("authorization", first.to_owned())
                .header("authorization", second.to_owned()),
        )
    };
    let token = format!("Bearer {good}");
    for (first, second) in [(&*token, "Bearer x"), ("Bearer x", &token), (&token, &token)] {
        let (global, request) = both(first, second);
        global.send(request).await.refused(401, "unauthenticated");
    }
    for odd in [
        format!("Basic {good}"),
        good.clone(),
        format!("Bearer  {good}"),
        format!("Bearer {good} x"),
        format!("Bearer\t{good}"),
    ] {
        let answer = federation
            .global()
            .with(HeaderName::from_static("authorization"), &odd)
            .get("/v1/me")
            .await;
        answer.refused(401, "unauthenticated");
    }
    for elsewhere in ["access_token", "token", "bearer", "authorization"] {
        let answer = federation.global().get(&format!("/v1/me?{elsewhere}={good}")).await;
        assert!([400, 401, 422].contains(&answer.status), "{}", answer.text());
    }
    federation
        .global()
        .cookie(&good)
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
}
