//! The session cookie of browsers.
use axum::{
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use exarch_common_base::Ambient;
use exarch_common_crypto::hash::sha256;

/// Bound to this host, to HTTPS (or localhost) and to `/` by its prefix.
const NAME: &str = "__Host-exarch-global";

/// A new secret and its hash, which is all that is stored.
pub fn make(ambient: &Ambient) -> (String, [u8; 32]) {
    let secret = URL_SAFE_NO_PAD.encode(ambient.bytes::<32>());
    let hash = sha256(secret.as_bytes());
    (secret, hash)
}

/// The hash of the cookie that a request carries; nothing when it carries none or several.
pub fn read(parts: &Parts) -> Option<[u8; 32]> {
    let values = parts.headers.get_all(header::COOKIE).iter();
    let pairs = values.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    let mut ours = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == NAME);
    match (ours.next(), ours.next()) {
        (Some((_, secret)), None) => Some(sha256(secret.as_bytes())),
        _ => None,
    }
}

/// The answer with the cookie, good for `seconds`.
pub fn with_cookie(answer: impl IntoResponse, secret: &str, seconds: i64) -> Response {
    set(answer, secret, seconds)
}

/// The answer that takes the cookie away.
pub fn clearing(answer: impl IntoResponse) -> Response {
    set(answer, "", 0)
}

fn set(answer: impl IntoResponse, value: &str, seconds: i64) -> Response {
    let cookie = format!("{NAME}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let mut response = answer.into_response();
    let value = HeaderValue::from_str(&cookie).expect("base64url and digits make a header");
    response.headers_mut().append(header::SET_COOKIE, value);
    response
}
