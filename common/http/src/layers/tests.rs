use super::*;
use crate::{Json, OptionalJson};
use axum::routing::{get, post};
use serde_json::Value;
use std::sync::Mutex;
use tower::ServiceExt;

async fn panics() -> &'static str {
    panic!("hunter2")
}

fn router() -> Router {
    let inner = Router::new()
        .route("/ok/{id}", get(|| async { "ok" }).post(|| async { "posted" }))
        .route(
            "/cached",
            get(|| async { ([(header::CACHE_CONTROL, "public, max-age=60")], "asset") }),
        )
        .route("/panic", get(panics))
        .route("/bytes", post(|bytes: axum::body::Bytes| async move { bytes }))
        .route("/slow", get(std::future::pending::<()>))
        .route("/no", get(|| async { Problem::forbidden("permission-denied") }))
        .route("/own-404", get(|| async { (StatusCode::NOT_FOUND, "mine") }))
        .route("/echo", post(|Json(value): Json<Value>| async move { Json(value) }))
        .route(
            "/maybe",
            post(|OptionalJson(value): OptionalJson<Value>| async move { Json(value) }),
        )
        .route(
            "/context",
            get(|context: RequestContext| async move { context.traceparent() }),
        )
        .route(
            "/outgoing",
            get(|| async {
                let (ambient, _) = Ambient::manual(time::OffsetDateTime::UNIX_EPOCH, 2);
                outgoing_trace(&ambient)
            }),
        );
    let (ambient, _) = Ambient::manual(time::OffsetDateTime::UNIX_EPOCH, 1);
    let mut options = LayerOptions::new(ambient, "test");
    options.timeout = Duration::from_millis(50);
    options.body = Duration::from_millis(20);
    standard(inner, &options)
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

async fn send(request: Request) -> (StatusCode, HeaderMap, String) {
    let response = router().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = axum::body::to_bytes(response.into_body(), 4 << 20).await.unwrap();
    (status, headers, String::from_utf8_lossy(&bytes).into_owned())
}

async fn call(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, String) {
    let (status, headers, body) = send(request(method, path, headers, body)).await;
    if status.as_u16() >= 400 && method != "HEAD" && path != "/own-404" {
        assert_eq!(headers[header::CONTENT_TYPE], crate::PROBLEM_JSON, "{method} {path}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], status.as_u16());
        assert_eq!(problem["request_id"], headers["x-request-id"].to_str().unwrap());
    }
    (status.as_u16(), body)
}

#[tokio::test]
async fn the_security_headers_are_on_every_answer() {
    for (method, path, status) in [
        ("GET", "/ok/1", 200),
        ("HEAD", "/ok/1", 200),
        ("GET", "/nothing/here", 404),
        ("DELETE", "/ok/1", 405),
        ("GET", "/panic", 500),
        ("GET", "/slow", 503),
        ("GET", "/no", 403),
    ] {
        let (got, headers, _) = send(request(method, path, &[], "")).await;
        assert_eq!(got.as_u16(), status, "{method} {path}");
        for (name, value) in [
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            (
                "content-security-policy",
                "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
            ),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            let values: Vec<_> = headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{method} {path}");
        }
        assert!(headers["x-request-id"].to_str().unwrap().starts_with("req_"));
    }
}

#[tokio::test]
async fn a_handler_may_say_that_its_answer_is_public() {
    let (_, headers, _) = send(request("GET", "/cached", &[], "")).await;
    assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=60");
}

#[tokio::test]
async fn what_has_no_handler_is_a_problem() {
    assert_eq!(call("GET", "/nothing", &[], "").await.0, 404);
    let (status, headers, body) = send(request("DELETE", "/ok/1", &[], "")).await;
    assert_eq!(status, 405);
    assert_eq!(headers[header::ALLOW], "GET,HEAD,POST");
    assert!(body.contains("method-not-allowed"), "{body}");
    assert_eq!(call("GET", "/own-404", &[], "").await, (404, "mine".into()));
}

#[tokio::test]
async fn an_error_to_a_head_request_has_no_body() {
    let (status, _, body) = send(request("HEAD", "/no", &[], "")).await;
    assert_eq!((status.as_u16(), &*body), (403, ""));
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing() {
    let (status, body) = call("GET", "/panic", &[], "").await;
    assert_eq!(status, 500);
    assert!(!body.contains("hunter2"), "{body}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up_with_a_time_to_retry() {
    let (status, headers, _) = send(request("GET", "/slow", &[], "")).await;
    assert_eq!(
        (status.as_u16(), &headers[header::RETRY_AFTER]),
        (503, &HeaderValue::from_static("1"))
    );
}

#[tokio::test]
async fn a_well_formed_request_id_is_kept_and_any_other_replaced() {
    let id = "req_01978c3e4f1a7c0e9f0a3b5d6e7f8091";
    let got = |id: &'static str| async move {
        send(request("GET", "/ok/1", &[("x-request-id", id)], "")).await.1["x-request-id"].clone()
    };
    assert_eq!(got(id).await, id);
    for bad in [
        "1",
        "req_X",
        "ten_01978c3e4f1a7c0e9f0a3b5d6e7f8091",
        "req_01978c3e4f1a7c0e9f0a3b5d6e7f8091\u{e9}",
    ] {
        assert_ne!(got(bad).await, bad);
    }
}

#[tokio::test]
async fn the_trace_goes_on_when_it_is_well_formed() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let given = format!("00-{trace}-00f067aa0ba902b7-01");
    let (_, ours) = call("GET", "/context", &[("traceparent", &given)], "").await;
    assert!(ours.contains(trace) && ours != given, "{ours}");
    for bad in [
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "x",
    ] {
        let (_, ours) = call("GET", "/context", &[("traceparent", bad)], "").await;
        assert!(!ours.to_lowercase().contains(trace), "{bad}");
        assert_eq!(ours.len(), 55);
    }
}

#[tokio::test]
async fn what_a_request_asks_of_others_is_of_its_trace() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let given = format!("00-{trace}-00f067aa0ba902b7-01");
    let (_, passed_on) = call("GET", "/outgoing", &[("traceparent", &given)], "").await;
    assert!(passed_on.contains(trace) && passed_on != given, "{passed_on}");
    let (ambient, _) = Ambient::manual(time::OffsetDateTime::UNIX_EPOCH, 3);
    let (one, other) = (outgoing_trace(&ambient), outgoing_trace(&ambient));
    assert!(
        trace_id(&one).is_some() && trace_id(&one) != trace_id(&other),
        "{one} {other}"
    );
}

#[tokio::test]
async fn bodies_are_json_of_at_most_a_mebibyte() {
    let json = [("content-type", "application/json")];
    assert_eq!(
        call("POST", "/echo", &json, r#"{"a":1}"#).await,
        (200, r#"{"a":1}"#.into())
    );
    let long = format!("\"{}\"", "a".repeat(2 << 20));
    assert_eq!(call("POST", "/echo", &json, long.clone()).await.0, 413);
    let length = [("content-type", "application/json"), ("content-length", "2097154")];
    assert_eq!(call("POST", "/echo", &length, long.clone()).await.0, 413);
    let chunks = futures_util::stream::iter(
        long.into_bytes()
            .chunks(4096)
            .map(|c| Ok::<_, std::io::Error>(c.to_vec()))
            .collect::<Vec<_>>(),
    );
    assert_eq!(call("POST", "/echo", &json, Body::from_stream(chunks)).await.0, 413);
    assert_eq!(call("POST", "/bytes", &[], vec![7; crate::MAX_BODY + 1]).await.0, 413);
    let exact = format!("\"{}\"", "a".repeat(crate::MAX_BODY - 2));
    assert_eq!(call("POST", "/echo", &json, exact).await.0, 200);
}

#[tokio::test]
async fn a_body_that_dribbles_in_is_not_waited_for() {
    let json = [("content-type", "application/json")];
    // Never done, and never silent for long.
    let dribble = || {
        Body::from_stream(futures_util::stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok::<_, std::io::Error>(" "), ()))
        }))
    };
    let silent = || Body::from_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
    for path in ["/echo", "/maybe"] {
        for body in [dribble(), silent()] {
            let (status, text) = call("POST", path, &json, body).await;
            assert_eq!(status, 408, "{path}");
            assert!(text.contains("body-late"), "{text}");
        }
    }
    // Who does not need the body does not wait for it.
    assert_eq!(call("POST", "/ok/1", &json, silent()).await.0, 200);
}

