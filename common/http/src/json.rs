//! JSON bodies, read strictly: what two readers could understand differently is refused.
//!
//! One pass builds the value and refuses deep nesting, a key that occurs twice and NUL in any string; a second one
//! decodes it into the type and refuses unknown fields at every level, whether or not the type asks for it.
use crate::Problem;
use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::LengthLimitError;
use serde::{
    Serialize,
    de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use std::{error::Error, fmt};

/// Bytes of a request body at most.
pub const MAX_BODY: usize = 1024 * 1024;
/// Objects and arrays inside each other at most.
pub const MAX_DEPTH: usize = 32;

/// A JSON body that was read strictly, or a JSON answer.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

/// As [`Json`], or nothing when the request has no body or `null`.
#[derive(Clone, Copy, Debug)]
pub struct OptionalJson<T>(pub Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_content_type(request.headers())?;
        parse(&read_body(request.into_body()).await?).map(Json)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let typed = request
            .headers()
            .contains_key(header::CONTENT_TYPE)
            .then(|| check_content_type(request.headers()));
        let bytes = read_body(request.into_body()).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        typed.unwrap_or_else(|| Err(unsupported()))?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => (
                [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                bytes,
            )
                .into_response(),
            Err(e) => Problem::internal(&e).into_response(),
        }
    }
}

/// The body did not come within the time of [`crate::layers::LayerOptions::body`].
#[derive(Debug, thiserror::Error)]
#[error("the body did not come in time")]
pub(crate) struct BodyLate;

/// The whole body, up to [`MAX_BODY`]; longer is 413, slower than its time 408.
pub async fn read_body(body: Body) -> Result<axum::body::Bytes, Problem> {
    to_bytes(body, MAX_BODY).await.map_err(|e| {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&e);
        while let Some(c) = cause {
            if c.is::<LengthLimitError>() {
                return too_large();
            }
            if c.is::<BodyLate>() {
                return Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "body-late",
                    "The request's body came too slowly",
                )
                .detail("The body did not come in time; send it again at once, or over a better connection.");
            }
            cause = c.source();
        }
        Problem::bad_request("body-incomplete").detail("The request's body ended before it was complete.")
    })
}

pub(crate) fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        "The request's body is too large",
    )
    .detail(format!("Send at most {MAX_BODY} bytes."))
}

fn unsupported() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "Unsupported media type",
    )
    .detail("Send the body as application/json in UTF-8.")
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let text = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .ok_or_else(unsupported)?
        .to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    let is_utf8 = parts
        .filter_map(|p| p.strip_prefix("charset="))
        .all(|charset| charset.trim_matches('"') == "utf-8");
    if is_json && is_utf8 { Ok(()) } else { Err(unsupported()) }
}

/// Decodes one JSON text strictly. 400 for what is no JSON, too deep or ambiguous; 422, with a JSON pointer, for a value
/// that does not fit `T`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    decode(parse_value(bytes)?)
}

/// As [`parse`], without a type.
pub fn parse_value(bytes: &[u8]) -> Result<Value, Problem> {
    let malformed = |why: String| Problem::bad_request("malformed-json").detail(why);
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("The body is not UTF-8.".into()))?;
    let mut walk = Walk::default();
    let mut de = serde_json::Deserializer::from_str(text);
    let read = Strict(&mut walk)
        .deserialize(&mut de)
        .and_then(|v| de.end().map(|()| v));
    match (read, walk.refusal) {
        (_, Some(Refusal::Deep)) => Err(malformed(format!("The body nests deeper than {MAX_DEPTH} levels."))),
        (_, Some(Refusal::Duplicate(at))) => {
            Err(malformed("A key occurs twice in one object.".into()).error(at, "occurs twice"))
        }
        (_, Some(Refusal::Nul(at))) => Err(invalid().error(at, "contains the character NUL")),
        (Ok(value), None) => Ok(value),
        (Err(e), None) => Err(malformed(format!(
            "The body is not JSON: see line {}, column {}.",
            e.line(),
            e.column()
        ))),
    }
}

fn invalid() -> Problem {
    Problem::unprocessable("invalid-value").detail("A value in the body cannot be accepted; see errors.")
}

