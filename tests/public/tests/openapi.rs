//! What is generated is committed, and is what is generated.
use exarch_common_http::openapi_json;
use exarch_global_controller::router;

#[test]
fn the_committed_description_is_the_one_that_is_generated() {
    let now = openapi_json(&router::openapi()).unwrap();
    assert!(
        now == include_str!("../../../global/controller/openapi.json"),
        "global/controller/openapi.json is stale: write it anew with `exarch-global --openapi`"
    );
}
