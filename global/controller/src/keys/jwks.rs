//! `GET /.well-known/jwks.json`: the keys that verify users' tokens (RFC 7517).
use crate::app::App;
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use exarch_common_crypto::jws;
use exarch_common_http::{Api, Json, RouteKind};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(handler))
}

/// A set of JSON Web Keys.
#[derive(Serialize, ToSchema)]
struct Jwks {
    /// Public keys on P-256, those that do not sign yet among them.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<serde_json::Value>,
}

/// The keys that verify users' tokens.
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "jwks", tag = "keys",
    responses((status = 200, description = "The keys", body = Jwks)))]
async fn handler(State(app): State<App>) -> Response {
    let now = app.ambient.now();
    let ring = app.keys.users();
    let keys = ring.published(now).map(|key| jws::jwk(&key.key.public(), &key.kid()));
    let answer = Json(Jwks { keys: keys.collect() });
    // short: a verifier that cached the set must learn of a new key before that key signs
    let cached = HeaderValue::from_static("public, max-age=300");
    ([(header::CACHE_CONTROL, cached)], answer).into_response()
}
