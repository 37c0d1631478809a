//! RFC 9457 problem details: the one form in which this project says no.
//!
//! A handler returns a [`Problem`]; the standard layers add the request id when the answer leaves. What went wrong
//! inside is logged where the problem is made and never told.
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use exarch_common_base::{DecisionId, RequestId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, error::Error, fmt, time::Duration};
use utoipa::ToSchema;

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";
const URN: &str = "urn:exarch:problem:";

/// One value that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or the name of a parameter.
    pub pointer: String,
    /// What is wrong with it, in one sentence.
    pub reason: String,
}

/// A problem as it travels (RFC 9457), also what clients decode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Stable name: `urn:exarch:problem:<slug>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What this kind of problem is.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence a person can act on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Quote this when asking for help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `exarch why <decision_id>` explains the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
    /// The values that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Members of this kind of problem.
    #[serde(flatten)]
    pub members: BTreeMap<String, Value>,
}

impl ProblemDocument {
    /// The last part of `type`; empty when the problem is none of ours.
    pub fn slug(&self) -> &str {
        self.kind.strip_prefix(URN).unwrap_or_default()
    }
}

impl fmt::Display for ProblemDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.as_deref().unwrap_or(&self.title))
    }
}

#[derive(Clone, Debug)]
struct Inner {
    document: ProblemDocument,
    status: StatusCode,
    retry_after: Option<u64>,
    challenge: Option<HeaderValue>,
}

/// A refusal or failure, ready to be an answer.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

impl Problem {
    /// `slug` is the stable end of `type`; `title` says what this kind of problem is.
    pub fn new(status: StatusCode, slug: &str, title: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            document: ProblemDocument {
                kind: format!("{URN}{slug}"),
                title: title.into(),
                status: status.as_u16(),
                detail: None,
                request_id: None,
                decision_id: None,
                errors: Vec::new(),
                members: BTreeMap::new(),
            },
            status,
            retry_after: None,
            challenge: (status == StatusCode::UNAUTHORIZED).then(|| HeaderValue::from_static("Bearer")),
        }))
    }

    /// The title is the slug in words: `cluster-name-taken` is "Cluster name taken".
    pub(crate) fn named(status: StatusCode, slug: &str) -> Self {
        let mut title = slug.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self::new(status, slug, title)
    }

    /// 400: the request is malformed.
    pub fn bad_request(slug: &str) -> Self {
        Self::named(StatusCode::BAD_REQUEST, slug)
    }

    /// 401: who are you. Carries `WWW-Authenticate: Bearer` unless [`Problem::challenge`] says otherwise.
    pub fn unauthorized(slug: &str) -> Self {
        Self::named(StatusCode::UNAUTHORIZED, slug)
    }

    /// 402: the tenant is suspended for billing.
    pub fn payment_required(slug: &str) -> Self {
        Self::named(StatusCode::PAYMENT_REQUIRED, slug)
    }

    /// 403: we know you, and you may not.
    pub fn forbidden(slug: &str) -> Self {
        Self::named(StatusCode::FORBIDDEN, slug)
    }

    /// 404: it does not exist, or its existence is not yours to know.
    pub fn not_found(slug: &str) -> Self {
        Self::named(StatusCode::NOT_FOUND, slug)
    }

    /// 409: not in this state.
    pub fn conflict(slug: &str) -> Self {
        Self::named(StatusCode::CONFLICT, slug)
    }

    /// 410: it was here and will not come back.
    pub fn gone(slug: &str) -> Self {
        Self::named(StatusCode::GONE, slug)
    }

    /// 412: `If-Match` names another version than the present one.
    pub fn precondition_failed() -> Self {
        Self::named(StatusCode::PRECONDITION_FAILED, "precondition-failed")
            .detail("It was changed meanwhile: read it again and repeat the change on the new version.")
    }

    /// 428: this change needs `If-Match`.
    pub fn precondition_required() -> Self {
        Self::named(StatusCode::PRECONDITION_REQUIRED, "precondition-required")
            .detail("Send If-Match with the ETag of the version that you want to change.")
    }

    /// 422: well formed, and a value is wrong; see [`Problem::error`].
    pub fn unprocessable(slug: &str) -> Self {
        Self::named(StatusCode::UNPROCESSABLE_ENTITY, slug)
    }

    /// 429: too many requests; come back after `retry_after`.
    pub fn too_many(retry_after: Duration) -> Self {
        Self::named(StatusCode::TOO_MANY_REQUESTS, "too-many-requests").retry_after(retry_after)
    }

    /// 503: not now; come back after `retry_after`.
    pub fn unavailable(slug: &str, retry_after: Duration) -> Self {
        Self::named(StatusCode::SERVICE_UNAVAILABLE, slug).retry_after(retry_after)
    }

    /// A failure of ours (500): the cause with all its sources is logged here, once, in the span of the request, and the
    /// caller learns nothing of it but the request id.
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        let mut text = cause.to_string();
        let mut next = cause.source();
        while let Some(source) = next {
            text.push_str(": ");
            text.push_str(&source.to_string());
            next = source.source();
        }
        tracing::error!(cause = %text, "a request failed inside");
        Self::broken()
    }

    /// 500 whose cause is already in the log.
    pub(crate) fn broken() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something failed on our side",
        )
        .detail("Repeat the request; if it fails again, give the request id to whoever runs this service.")
    }

    /// One sentence a person can act on.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.document.detail = Some(detail.into());
        self
    }

    /// Another title than the slug in words.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.0.document.title = title.into();
        self
    }

    /// Names one refused value: a JSON pointer, or the name of a parameter.
    #[must_use]
    pub fn error(mut self, pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        self.0.document.errors.push(FieldError {
            pointer: pointer.into(),
            reason: reason.into(),
        });
        self
    }

    /// The recorded decision behind a refusal.
    #[must_use]
    pub fn decision(mut self, id: DecisionId) -> Self {
        self.0.document.decision_id = Some(id.to_string());
        self
    }

    /// A member of this kind of problem, such as a lease's holder. A value that is no JSON is left out.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.document.members.insert(key.to_owned(), value);
        }
        self
    }

    /// `Retry-After`, in whole seconds rounded up, at least one.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after.as_millis().div_ceil(1000).max(1) as u64);
        self
    }

    /// Another `WWW-Authenticate` than `Bearer`.
    #[must_use]
    pub fn challenge(mut self, challenge: HeaderValue) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    pub(crate) fn request_id(mut self, id: RequestId) -> Self {
        self.0.document.request_id = Some(id.to_string());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable end of `type`.
    pub fn slug(&self) -> &str {
        self.0.document.slug()
    }

    /// As it will travel.
    pub fn document(&self) -> &ProblemDocument {
        &self.0.document
    }

    /// The body, for the layer that adds the request id.
    pub(crate) fn body(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0.document).expect("a problem has only string keys and JSON values")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.document.fmt(f)
    }
}

