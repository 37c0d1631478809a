//! Creating requests that may be repeated: the header `Idempotency-Key`.
//!
//! The answer to the first request under a key is kept for a day, in the transaction of its effect: [`Once::commit`] is how a
//! creating route commits, and a route that answers otherwise fails. The same caller, route, key and body get the same answer
//! from every replica; another body is 422. What fails is not kept: its repeat is a new attempt. A route that shows a secret
//! keeps only the fact ([`Repeat::Secret`]).
//!
//! Two requests under one key at once: the second waits, for a row of the first or for the record itself, and whatever it came
//! to then, the answer is the one that was kept.
use crate::{Problem, conditions::IdempotencyKey, json::read_body};
use axum::{
    body::{Body, to_bytes},
    extract::{FromRequestParts, Request},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use exarch_common_base::{Ambient, TenantId};
use exarch_common_crypto::{
    hash::sha256,
    seal::{Place, Sealer},
};
use exarch_common_pg::{
    AppPool, Transaction,
    idempotency::{self, RecordKey},
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc, time::Duration};

/// How long an answer is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What the repeat of a creating request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The same as the first one.
    Same,
    /// 409 `secret-already-shown` with the id of what was made: the answer shows a secret, and nobody keeps that.
    Secret,
}

impl Repeat {
    /// The word in the description of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same-answer",
            Self::Secret => "secret-already-shown",
        }
    }
}

/// Where a server keeps answers.
#[derive(Clone)]
pub struct Answers(Arc<Inner>);

struct Inner {
    ambient: Ambient,
    pool: AppPool,
    sealer: Arc<Sealer>,
}

impl Answers {
    /// In the database of `pool`, sealed.
    pub fn new(ambient: Ambient, pool: AppPool, sealer: Arc<Sealer>) -> Self {
        Self(Arc::new(Inner { ambient, pool, sealer }))
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

/// Who asks: the gate puts it into the extensions of every request that it admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The tenant whose thing it is; that of the provider for what is no tenant's.
    pub tenant: TenantId,
    /// The caller, by an id that outlives sessions and tokens.
    pub caller: String,
}

/// One request of a creating route; handlers take it as an extractor, and commit by it.
#[derive(Clone, Debug)]
pub struct Once {
    repeat: Repeat,
    keyed: Option<Keyed>,
}

#[derive(Clone, Debug)]
struct Keyed {
    answers: Answers,
    key: RecordKey,
    request: [u8; 32],
}

/// An answer that was committed together with its effect.
#[derive(Debug)]
pub struct Kept(Response);

/// In the extensions of a response that [`Once::commit`] made.
#[derive(Clone, Copy)]
struct Committed;

impl IntoResponse for Kept {
    fn into_response(mut self) -> Response {
        self.0.extensions_mut().insert(Committed);
        self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| {
            tracing::error!("a handler that creates is not registered as one");
            Problem::broken()
        })
    }
}

/// What is kept, sealed.
#[derive(Serialize, Deserialize)]
struct Record {
    request: [u8; 32],
    made: String,
    answer: Option<Answer>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

const HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

impl Once {
    /// For an answer without a secret on a route that otherwise shows one: it is kept whole.
    #[must_use]
    pub fn showing_no_secret(mut self) -> Self {
        self.repeat = Repeat::Same;
        self
    }

    /// Commits `tx` and keeps `answer`, about `made`, for repeats.
    ///
    /// # Errors
    /// 409 `request-under-way` when another request under the same key came first; nothing was done then. As the commit.
    pub async fn commit<T: Transaction>(
        self,
        tx: T,
        made: impl fmt::Display,
        answer: impl IntoResponse,
    ) -> Result<Kept, Problem> {
        let (parts, body) = answer.into_response().into_parts();
        let Some(keyed) = &self.keyed else {
            tx.finish().await?;
            return Ok(Kept(Response::from_parts(parts, body)));
        };
        let body = to_bytes(body, usize::MAX).await.map_err(|e| Problem::internal(&e))?;
        let text = |name: &HeaderName| Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned()));
        let record = Record {
            request: keyed.request,
            made: made.to_string(),
            answer: match self.repeat {
                Repeat::Secret => None,
                Repeat::Same => Some(Answer {
                    status: parts.status.as_u16(),
                    headers: HEADERS.iter().filter_map(text).collect(),
                    body: std::str::from_utf8(&body)
                        .map_err(|e| Problem::internal(&e))?
                        .to_owned(),
                }),
            },
        };
        let inner = &keyed.answers.0;
        let plain = serde_json::to_vec(&record).map_err(|e| Problem::internal(&e))?;
        let sealed = inner.sealer.seal(&inner.ambient, place(&keyed.row()), &plain);
        let now = inner.ambient.now();
        if !idempotency::commit_with(tx, &keyed.key, &sealed, now, now + KEPT).await? {
            return Err(Problem::conflict("request-under-way")
                .detail("The first request with this Idempotency-Key is still under way: repeat it in a moment.")
                .retry_after(Duration::from_secs(1)));
        }
        Ok(Kept(Response::from_parts(parts, Body::from(body))))
    }
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: "idempotency",
        column: "sealed",
        row,
    }
}