fn decode<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    let mut unknown = Vec::new();
    let mut note = |path: serde_ignored::Path<'_>| {
        if unknown.len() < 16 {
            unknown.push(ignored_pointer(&path));
        }
    };
    let decoded =
        serde_path_to_error::deserialize(serde_ignored::Deserializer::new(value, &mut note)).map_err(|e| {
            let message = e.inner().to_string();
            invalid().error(
                pointer(e.path(), message.starts_with("unknown field ")),
                reason(&message),
            )
        })?;
    if unknown.is_empty() {
        return Ok(decoded);
    }
    Err(unknown
        .into_iter()
        .fold(invalid(), |p, at| p.error(at, "is not a field of this request")))
}

/// Says what was expected; a wrong value is not repeated (it may be a secret in the wrong place).
pub(crate) fn reason(message: &str) -> String {
    // the last one: the value itself may hold these words
    match message.rsplit_once(", expected ") {
        Some((wrong, expected)) if wrong.starts_with("invalid ") || wrong.starts_with("unknown ") => {
            format!("expected {expected}")
        }
        _ if message.starts_with("unknown ") => "is not expected here".to_owned(),
        _ => message.to_owned(),
    }
}

/// A name that the caller made up, if it can be one mistyped; anything else may be a secret in the wrong place, and is not
/// repeated.
pub(crate) fn name(given: &str) -> &str {
    let is_name = given.len() <= 32
        && given.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
        && (given.is_empty() || given.bytes().any(|b| !b.is_ascii_uppercase()));
    if is_name { given } else { "…" }
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// The place of a value; at an unknown field the last name is the caller's own.
fn pointer(path: &serde_path_to_error::Path, unknown: bool) -> String {
    use serde_path_to_error::Segment;
    let last = path.iter().count().saturating_sub(1);
    path.iter()
        .enumerate()
        .filter_map(|(at, segment)| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } if unknown && at == last => Some(format!("/{}", name(key))),
            Segment::Map { key } => Some(format!("/{}", escape(key))),
            // The variant of an enum is no level of the document's own.
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn ignored_pointer(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}/{index}", ignored_pointer(parent)),
        Path::Map { parent, key } => format!("{}/{}", ignored_pointer(parent), name(key)),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            ignored_pointer(parent)
        }
    }
}

enum Segment {
    Key(String),
    Index(usize),
}

enum Refusal {
    Deep,
    Duplicate(String),
    Nul(String),
}

/// Where the first pass is, and why it stopped.
#[derive(Default)]
struct Walk {
    path: Vec<Segment>,
    refusal: Option<Refusal>,
}

impl Walk {
    fn at(&self) -> String {
        self.path
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => format!("/{}", name(key)),
                Segment::Index(index) => format!("/{index}"),
            })
            .collect()
    }

    fn refuse<E: serde::de::Error>(&mut self, refusal: Refusal) -> E {
        self.refusal.get_or_insert(refusal);
        E::custom("refused")
    }

    fn string<E: serde::de::Error>(&mut self, text: String) -> Result<String, E> {
        if text.contains('\0') {
            return Err(self.refuse(Refusal::Nul(self.at())));
        }
        Ok(text)
    }
}

struct Strict<'w>(&'w mut Walk);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Value, E> {
        self.visit_string(v.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, v: String) -> Result<Value, E> {
        self.0.string(v).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let walk = self.0;
        if walk.path.len() >= MAX_DEPTH {
            return Err(walk.refuse(Refusal::Deep));
        }
        let mut out = Vec::new();
        walk.path.push(Segment::Index(0));
        while let Some(value) = seq.next_element_seed(Strict(walk))? {
            out.push(value);
            if let Some(Segment::Index(index)) = walk.path.last_mut() {
                *index = out.len();
            }
        }
        walk.path.pop();
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let walk = self.0;
        if walk.path.len() >= MAX_DEPTH {
            return Err(walk.refuse(Refusal::Deep));
        }
        let mut out = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            walk.path.push(Segment::Key(key.clone()));
            let key = walk.string::<A::Error>(key)?;
            if out.contains_key(&key) {
                return Err(walk.refuse(Refusal::Duplicate(walk.at())));
            }
            let value = map.next_value_seed(Strict(walk))?;
            walk.path.pop();
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests;
