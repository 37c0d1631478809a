//! The ops listener: is it alive, is it ready, what does it measure.
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::{BoxFuture, join_all};
use std::{fmt::Write, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A check that hangs has failed.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// How a check came out: with a note for `/readyz?verbose`, or what is wrong.
type Outcome = Result<Option<String>, String>;
type Run = Arc<dyn Fn() -> BoxFuture<'static, Outcome> + Send + Sync>;

/// What must hold before this process wants traffic.
#[derive(Clone)]
pub struct Checks {
    checks: Vec<(&'static str, Run)>,
    limit: Duration,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            checks: Vec::new(),
            limit: CHECK_LIMIT,
        }
    }
}

impl Checks {
    /// None yet: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; its error says in one clause what is wrong, and is shown at `/readyz?verbose`.
    #[must_use]
    pub fn with<F>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let run = move || -> BoxFuture<'static, Outcome> {
            let outcome = check();
            Box::pin(async move { outcome.await.map(|()| None) })
        };
        self.checks.push((name, Arc::new(run)));
        self
    }

    /// Adds one that has a word to say also when all is well, shown at `/readyz?verbose`.
    #[must_use]
    pub fn with_note<F>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, String>> + Send + 'static,
    {
        let run = move || -> BoxFuture<'static, Outcome> {
            let outcome = check();
            Box::pin(async move { outcome.await.map(Some) })
        };
        self.checks.push((name, Arc::new(run)));
        self
    }

    /// Runs all of them at once; each name with its outcome, in the order of registration.
    pub async fn run(&self) -> Vec<(&'static str, Result<Option<String>, String>)> {
        join_all(self.checks.iter().map(|(name, check)| async move {
            let outcome = tokio::time::timeout(self.limit, check())
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {} ms", self.limit.as_millis())));
            (*name, outcome)
        }))
        .await
    }
}

#[derive(Clone)]
struct Ops {
    checks: Checks,
    render: Arc<dyn Fn() -> String + Send + Sync>,
}

/// `/livez`, `/readyz`, `/healthz` (the same as `/readyz`) and `/metrics`. `render` gives the metrics as Prometheus text.
pub fn router(checks: Checks, render: impl Fn() -> String + Send + Sync + 'static) -> Router {
    let ops = Ops {
        checks,
        render: Arc::new(render),
    };
    Router::new()
        // Never touches a dependency: a process that answers this is not to be killed for its database's sake.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/healthz", get(ready))
        .route("/metrics", get(show_metrics))
        .with_state(ops)
}

/// Whether the ops listener at `at` accepts a connection and answers: the proof that the runtime, the accept loop and a router
/// move. Only loopback reaches that listener, so a flood from outside is not taken for a process that hangs.
pub async fn answers(at: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(at).await?;
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        Ok::<_, io::Error>(head == *b"HTTP/1.1 200")
    };
    ask.await.unwrap_or(false)
}

async fn ready(State(ops): State<Ops>, RawQuery(query): RawQuery) -> Response {
    let outcomes = ops.checks.run().await;
    let good = outcomes.iter().all(|(_, outcome)| outcome.is_ok());
    let verbose = query.is_some_and(|q| q.split('&').any(|p| p == "verbose" || p.starts_with("verbose=")));
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut text = String::new();
    for (name, outcome) in &outcomes {
        // Writing to a String does not fail.
        let _ = match outcome {
            Ok(Some(note)) if verbose => writeln!(text, "[+]{name} ok: {note}"),
            Ok(None) if verbose => writeln!(text, "[+]{name} ok"),
            Ok(_) => Ok(()),
            Err(why) => writeln!(text, "[-]{name} failed: {why}"),
        };
    }
    text.push_str(match (good, verbose) {
        (true, false) => "ok\n",
        (true, true) => "readyz check passed\n",
        (false, _) => "readyz check failed\n",
    });
    (status, text).into_response()
}

async fn show_metrics(State(ops): State<Ops>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], (ops.render)()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tower::ServiceExt;

    async fn get(router: &Router, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn a_failing_check_makes_not_ready_and_is_named() {
        let checks = Checks::new()
            .with("database", || async { Ok(()) })
            .with("keys", || async { Err("the provider is silent".to_owned()) });
        let router = router(checks, || "m 1\n".into());
        let failed = "[-]keys failed: the provider is silent\nreadyz check failed\n";
        assert_eq!(get(&router, "/readyz").await, (503, failed.into()));
        assert_eq!(get(&router, "/healthz").await, (503, failed.into()));
        assert_eq!(
            get(&router, "/readyz?verbose").await,
            (503, format!("[+]database ok\n{failed}"))
        );
        assert_eq!(get(&router, "/metrics").await, (200, "m 1\n".into()));
    }

    #[tokio::test]
    async fn all_good_is_ready_and_verbose_lists_each_check() {
        let router = router(Checks::new().with("database", || async { Ok(()) }), String::new);
        assert_eq!(get(&router, "/readyz").await, (200, "ok\n".into()));
        assert_eq!(
            get(&router, "/readyz?verbose=1").await,
            (200, "[+]database ok\nreadyz check passed\n".into())
        );
    }

    #[tokio::test]
    async fn being_alive_asks_nobody() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let checks = Checks::new().with("database", move || {
            count.fetch_add(1, Ordering::SeqCst);
            async { Err("down".to_owned()) }
        });
        assert_eq!(get(&router(checks, String::new), "/livez").await, (200, "ok\n".into()));
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_listener_that_accepts_and_does_not_answer_is_no_sign_of_life() {
        use crate::serve::{Connections, PlainListener, ServeOptions, serve_plain};
        let listener = PlainListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let at = listener.local_addr().unwrap();
        let patience = Duration::from_millis(50);
        // The kernel takes the connection; nobody serves it.
        assert!(tokio::time::timeout(patience, answers(at)).await.is_err());
        let stop = tokio_util::sync::CancellationToken::new();
        let serving = tokio::spawn(serve_plain(
            listener,
            router(Checks::new(), String::new),
            ServeOptions::default(),
            Connections::new(),
            stop.clone(),
        ));
        assert!(answers(at).await);
        stop.cancel();
        serving.await.unwrap();
        assert!(!answers(at).await);
    }

    #[tokio::test]
    async fn a_check_that_hangs_has_failed() {
        let mut checks = Checks::new().with("database", std::future::pending);
        checks.limit = Duration::from_millis(10);
        let router = router(checks, String::new);
        let (status, text) = get(&router, "/readyz").await;
        assert_eq!(status, 503);
        assert!(text.contains("[-]database failed: no answer within 10 ms"), "{text}");
    }
}
