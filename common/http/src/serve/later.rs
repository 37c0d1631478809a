//! A listener that is there before what it serves is: its address is had, or refused, at once, and whoever calls while the
//! process still waits for its database is told so instead of hanging.
use crate::{
    Problem,
    layers::{LayerOptions, standard},
};
use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
};
use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tower::ServiceExt;

/// A router that is put in place once. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Later(Arc<OnceLock<Router>>);

impl Later {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `router`, with its own layers, answers. The first one stays.
    pub fn set(&self, router: Router) {
        let _ = self.0.set(router);
    }

    /// What to serve: 503 `starting`, with the layers of `options`, until there is something.
    pub fn router(&self, options: &LayerOptions) -> Router {
        let (later, starting) = (
            self.0.clone(),
            standard(Router::new().fallback(async || starting()), options),
        );
        Router::new().fallback(move |request: Request| {
            let router = later.get().unwrap_or(&starting).clone();
            async move {
                let answer: Result<Response, Infallible> = router.oneshot(request).await;
                answer
            }
        })
    }
}

fn starting() -> Response {
    Problem::unavailable("starting", Duration::from_secs(1))
        .detail("This server is starting and waits for its database; try again shortly.")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        body::{Body, to_bytes},
        http::header,
        routing::get,
    };
    use exarch_common_base::Ambient;

    #[tokio::test]
    async fn who_comes_too_early_is_told_and_on_the_same_connection_answered_later() {
        let later = Later::new();
        let served = later.router(&LayerOptions::new(Ambient::system(), "public"));
        let ask = async || {
            let request = Request::get("/x").body(Body::empty()).unwrap();
            served.clone().oneshot(request).await.unwrap()
        };
        let early = ask().await;
        assert_eq!(early.status(), 503);
        assert_eq!(early.headers()[header::RETRY_AFTER], "1");
        assert!(early.headers().contains_key("x-request-id"));
        let body = to_bytes(early.into_body(), 4096).await.unwrap();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["type"], "urn:exarch:problem:starting");
        later.set(Router::new().route("/x", get(async || "here")));
        assert_eq!(ask().await.status(), 200);
    }
}
