//! The committed description of the API is the one that the code makes.
use exarch_regional_gateway::router;
use std::{fs, path::Path};

#[test]
fn the_committed_description_is_the_one_the_routes_make() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = exarch_common_http::openapi_json(&router::openapi()).unwrap();
    if std::env::var_os("REGENERATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "regional/gateway/openapi.json is stale: REGENERATE=1 cargo test --workspace the_committed_description"
    );
}
