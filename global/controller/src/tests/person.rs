//! A person at the public listener.
use crate::sessions::Session;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, header},
};
use exarch_common_http::serve::Peer;
use serde_json::Value;
use tower::ServiceExt;

/// A signed-in person at the public listener.
#[derive(Clone)]
pub(crate) struct Person {
    pub router: Router,
    pub token: String,
    pub session: Session,
}

/// What a person was answered.
#[derive(Debug)]
pub(crate) struct Told {
    pub status: u16,
    pub body: Value,
}

impl Told {
    /// The stable name of a problem.
    pub(crate) fn problem(&self) -> &str {
        self.body["type"]
            .as_str()
            .unwrap_or_default()
            .rsplit(':')
            .next()
            .unwrap_or_default()
    }
}

impl Person {
    pub(crate) async fn get(&self, path: &str) -> Told {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Told {
        let body = Body::from(body.to_string());
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        self.send(request.unwrap()).await
    }

    /// Changes whatever version is there.
    pub(crate) async fn patch(&self, path: &str, body: Value) -> Told {
        let request = Request::patch(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, "*")
            .body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }

    /// Without a body.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> Told {
        self.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap())
            .await
    }

    /// `POST` from an address, with a header that claims another one.
    pub(crate) async fn ask_from(&self, address: &str, claimed: &str, path: &str) -> Told {
        let request = Request::post(path)
            .header("x-forwarded-for", claimed)
            .header(header::FORWARDED, format!("for={claimed}"));
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer {
            connection: 1,
            addr: (address.parse::<std::net::IpAddr>().unwrap(), 4711).into(),
            tls: None,
        });
        self.send(request).await
    }

    async fn send(&self, mut request: Request<Body>) -> Told {
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        Told {
            status,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }
}