#[tokio::test]
async fn other_media_types_are_refused() {
    for (kind, status) in [
        ("application/json; charset=utf-8", 200),
        ("application/json; charset=\"UTF-8\"", 200),
        ("application/merge-patch+json", 200),
        ("application/json; charset=latin1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/json", 415),
        ("", 415),
    ] {
        assert_eq!(
            call("POST", "/echo", &[("content-type", kind)], "{}").await.0,
            status,
            "{kind}"
        );
    }
    assert_eq!(call("POST", "/echo", &[], "{}").await.0, 415);
}

#[tokio::test]
async fn a_body_that_may_be_absent_is_still_read_strictly() {
    let json = [("content-type", "application/json")];
    assert_eq!(call("POST", "/maybe", &[], "").await, (200, "null".into()));
    assert_eq!(call("POST", "/maybe", &json, "").await, (200, "null".into()));
    assert_eq!(call("POST", "/maybe", &json, "[1]").await, (200, "[1]".into()));
    assert_eq!(call("POST", "/maybe", &json, "[1").await.0, 400);
    assert_eq!(call("POST", "/maybe", &[], "[1]").await.0, 415);
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let cookie = ("cookie", "__Host-exarch-global=x");
    for (headers, status) in [
        (vec![cookie], 200),
        (vec![cookie, ("sec-fetch-site", "same-origin")], 200),
        (
            vec![cookie, ("host", "g.example"), ("origin", "https://g.example")],
            200,
        ),
        (vec![cookie, ("sec-fetch-site", "cross-site")], 403),
        (vec![cookie, ("sec-fetch-site", "same-site")], 403),
        (
            vec![cookie, ("host", "g.example"), ("origin", "https://evil.example")],
            403,
        ),
        (vec![cookie, ("host", "g.example"), ("origin", "null")], 403),
        (
            vec![
                cookie,
                ("host", "g.example"),
                ("x-forwarded-host", "evil.example"),
                ("origin", "https://evil.example"),
            ],
            403,
        ),
    ] {
        assert_eq!(call("POST", "/ok/1", &headers, "").await.0, status, "{headers:?}");
        assert_eq!(call("GET", "/ok/1", &headers, "").await.0, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn headers_and_fields_that_pretend_change_nothing() {
    for headers in [
        [("x-http-method-override", "DELETE")],
        [("x-method-override", "DELETE")],
        [("x-forwarded-method", "DELETE")],
        [("x-original-url", "/panic")],
        [("x-rewrite-url", "/panic")],
        [("x-forwarded-prefix", "/panic")],
        [("connection", "x-request-id")],
    ] {
        assert_eq!(
            call("POST", "/ok/1?_method=DELETE", &headers, "_method=DELETE").await,
            (200, "posted".into())
        );
    }
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct IntoLog;

impl std::io::Write for IntoLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_request_makes_one_line_with_the_route_and_without_what_was_sent() {
    // For the whole process: the other tests' lines are told apart by their request ids.
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(|| IntoLog);
    lines.try_init().unwrap();
    let id = "req_0000000000000000000000000000feed";
    let sent = [
        ("x-request-id", id),
        ("authorization", "Bearer canary-token"),
        ("cookie", "a=canary-cookie"),
    ];
    let _ = send(request("GET", "/ok/canary-id?q=canary-query", &sent, "canary-body")).await;
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let ours: Vec<_> = log.lines().filter(|line| line.contains(id)).collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert!(!log.contains("canary-"), "{log}");
    let line: Value = serde_json::from_str(ours[0]).unwrap();
    assert_eq!(
        (&line["method"], &line["route"], &line["status"]),
        (&"GET".into(), &"/ok/{id}".into(), &200.into())
    );
    assert!(line["duration_ms"].is_number() && line["traceparent"].as_str().unwrap().starts_with("00-"));
    assert_eq!(line["span"]["request_id"], id);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let guard = metrics::set_default_local_recorder(&recorder);
    let _ = send(request("GET", "/ok/secret", &[], "")).await;
    let _ = send(request("SECRET", "/secret", &[], "")).await;
    drop(guard);
    let text = handle.render();
    assert!(!text.to_lowercase().contains("secret"), "{text}");
    for line in [
        r#"exarch_http_requests_total{listener="test",route="/ok/{id}",method="GET",status="200"} 1"#,
        r#"exarch_http_requests_total{listener="test",route="none",method="other",status="404"} 1"#,
        r#"exarch_http_request_seconds_count{listener="test",route="/ok/{id}",method="GET"} 1"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn who_still_sends_when_the_answer_is_ready_gets_it_all_the_same() {
    use crate::serve::{Connections, PlainListener, ServeOptions, serve_plain};
    exarch_common_crypto::init().unwrap();
    let listener = PlainListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let options = ServeOptions::default();
    tokio::spawn(serve_plain(
        listener,
        router(),
        options,
        Connections::new(),
        stop.clone(),
    ));
    let client = reqwest::Client::new();
    for _ in 0..10 {
        for (path, length, status) in [
            ("/echo", 3 << 20, 413),
            ("/no", 900 << 10, 405),
            ("/ok/1", 900 << 10, 200),
        ] {
            let body = vec![b'x'; length];
            let answer = client.post(format!("{url}{path}")).body(body).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
        }
    }
    stop.cancel();
}
