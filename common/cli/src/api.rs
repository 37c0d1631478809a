//! Calls to one server: JSON values in and out, lists followed to their end.
use crate::Failure;
use exarch_common_base::SecretString;
use exarch_common_http::client::{ApiClient, ClientError, ClientTls};
use reqwest::{
    Method, RequestBuilder,
    header::{self, HeaderValue},
};
use serde_json::Value;
use std::time::Duration;

/// How long to wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any stream lasts.
const STREAM: Duration = Duration::from_secs(24 * 60 * 60);
/// Items of one page.
const PAGE: usize = 100;

/// One server.
#[derive(Clone, Debug)]
pub struct Api {
    client: ApiClient,
    timeout: Duration,
}

/// A version of one thing.
#[derive(Debug)]
pub struct Seen {
    /// The thing.
    pub value: Value,
    path: String,
    tag: Option<HeaderValue>,
}

impl Seen {
    fn condition(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.tag {
            Some(tag) => request.header(header::IF_MATCH, tag),
            None => request,
        }
    }
}

impl Api {
    /// The server at `url`, without credentials.
    pub fn new(url: &str, timeout: Option<Duration>) -> Result<Self, Failure> {
        Ok(Self {
            client: ApiClient::new(url, ClientTls::System)?,
            timeout: timeout.unwrap_or(PATIENCE),
        })
    }

    /// With this token.
    #[must_use]
    pub fn bearer(mut self, token: SecretString) -> Self {
        self.client = self.client.bearer(token);
        self
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.query(path, &[]).await
    }

    /// `GET` with parameters.
    pub async fn query(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let request = self.client.request(Method::GET, path).query(query);
        Ok(self.client.send(request.timeout(self.timeout)).await?)
    }

    /// A list as a stream of events, unread.
    pub async fn stream(&self, path: &str, query: &[(&str, &str)]) -> Result<reqwest::Response, Failure> {
        let request = self.client.request(Method::GET, path).query(query);
        let request = request.header(reqwest::header::ACCEPT, "text/event-stream");
        // It has no end by itself; whoever reads it notices when it falls silent.
        Ok(self.client.open(request.timeout(STREAM)).await?)
    }

    /// `POST` with a body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.client.request(Method::POST, path).json(body);
        Ok(self.client.send(request.timeout(self.timeout)).await?)
    }

    /// `POST` that makes something, under an `Idempotency-Key`: an answer that was lost on its way is asked for once more.
    pub async fn create(&self, path: &str, body: &Value, key: &str) -> Result<Value, Failure> {
        let request = || {
            let request = self.client.request(Method::POST, path).json(body);
            request.header("idempotency-key", key).timeout(self.timeout)
        };
        match self.client.send(request()).await {
            Err(ClientError::Unreachable { .. }) => Ok(self.client.send(request()).await?),
            answer => Ok(answer?),
        }
    }

    /// `POST` of a form, as OAuth has it: the answer, or the name of its error (RFC 6749, section 5.2).
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<Result<Value, String>, Failure> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = self.client.request(Method::POST, path).timeout(self.timeout);
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = self.client.send_oauth(request).await?;
        Ok(answer)
    }

    /// `POST` of an action that says everything by its path.
    pub async fn act(&self, path: &str) -> Result<Value, Failure> {
        let request = self.client.request(Method::POST, path);
        Ok(self.client.send(request.timeout(self.timeout)).await?)
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        let request = self.client.request(Method::DELETE, path);
        Ok(self.client.send(request.timeout(self.timeout)).await?)
    }

    /// What is at `path` at this moment, to be changed or deleted as it was seen.
    pub async fn look(&self, path: &str) -> Result<Seen, Failure> {
        let request = self.client.request(Method::GET, path).timeout(self.timeout);
        let (value, tag) = self.client.send_tagged(request).await?;
        let path = path.to_owned();
        Ok(Seen { value, path, tag })
    }

    /// `PATCH`. What somebody else changed since is not overwritten.
    pub async fn change(&self, seen: &Seen, body: &Value) -> Result<Value, Failure> {
        let request = self.client.request(Method::PATCH, &seen.path).json(body);
        Ok(self.client.send(seen.condition(request).timeout(self.timeout)).await?)
    }

    /// `DELETE`, under the same condition.
    pub async fn remove(&self, seen: &Seen) -> Result<Value, Failure> {
        let request = self.client.request(Method::DELETE, &seen.path);
        Ok(self.client.send(seen.condition(request).timeout(self.timeout)).await?)
    }

    /// All items of a list.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        self.some(path, &[], usize::MAX).await
    }

    /// The first `most` items of a list that match.
    pub async fn some(&self, path: &str, filter: &[(&str, &str)], most: usize) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let limit = PAGE.min(most - items.len()).to_string();
            let mut query = filter.to_vec();
            query.push(("limit", &limit));
            query.extend(next.as_deref().map(|token| ("page_token", token)));
            let mut page = self.query(path, &query).await?;
            let Some(Value::Array(got)) = page.get_mut("items").map(Value::take) else {
                return Err(Failure::Failed(format!(
                    "the answer of {} to {path} is no list",
                    self.client.origin()
                )));
            };
            let token = page.get("next_page_token").and_then(Value::as_str).map(str::to_owned);
            items.extend(got);
            // A server that gives the same token again would be asked for ever.
            if token.is_none() || token == next || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
            next = token;
        }
    }
}