impl Keyed {
    fn row(&self) -> String {
        let id: String = self.key.id.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}/{id}", self.key.tenant)
    }

    /// What a repeat is answered, if there was a first one.
    async fn answer(&self) -> Result<Option<Response>, Problem> {
        let inner = &self.answers.0;
        let found = idempotency::find(&inner.pool, &self.key, inner.ambient.now()).await?;
        let Some(sealed) = found else { return Ok(None) };
        let plain = inner.sealer.open(place(&self.row()), &sealed);
        let plain = plain.map_err(|e| Problem::internal(&e))?;
        let record: Record = serde_json::from_slice(&plain).map_err(|e| Problem::internal(&e))?;
        if record.request != self.request {
            return Err(Problem::unprocessable("idempotency-key-reused")
                .detail("This Idempotency-Key came with another body before: use a new key for a new request."));
        }
        let Some(answer) = record.answer else {
            return Err(Problem::conflict("secret-already-shown")
                .detail("This request was carried out before, and the secret it showed is not shown again.")
                .with("id", record.made));
        };
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|e| Problem::internal(&e))?;
        for (name, value) in HEADERS.iter().filter_map(|name| {
            let (_, value) = answer.headers.iter().find(|(kept, _)| kept == name.as_str())?;
            Some((name, HeaderValue::from_str(value).ok()?))
        }) {
            response.headers_mut().insert(name, value);
        }
        Ok(Some(response))
    }
}

/// Stands between the gate and the handler of every creating route.
pub(crate) async fn once(answers: Option<Answers>, repeat: Repeat, request: Request, next: Next) -> Response {
    let (keyed, request) = match keyed(answers, request).await {
        Ok(both) => both,
        Err(problem) => return problem.into_response(),
    };
    let Some(keyed) = keyed else {
        return run(Once { repeat, keyed: None }, request, next).await;
    };
    match keyed.answer().await {
        Ok(Some(answer)) => return answer,
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    let once = Once {
        repeat,
        keyed: Some(keyed.clone()),
    };
    let response = run(once, request, next).await;
    if response.status().is_success() {
        return response;
    }
    // A request under the same key may have come first meanwhile; what this one met is that one's effect.
    match keyed.answer().await {
        Ok(None) => response,
        Ok(Some(answer)) => answer,
        Err(problem) if problem.status().is_client_error() => problem.into_response(),
        Err(_) => response,
    }
}

async fn run(once: Once, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(once);
    let mut response = next.run(request).await;
    if response.status().is_success() && response.extensions_mut().remove::<Committed>().is_none() {
        tracing::error!("a creating route answered without committing by Once");
        return Problem::broken().into_response();
    }
    response
}

async fn keyed(answers: Option<Answers>, request: Request) -> Result<(Option<Keyed>, Request), Problem> {
    let (mut parts, body) = request.into_parts();
    let Some(key) = IdempotencyKey::from_request_parts(&mut parts, &()).await?.0 else {
        return Ok((None, Request::from_parts(parts, body)));
    };
    let (Some(answers), Some(asking)) = (answers, parts.extensions.get::<Asking>()) else {
        tracing::error!("the gate of a creating route does not say who asks, or where answers are kept");
        return Err(Problem::broken());
    };
    let body = read_body(body).await?;
    let route = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let keyed = Keyed {
        answers,
        key: RecordKey {
            tenant: asking.tenant,
            id: id(&[&asking.caller, parts.method.as_str(), route, &key]),
        },
        request: sha256(&body),
    };
    Ok((Some(keyed), Request::from_parts(parts, Body::from(body))))
}

/// Length before each part, so that no two lists share an encoding.
fn id(parts: &[&str]) -> [u8; 32] {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    sha256(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_callers_routes_or_keys_share_a_record() {
        let one = id(&["usr_1", "POST", "/v1/tenants", "k"]);
        for other in [
            ["usr_2", "POST", "/v1/tenants", "k"],
            ["usr_1", "PUT", "/v1/tenants", "k"],
            ["usr_1", "POST", "/v1/users", "k"],
            ["usr_1", "POST", "/v1/tenant", "sk"],
        ] {
            assert_ne!(id(&other), one, "{other:?}");
        }
        assert_eq!(id(&["usr_1", "POST", "/v1/tenants", "k"]), one);
    }
}
