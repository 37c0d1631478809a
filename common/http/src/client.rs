//! The HTTP client of the command line, agents and gateways: JSON in and out, problems as errors.
mod bases;

use crate::problem::{PROBLEM_JSON, ProblemDocument};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bases::Bases;
use exarch_common_base::{ExposeSecret, SecretString};
use reqwest::{RequestBuilder, Response, redirect::Policy};
use rustls::ClientConfig;
use serde::{Serialize, de::DeserializeOwned};
use std::{error::Error, sync::Arc, time::Duration};

/// Bytes of an answer at most, where it is read whole.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Which servers a client trusts, and what it shows them.
#[derive(Clone, Debug)]
pub enum ClientTls {
    /// The roots of the operating system.
    System,
    /// A configuration with roots of its own and perhaps a certificate to show.
    Private(Box<ClientConfig>),
}

/// Why a call has no answer of the kind asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none, or is plain HTTP to another machine.
    #[error("{url} cannot be used as an address: {reason}")]
    Address {
        /// As it was given.
        url: String,
        /// In one clause.
        reason: String,
    },
    /// The TLS configuration cannot be used.
    #[error("the TLS configuration cannot be used: {0}")]
    Tls(#[source] reqwest::Error),
    /// No connection, or it broke.
    #[error("cannot reach {base}: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        base: String,
        /// The innermost cause.
        reason: String,
    },
    /// The server said no, and why.
    #[error("{0}")]
    Problem(Box<ReceivedProblem>),
    /// An error answer that is no problem: something else than Exarch may be listening there.
    #[error("{base} answered {status} without saying why; is it an Exarch server?")]
    Unexpected {
        /// Scheme, host and port.
        base: String,
        /// The status.
        status: StatusCode,
    },
    /// A good answer that cannot be read.
    #[error("the answer of {base} cannot be read: {reason}")]
    Answer {
        /// Scheme, host and port.
        base: String,
        /// In one clause.
        reason: String,
    },
}

/// A problem as the server sent it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{document}")]
pub struct ReceivedProblem {
    /// The problem.
    pub document: ProblemDocument,
    /// From `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The answer's head, for nonces and challenges.
    pub headers: HeaderMap,
}

impl ClientError {
    /// The problem, if the server sent one.
    pub fn problem(&self) -> Option<&ProblemDocument> {
        match self {
            Self::Problem(p) => Some(&p.document),
            _ => None,
        }
    }
}

/// Calls one server, or one of several that are the same to the caller.
#[derive(Clone, Debug)]
pub struct ApiClient {
    http: reqwest::Client,
    bases: Arc<Bases>,
    bearer: Option<SecretString>,
}

impl ApiClient {
    /// `base` is scheme, host and port, and perhaps a path before `/v1`. Plain HTTP is for this machine only. Redirects are
    /// not followed and proxies of the environment not used: the bearer goes to this server or nowhere.
    pub fn new(base: &str, tls: ClientTls) -> Result<Self, ClientError> {
        let bases = Bases::new(base)?;
        let builder = reqwest::Client::builder()
            .user_agent(concat!("exarch/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30));
        let builder = match tls {
            ClientTls::System => builder,
            ClientTls::Private(mut config) => {
                config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                builder.tls_backend_preconfigured(*config)
            }
        };
        Ok(Self {
            http: builder.build().map_err(ClientError::Tls)?,
            bases: Arc::new(bases),
            bearer: None,
        })
    }

    /// With other servers that are the same to the caller: when one cannot be reached, does not answer in time or is not in
    /// service, the next one is called from then on, by this client and all that are cloned from it. No call is repeated.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub fn or(self, others: &[String]) -> Result<Self, ClientError> {
        let bases = Arc::new(self.bases.and(others)?);
        Ok(Self { bases, ..self })
    }

    /// Whether there is another server to go to.
    pub fn has_others(&self) -> bool {
        self.bases.several()
    }

    /// With this token in every request.
    #[must_use]
    pub fn bearer(mut self, token: SecretString) -> Self {
        self.bearer = Some(token);
        self
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.bases.present().origin().ascii_serialization()
    }

    /// A request to `path` (with its query), to which more can be added before [`ApiClient::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!(
            "{}/{}",
            self.bases.present().as_str().trim_end_matches('/'),
            path.trim_start_matches('/')
        );
        let request = self.http.request(method, url);
        match &self.bearer {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    /// `GET`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` with a body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` with a body.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// `PATCH` with a body.
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// `DELETE`.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Sends and decodes; an empty answer decodes as `()` or `None`. Unknown fields of the answer are the type's matter.
    pub async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        Ok(self.send_tagged(request).await?.0)
    }