impl Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = &self.0.challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
        }
        // The outermost layer takes it out again to add the request id.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn json(response: Response) -> Value {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_problem_is_rfc_9457_with_our_members() {
        let response = Problem::conflict("lease-held")
            .detail("Another agent holds the lease.")
            .with("remaining_seconds", 12)
            .error("/resource", "is held")
            .into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(
            json(response).await,
            serde_json::json!({
                "type": "urn:exarch:problem:lease-held", "title": "Lease held", "status": 409,
                "detail": "Another agent holds the lease.", "remaining_seconds": 12,
                "errors": [{"pointer": "/resource", "reason": "is held"}],
            })
        );
    }

    #[test]
    fn waiting_is_told_in_whole_seconds_and_never_zero() {
        for (wait, header_value) in [(0, "1"), (999, "1"), (1000, "1"), (1001, "2")] {
            let response = Problem::too_many(Duration::from_millis(wait)).into_response();
            assert_eq!(response.headers()[header::RETRY_AFTER], header_value);
        }
        assert_eq!(
            Problem::unavailable("global-unavailable", Duration::from_secs(5))
                .into_response()
                .headers()[header::RETRY_AFTER],
            "5"
        );
    }

    #[test]
    fn only_a_401_asks_for_credentials() {
        let asks = |p: Problem| p.into_response().headers().contains_key(header::WWW_AUTHENTICATE);
        assert!(asks(Problem::unauthorized("token-expired")));
        assert!(!asks(Problem::forbidden("denied")));
    }

    #[tokio::test]
    async fn an_internal_failure_tells_nothing_of_its_cause() {
        let cause = std::io::Error::other("password is hunter2");
        let text = json(Problem::internal(&cause).into_response()).await.to_string();
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_client_reads_back_what_was_sent() {
        let problem = Problem::conflict("lease-held").with("holder", "agt_1");
        let read: ProblemDocument = serde_json::from_slice(&problem.body()).unwrap();
        assert_eq!(&read, problem.document());
        assert_eq!(
            (read.slug(), &read.members["holder"]),
            ("lease-held", &Value::from("agt_1"))
        );
    }
}
