//! A client that hides nothing, and answers that are looked at closely.
use reqwest::{
    Method, RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;
use std::time::Duration;

/// Nothing that is asked here takes as long.
const PATIENCE: Duration = Duration::from_secs(40);

/// Somebody at one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    headers: HeaderMap,
}

impl Client {
    /// Somebody unknown.
    pub fn new(base: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        Self {
            http: http.expect("a client"),
            base,
            headers: HeaderMap::new(),
        }
    }

    /// The same with one header more.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers
            .insert(name, HeaderValue::from_str(value).expect("a header's value"));
        self
    }

    /// The same with a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.with(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// The same with a session cookie.
    #[must_use]
    pub fn cookie(self, secret: &str) -> Self {
        self.with(COOKIE, &format!("__Host-exarch-global={secret}"))
    }

    /// A request to be changed further.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        request.headers(self.headers.clone())
    }

    /// Sends; nothing when there was no answer.
    pub async fn try_send(&self, request: RequestBuilder) -> Option<Answer> {
        let response = request.send().await.ok()?;
        Some(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.ok()?.to_vec(),
        })
    }

    /// Sends.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("the server answers")
    }

    /// GET; nothing when there was no answer.
    pub async fn try_get(&self, path: &str) -> Option<Answer> {
        self.try_send(self.request(Method::GET, path)).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// POST of a value.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send_json(path, body.to_string()).await
    }

    /// POST of bytes that say they are JSON.
    pub async fn send_json(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header(CONTENT_TYPE, "application/json");
        self.send(request.body(body)).await
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body as text, for people.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A good answer's value; null for an empty one.
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        match self.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&self.body).expect("an answer in JSON"),
        }
    }

    /// A refusal of this status in the one form that refusals have; its document.
    pub fn problem(&self, status: u16) -> Value {
        let text = self.text();
        assert_eq!(self.status, status, "{text}");
        let header = |name: &str| self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        assert_eq!(header("content-type"), "application/problem+json", "{text}");
        let document: Value = serde_json::from_slice(&self.body).expect("a problem in JSON");
        assert_eq!(document["status"], status, "{text}");
        assert_eq!(document["request_id"], header("x-request-id"), "{text}");
        let member = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        assert!(member("type").starts_with("urn:exarch:problem:"), "{text}");
        assert!(!member("title").is_empty(), "{text}");
        assert!(member("detail").ends_with('.') && member("detail").len() > 10, "{text}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(
            self.headers.contains_key(RETRY_AFTER),
            matches!(status, 429 | 503),
            "{text}"
        );
        assert_eq!(self.headers.contains_key("www-authenticate"), status == 401, "{text}");
        document
    }

    /// A refusal of this status and kind; its document.
    pub fn refused(&self, status: u16, slug: &str) -> Value {
        let document = self.problem(status);
        assert_eq!(
            document["type"],
            format!("urn:exarch:problem:{slug}"),
            "{}",
            self.text()
        );
        document
    }
}