    /// The same, with the `ETag` of the answer: what `If-Match` of a change says.
    pub async fn send_tagged<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<(T, Option<HeaderValue>), ClientError> {
        let response = self.open(request).await?;
        let tag = response.headers().get(header::ETAG).cloned();
        let bytes = self.whole(response).await?;
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        let decoded = serde_json::from_slice(text).map_err(|e| self.unreadable(e.to_string()))?;
        Ok((decoded, tag))
    }

    /// Sends what OAuth defines, whose refusals are objects with an `error` (RFC 6749, section 5.2) where they are no problems.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn send_oauth<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<Result<T, String>, ClientError> {
        #[derive(serde::Deserialize)]
        struct Refused {
            error: String,
        }
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED)
            && response
                .headers()
                .get(header::CONTENT_TYPE)
                .is_some_and(|v| v.as_bytes() == b"application/json")
        {
            let bytes = self.whole(response).await?;
            let refused: Refused = serde_json::from_slice(&bytes).map_err(|e| self.unreadable(e.to_string()))?;
            return Ok(Err(refused.error));
        }
        let response = self.judged(response).await?;
        let bytes = self.whole(response).await?;
        serde_json::from_slice(&bytes)
            .map(Ok)
            .map_err(|e| self.unreadable(e.to_string()))
    }

    /// Sends and gives the good answer unread: for streams and heads.
    pub async fn open(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        self.judged(response).await
    }

    async fn judged(&self, response: Response) -> Result<Response, ClientError> {
        let status = response.status();
        if matches!(status.as_u16(), 502..=504) {
            self.bases.leave(response.url());
        }
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let headers = response.headers().clone();
        let is_problem = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|v| v.as_bytes().starts_with(PROBLEM_JSON.as_bytes()));
        let unexpected = ClientError::Unexpected {
            base: self.origin(),
            status,
        };
        if !is_problem {
            return Err(unexpected);
        }
        let document = serde_json::from_slice(&self.whole(response).await?).map_err(|_| unexpected)?;
        Err(ClientError::Problem(Box::new(ReceivedProblem {
            document,
            retry_after: headers
                .get(header::RETRY_AFTER)
                .and_then(|v| v.to_str().ok()?.parse().ok())
                .map(Duration::from_secs),
            headers,
        })))
    }

    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut out = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            if out.len() + chunk.len() > MAX_ANSWER {
                return Err(self.unreadable(format!("it is longer than {MAX_ANSWER} bytes")));
            }
            out.extend_from_slice(&chunk);
        }
        Ok(out)
    }

    fn unreadable(&self, reason: String) -> ClientError {
        ClientError::Answer {
            base: self.origin(),
            reason,
        }
    }

    fn unreachable(&self, e: &reqwest::Error) -> ClientError {
        let origin = e
            .url()
            .map_or_else(|| self.origin(), |url| url.origin().ascii_serialization());
        if let Some(url) = e.url() {
            self.bases.leave(url);
        }
        // The outer texts repeat the URL; the innermost says what happened.
        let mut cause: &dyn Error = e;
        while let Some(source) = cause.source() {
            cause = source;
        }
        ClientError::Unreachable {
            base: origin,
            reason: if e.is_timeout() {
                "no answer in time".to_owned()
            } else {
                cause.to_string()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Json, Problem, serve};
    use axum::{Router, routing::get};
    use serde_json::{Value, json};
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn it_goes_on_to_the_next_server_when_one_fails_and_takes_its_clones_along() {
        let (good, _stop) = server().await;
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let client = client(&gone).or(std::slice::from_ref(&good)).unwrap();
        let clone = client.clone().bearer("t".to_owned().into());
        assert!(client.has_others());
        let failed = client.get::<Value>("/v1/echo").await.unwrap_err();
        assert!(matches!(failed, ClientError::Unreachable { base, .. } if base == gone));
        let echoed: Value = clone.get("/v1/echo").await.unwrap();
        assert_eq!(echoed["authorization"], "Bearer t");
        assert_eq!(client.origin(), good);
    }

    async fn server() -> (String, CancellationToken) {
        let router = Router::new()
            .route(
                "/v1/echo",
                get(|headers: HeaderMap| async move {
                    let seen = headers.get("authorization").and_then(|v| v.to_str().ok());
                    Json(json!({ "authorization": seen }))
                })
                .post(|Json(value): Json<Value>| async move { Json(value) })
                .delete(|| async { StatusCode::NO_CONTENT }),
            )
            .route(
                "/v1/busy",
                get(|| async {
                    Problem::unavailable("global-unavailable", Duration::from_secs(7))
                        .detail("The global cannot be reached.")
                        .with("region_state", "degraded")
                }),
            )
            .route(
                "/v1/moved",
                get(|| async { (StatusCode::FOUND, [("location", "https://evil.example/")]) }),
            )
            .route("/v1/page", get(|| async { "<html>" }));
        let listener = serve::PlainListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let (options, connections) = (serve::ServeOptions::default(), serve::Connections::new());
        tokio::spawn(serve::serve_plain(listener, router, options, connections, stop.clone()));
        (base, stop)
    }

    fn client(base: &str) -> ApiClient {
        exarch_common_crypto::init().unwrap();
        ApiClient::new(base, ClientTls::System).unwrap()
    }

    #[tokio::test]
    async fn bodies_go_out_and_come_back_with_the_bearer() {
        let (base, _stop) = server().await;
        let plain = client(&base);
        assert_eq!(
            plain.get::<Value>("/v1/echo").await.unwrap(),
            json!({"authorization": null})
        );
        let known = plain.bearer("t0ken".to_owned().into());
        assert_eq!(
            known.get::<Value>("v1/echo").await.unwrap(),
            json!({"authorization": "Bearer t0ken"})
        );
        assert_eq!(known.post::<Value>("/v1/echo", &json!([1])).await.unwrap(), json!([1]));
        known.delete::<()>("/v1/echo").await.unwrap();
        assert!(!format!("{known:?}").contains("t0ken"));
    }

    #[tokio::test]
    async fn a_problem_comes_as_it_was_sent() {
        let (base, _stop) = server().await;
        let ClientError::Problem(problem) = client(&base).get::<Value>("/v1/busy").await.unwrap_err() else {
            panic!("not a problem")
        };
        assert_eq!(problem.document.slug(), "global-unavailable");
        assert_eq!(problem.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(problem.document.members["region_state"], "degraded");
        assert_eq!(problem.to_string(), "The global cannot be reached.");
    }

    #[tokio::test]
    async fn other_answers_are_told_apart() {
        let (base, _stop) = server().await;
        let c = client(&base);
        let moved = c.get::<Value>("/v1/moved").await.unwrap_err();
        assert!(
            matches!(
                moved,
                ClientError::Unexpected {
                    status: StatusCode::FOUND,
                    ..
                }
            ),
            "{moved}"
        );
        let absent = c.get::<Value>("/v1/absent").await.unwrap_err();
        assert!(
            matches!(
                absent,
                ClientError::Unexpected {
                    status: StatusCode::NOT_FOUND,
                    ..
                }
            ),
            "{absent}"
        );
        let page = c.get::<Value>("/v1/page").await.unwrap_err();
        assert!(matches!(page, ClientError::Answer { .. }), "{page}");
    }

    #[tokio::test]
    async fn nobody_there_is_told_with_the_address() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let gone = client(&format!("http://{free}"))
            .get::<Value>("/v1/echo")
            .await
            .unwrap_err();
        assert!(matches!(gone, ClientError::Unreachable { .. }));
        assert!(gone.to_string().contains(&free.to_string()), "{gone}");
    }

    #[test]
    fn plain_http_to_another_machine_is_refused() {
        exarch_common_crypto::init().unwrap();
        for (base, good) in [
            ("https://g.example:8440", true),
            ("http://127.0.0.1:8440", true),
            ("http://[::1]:8440", true),
            ("http://localhost:8440", true),
            ("http://eu-north.localhost:9440", true),
            ("http://g.example:8440", false),
            ("http://localhost.example:8440", false),
            ("http://127.0.0.1.example:8440", false),
            ("http://192.0.2.1", false),
            ("ftp://localhost", false),
            ("g.example:8440", false),
        ] {
            assert_eq!(ApiClient::new(base, ClientTls::System).is_ok(), good, "{base}");
        }
    }
}
