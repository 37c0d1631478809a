//! Parameters of path and query, read strictly: a parameter the route does not know, or one given twice, is refused
//! rather than ignored.
use crate::{
    Problem, json,
    page::{PageQuery, Paging},
};
use axum::{
    extract::{FromRequestParts, path::ErrorKind, rejection::PathRejection},
    http::request::Parts,
};
use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, Visitor},
    forward_to_deserialize_any,
};
use std::collections::BTreeSet;

/// Bytes of a query at most.
const MAX_QUERY: usize = 8 * 1024;

/// The parameters in the path. One that cannot be read names nothing, so the answer is 404.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(e)) => Err(match e.kind() {
                ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
                    nothing_there(Some(key), &format!("expected {expected_type}"))
                }
                ErrorKind::DeserializeError { key, message, .. } => nothing_there(Some(key), message),
                ErrorKind::ParseError { expected_type, .. } => {
                    nothing_there(None, &format!("expected {expected_type}"))
                }
                ErrorKind::Message(message) => nothing_there(None, message),
                ErrorKind::InvalidUtf8InPathParam { .. } => {
                    Problem::bad_request("malformed-path").detail("The path is not UTF-8.")
                }
                _ => Problem::internal(&e),
            }),
            Err(e) => Err(Problem::internal(&e)),
        }
    }
}

fn nothing_there(key: Option<&String>, reason: &str) -> Problem {
    let p = Problem::not_found("not-found").detail("Nothing has this name; see errors.");
    p.error(key.map_or("path", String::as_str), reason)
}

/// The parameters in the query, all of which `T` must name. `T` is a plain structure: with `#[serde(flatten)]` its names
/// are unknown and every parameter is refused. For lists see [`List`].
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = pairs(parts.uri.query().unwrap_or_default())?;
        strict(&pairs).map(Self)
    }
}

/// The query of a list: page parameters beside the filters `F` (a plain structure; `()` for none).
#[derive(Clone, Debug)]
pub struct List<F = ()> {
    /// Which page.
    pub page: Paging,
    /// Which items.
    pub filter: F,
}

impl<F: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for List<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let (page, filter): (Vec<_>, Vec<_>) = pairs(parts.uri.query().unwrap_or_default())?
            .into_iter()
            .partition(|(name, _)| names_of::<PageQuery>().contains(&name.as_str()));
        Ok(Self {
            page: strict::<PageQuery>(&page)?.checked()?,
            filter: strict(&filter)?,
        })
    }
}

fn refused(name: &str, reason: &str) -> Problem {
    Problem::bad_request("malformed-query")
        .detail("A parameter of the query cannot be accepted; see errors.")
        .error(name, reason)
}

/// Splits `a=1&b=2` (application/x-www-form-urlencoded) and decodes it; not UTF-8, NUL or a name given twice is refused.
pub fn pairs(raw: &str) -> Result<Vec<(String, String)>, Problem> {
    if raw.len() > MAX_QUERY {
        return Err(
            Problem::bad_request("malformed-query").detail(format!("The query is longer than {MAX_QUERY} bytes."))
        );
    }
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        let text = percent_encoding::percent_decode_str(&spaced)
            .decode_utf8()
            .map_err(|_| refused("query", "is not UTF-8"))?;
        if text.contains('\0') {
            return Err(refused("query", "contains the character NUL"));
        }
        Ok(text.into_owned())
    };
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    for part in raw.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if !seen.insert(name.clone()) {
            return Err(refused(json::name(&name), "is given twice"));
        }
        out.push((name, value));
    }
    Ok(out)
}

fn strict<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, Problem> {
    let known = names_of::<T>();
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(refused(json::name(name), "is not a parameter of this request"));
    }
    typed(pairs)
}

/// Decodes pairs that [`pairs`] made; names that `T` does not know are ignored, as OAuth wants it for its endpoints.
pub fn typed<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, Problem> {
    // serde_urlencoded knows how numbers, options and enumerations look in a query; it reads text, so give it text back.
    let text = serde_urlencoded::to_string(pairs).map_err(|e| Problem::internal(&e))?;
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(form_urlencoded::parse(
        text.as_bytes(),
    )))
    .map_err(|e| refused(&e.path().to_string(), &json::reason(&e.inner().to_string())))
}

/// The field names that the derived `Deserialize` of a structure announces.
fn names_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // Ends in an error always: it wants to know what would be read, and reads nothing.
    let _ = T::deserialize(Names(&mut names));
    names
}

struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("only names"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(Self::Error::custom("only names"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum State {
        Active,
        ShutDown,
    }

    #[derive(Debug, Deserialize)]
    struct Filter {
        state: Option<State>,
        #[serde(rename = "min")]
        least: Option<u8>,
    }

    fn parts(query: &str) -> Parts {
        Request::get(format!("/v1/things?{query}"))
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    async fn list(query: &str) -> Result<List<Filter>, Problem> {
        List::from_request_parts(&mut parts(query), &()).await
    }

    async fn refused_name(query: &str) -> String {
        let problem = list(query).await.unwrap_err();
        assert_eq!(problem.status(), 400, "{query}");
        problem.document().errors[0].pointer.clone()
    }

    #[tokio::test]
    async fn a_list_takes_page_and_filters() {
        let read = list("state=shut-down&limit=5&min=7").await.unwrap();
        assert_eq!((read.filter.state, read.filter.least), (Some(State::ShutDown), Some(7)));
        assert_eq!((read.page.limit, read.page.after), (5, None));
        assert_eq!(list("").await.unwrap().page.limit, 20);
        let all = List::<()>::from_request_parts(&mut parts("limit=1"), &())
            .await
            .unwrap();
        assert_eq!(all.page.limit, 1);
        assert!(
            List::<()>::from_request_parts(&mut parts("state=active"), &())
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn what_the_route_does_not_know_or_gets_twice_is_refused_by_name() {
        for (query, name) in [
            ("stat=active", "stat"),
            ("least=1", "least"),
            ("state=active&state=active", "state"),
            ("state=active&st%61te=active", "state"),
            ("limit=1&limit=2", "limit"),
            ("state=gone", "state"),
            ("min=256", "min"),
            ("min=-1", "min"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("page_token=x", "page_token"),
            ("=1", ""),
            ("state=%ff", "query"),
            ("state=a%00b", "query"),
        ] {
            assert_eq!(refused_name(query).await, name, "{query}");
        }
        assert!(list(&format!("state={}", "a".repeat(MAX_QUERY))).await.is_err());
    }

    #[tokio::test]
    async fn a_query_alone_refuses_the_parameters_of_pages() {
        assert!(
            Query::<Filter>::from_request_parts(&mut parts("min=1"), &())
                .await
                .is_ok()
        );
        assert!(
            Query::<Filter>::from_request_parts(&mut parts("limit=1"), &())
                .await
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn no_query_breaks_the_reader(raw in "[ -~]{0,60}") {
            if let Ok(pairs) = pairs(&raw) {
                let _ = typed::<Filter>(&pairs);
            }
        }

        #[test]
        fn what_was_encoded_reads_back(value in "[^\0]{0,20}") {
            let raw = serde_urlencoded::to_string([("name", &value)]).unwrap();
            prop_assert_eq!(pairs(&raw).unwrap(), vec![("name".to_owned(), value)]);
        }
    }
}
