//! The web app, embedded in the binary, and the description of the API.
use crate::{app::App, router};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use exarch_common_http::{Api, RouteKind, openapi_json};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::sync::LazyLock;
use utoipa_axum::routes;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../dashboard/dist"]
struct Files;

const INDEX: &str = "index.html";
/// File names in here hold a hash of their contents.
const HASHED: &str = "assets/";

/// The description as it is served; made once.
static DESCRIPTION: LazyLock<String> =
    LazyLock::new(|| openapi_json(&router::openapi()).expect("a description has only string keys"));

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(description))
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "web",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)))]
async fn description() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, DESCRIPTION.as_str()).into_response()
}

/// Serves the web app wherever no route is: its files, and its one page for every address within it.
pub fn add(router: Router<App>) -> Router<App> {
    router.fallback(page)
}

async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let is_api = ["v1", ".well-known", "oauth2", "federation"].iter().any(|root| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if is_api || !matches!(method, Method::GET | Method::HEAD) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let path = if path.is_empty() { INDEX } else { path };
    match Files::get(path) {
        Some(file) => answer(path, file, &headers),
        // a file that is not there is not the page
        None if path.rsplit('/').next().is_some_and(|name| name.contains('.')) => StatusCode::NOT_FOUND.into_response(),
        None => match Files::get(INDEX) {
            Some(file) => answer(INDEX, file, &headers),
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

fn answer(path: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash: String = file
        .metadata
        .sha256_hash()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let etag = format!("\"{hash}\"");
    let cache = if path.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let unchanged = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|tag| tag.trim() == etag));
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(file.data.into_owned()).into_response()
    };
    let out = response.headers_mut();
    let mut put = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, file.metadata.mimetype());
    put(header::ETAG, &etag);
    put(header::CACHE_CONTROL, cache);
    response
}
