//! A stream lasts no longer than what lets its reader in.
use super::fixture;
use serde_json::{Value, json};
use std::time::Duration;

fn named(problem: &Value) -> &str {
    problem["type"].as_str().unwrap().rsplit(':').next().unwrap()
}

#[tokio::test]
async fn a_stream_ends_with_the_time_of_its_token() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    f.sync().await;
    let mut stream = f.http.watch("/v1/clusters", &f.global.token(person)).await;
    assert_eq!(stream.expect("page").await, json!({ "items": [] }));
    f.advance(Duration::from_secs(900 + super::SKEW as u64)).await;
    assert_eq!(named(&stream.expect("end").await), "unauthenticated");
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_the_membership_the_role_or_the_entitlement_behind_it() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    f.sync().await;
    let token = f.global.token(person);
    type Change = fn(&mut exarch_common_wire::passport::Tenant);
    let ends: [(Change, &str); 3] = [
        (|t| t.memberships.clear(), "unauthenticated"),
        (
            |t| t.memberships[0].roles = vec!["read-only".to_owned()],
            "permission-denied",
        ),
        (|t| t.entitlement.until = Some(0), "not-entitled"),
    ];
    for (change, slug) in ends {
        f.global.change_tenant(person, "acme", |_| {});
        f.sync().await;
        let mut stream = f.http.watch("/v1/audit", &token).await;
        stream.expect("page").await;
        f.global.change_tenant(person, "acme", change);
        f.sync().await;
        // what was refused of the reader before is in the tenant's own audit
        let end = loop {
            match stream.event().await.expect("an end that says why") {
                (name, end) if name == "end" => break end,
                (name, _) => assert_eq!(name, "added"),
            }
        };
        assert_eq!(named(&end), slug, "{end}");
        assert_eq!(stream.event().await, None);
    }
}
