//! Conditions that a request puts on itself: `If-Match` and `Idempotency-Key`.
use crate::Problem;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use std::convert::Infallible;
use utoipa::{
    IntoParams,
    openapi::{
        ObjectBuilder, Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::Type,
    },
};

/// The parameter's name in descriptions.
pub(crate) const IF_MATCH: &str = "If-Match";
/// What it may be, in descriptions; whatever else it is, it names no version that is there.
pub(crate) const TAGS: &str = r#"^(\*|"[0-9]+"( *, *"[0-9]+")*)$"#;
/// What an `Idempotency-Key` may be, in descriptions.
pub(crate) const KEY: &str = "^[!-~]{1,128}$";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The `ETag` of version `version` of something.
pub fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits and quotes make a header")
}

/// `If-Match`, to be compared with what is there.
#[derive(Clone, Debug)]
pub struct IfMatch(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(one(&parts.headers, &header::IF_MATCH)))
    }
}

/// For the descriptions of routes other than PATCH, which all have it: `params(("id" = String, Path), IfMatch)`. The answers to a
/// header that is missing or names another version are described with it.
impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(TAGS))
            .build();
        let header = ParameterBuilder::new()
            .name(IF_MATCH)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some("The `ETag` of what you have seen; `*` for whatever is there."))
            .schema(Some(text));
        vec![header.build()]
    }
}

/// The header's text; several of one name, or one that is no text, match nothing.
fn one(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return Some(String::new());
    }
    Some(first.to_str().unwrap_or_default().trim().to_owned())
}

impl IfMatch {
    /// 428 without the header, 412 when it names another version.
    pub fn require(&self, version: u64) -> Result<(), Problem> {
        if self.0.is_none() {
            return Err(Problem::precondition_required());
        }
        self.check(version)
    }

    /// 412 when the header is there and names another version.
    pub fn check(&self, version: u64) -> Result<(), Problem> {
        let Some(text) = &self.0 else {
            return Ok(());
        };
        // Weak tags never match (RFC 9110, 13.1.1).
        let current = format!("\"{version}\"");
        if text == "*" || text.split(',').any(|tag| tag.trim() == current) {
            return Ok(());
        }
        Err(Problem::precondition_failed())
    }
}

/// `Idempotency-Key`, if the caller sent one: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let key = one(&parts.headers, &IDEMPOTENCY_KEY);
        let fits = |k: &String| (1..=128).contains(&k.len()) && k.bytes().all(|b| b.is_ascii_graphic());
        if key.as_ref().is_some_and(|k| !fits(k)) {
            return Err(Problem::bad_request("malformed-idempotency-key")
                .detail("Send one Idempotency-Key of 1 to 128 visible ASCII characters."));
        }
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    async fn if_match(headers: &[(&str, &str)]) -> IfMatch {
        let Ok(condition) = IfMatch::from_request_parts(&mut parts(headers), &()).await;
        condition
    }

    #[tokio::test]
    async fn a_change_needs_the_version_that_is_there() {
        for (tag, status) in [
            ("\"7\"", None),
            ("\"6\", \"7\"", None),
            ("*", None),
            ("\"6\"", Some(412)),
            ("W/\"7\"", Some(412)),
            ("7", Some(412)),
            ("", Some(412)),
        ] {
            let condition = if_match(&[("if-match", tag)]).await;
            assert_eq!(condition.require(7).err().map(|p| p.status().as_u16()), status, "{tag}");
        }
        assert_eq!(etag(7), "\"7\"");
        let absent = if_match(&[]).await;
        assert_eq!(absent.require(7).unwrap_err().status(), 428);
        assert!(absent.check(7).is_ok());
        assert!(
            if_match(&[("if-match", "\"7\""), ("if-match", "\"7\"")])
                .await
                .check(7)
                .is_err()
        );
    }

    #[tokio::test]
    async fn an_idempotency_key_is_short_and_visible() {
        let key = |value: String| async move {
            let mut parts = parts(&[("idempotency-key", &value)]);
            IdempotencyKey::from_request_parts(&mut parts, &()).await.map(|k| k.0)
        };
        assert_eq!(key("a-1".into()).await.unwrap(), Some("a-1".into()));
        for bad in [String::new(), "a b".into(), "a".repeat(129)] {
            assert_eq!(key(bad).await.unwrap_err().status(), 400);
        }
        let none = IdempotencyKey::from_request_parts(&mut parts(&[]), &()).await.unwrap();
        assert_eq!(none.0, None);
    }
}
