//! The ops listener: is it alive, is it ready, what does it measure.
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::{BoxFuture, join_all};
use std::{fmt::Write, future::Future, sync::Arc, time::Duration};

/// A check that hangs has failed.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

type Run = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What must hold before this process wants traffic.
#[derive(Clone, Default)]
pub struct Checks(Vec<(&'static str, Run)>);

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
        self.0.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// Runs all of them at once; each name with its outcome, in the order of registration.
    pub async fn run(&self) -> Vec<(&'static str, Result<(), String>)> {
        join_all(self.0.iter().map(|(name, check)| async move {
            let outcome = tokio::time::timeout(CHECK_LIMIT, check())
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {} s", CHECK_LIMIT.as_secs())));
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
            Ok(()) if verbose => writeln!(text, "[+]{name} ok"),
            Ok(()) => Ok(()),
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
