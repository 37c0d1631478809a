//! The real router of people's listener, called as if by HTTP.
use super::slug;
use crate::{app::App, router, testing::stream::Stream};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use exarch_common_http::serve::Peer;
use serde_json::Value;
use tower::ServiceExt;

/// The router.
pub(crate) struct Caller(Router);

impl Caller {
    pub(crate) fn new(app: &App) -> Self {
        Self(router::public_router(app).unwrap())
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Value,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        };
        let response = self.0.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Watches a list.
    pub(crate) async fn watch(&self, path: &str, token: &str) -> Stream {
        let request = Request::builder()
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::ACCEPT, "text/event-stream");
        let request = request.body(Body::empty()).unwrap();
        Stream::of(self.0.clone().oneshot(request).await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, Some(token), Value::Null).await
    }

    /// The headers of an answer.
    pub(crate) async fn headers(&self, path: &str, token: &str) -> HeaderMap {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        self.0.clone().oneshot(request).await.unwrap().headers().clone()
    }

    /// The same as [`Caller::problem`], from an address, with a header that claims another one.
    pub(crate) async fn problem_from(&self, address: &str, claimed: &str, path: &str, token: &str) -> (u16, String) {
        let mut request = Request::builder()
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        for name in ["x-forwarded-for", "x-real-ip", "x-client-ip", "true-client-ip"] {
            request = request.header(name, claimed);
        }
        let request = request.header(header::FORWARDED, format!("for={claimed}"));
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer {
            connection: 1,
            addr: (address.parse::<std::net::IpAddr>().unwrap(), 4711).into(),
            tls: None,
        });
        let response = self.0.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, slug(&serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// Deletes a version of what is at `path`; the status.
    pub(crate) async fn delete(&self, path: &str, token: &str, version: &str) -> u16 {
        let request = Request::delete(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::IF_MATCH, version);
        let request = request.body(Body::empty()).unwrap();
        self.0.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    /// Status and name of the problem, or nothing for a good answer.
    pub(crate) async fn problem(&self, path: &str, token: &str) -> (u16, String) {
        let (status, body) = self.get(path, token).await;
        (status.as_u16(), slug(&body))
    }
}
