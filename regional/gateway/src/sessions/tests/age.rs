//! What the passport's age takes away.
use super::*;
use crate::sessions::leaves;

#[tokio::test]
async fn age_takes_away_step_by_step_and_a_new_statement_gives_it_back() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    f.sync().await;
    let write = async || {
        let token = f.global.token(person);
        let name = format!("c{}", f.ambient.now().unix_timestamp());
        let (status, body) = f
            .http
            .send(Method::POST, "/v1/clusters", Some(&token), json!({"name": name}))
            .await;
        (status.as_u16(), slug(&body))
    };
    let read = async || f.http.problem("/v1/clusters", &f.global.token(person)).await;
    let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
    let fine = || (200, String::new());
    let made = || (201, String::new());
    let unavailable = |slug: &str| (503, slug.to_owned());
    for (passed, reads, writes, tier) in [
        (15 * minute, fine(), made(), "fresh"),
        (Duration::from_secs(1), fine(), made(), "stale"),
        (
            24 * hour - 15 * minute - Duration::from_secs(1),
            fine(),
            made(),
            "stale",
        ),
        (Duration::from_secs(1), fine(), unavailable("passport-old"), "old"),
        (
            48 * hour - Duration::from_secs(1),
            fine(),
            unavailable("passport-old"),
            "old",
        ),
        (
            Duration::from_secs(1),
            unavailable("passport-expired"),
            unavailable("passport-expired"),
            "expired",
        ),
    ] {
        f.advance(passed).await;
        let (status, told) = f.http.send(Method::GET, "/v1/continuity", None, Value::Null).await;
        assert_eq!((status.as_u16(), told["passport"]["tier"].as_str()), (200, Some(tier)));
        assert_eq!(read().await, reads, "{tier}");
        assert_eq!(write().await, writes, "{tier}");
    }
    let (_, told) = f.http.send(Method::GET, "/v1/continuity", None, Value::Null).await;
    assert_eq!(told["passport"]["age_seconds"], 72 * 3600 + 1);
    assert_eq!(told["stops"][2]["stopped"], true);
    assert_eq!(told["tunnel"]["state"], "disconnected");

    let confirmed = f.global.restated(f.ambient.now().unix_timestamp());
    f.app.directory.take(Offer::Changes(&confirmed), None).await.unwrap();
    assert_eq!(write().await, made());
}

#[tokio::test]
async fn what_is_dangerous_stops_first() {
    use exarch_common_wire::passport::Tier;
    for permission in STOPS_WHEN_STALE {
        assert!(leaves(Tier::Fresh, permission).is_ok());
        for tier in [Tier::Stale, Tier::Old] {
            assert!(leaves(tier, permission).is_err(), "{permission} at {tier:?}");
        }
    }
    for permission in Role::TenantAdmin.permissions().iter() {
        let stops = STOPS_WHEN_STALE.contains(&permission);
        assert_eq!(leaves(Tier::Stale, permission).is_err(), stops, "{permission}");
    }
}

#[tokio::test]
async fn a_token_that_knows_of_something_newer_is_decided_by_what_is_there_only_while_that_is_fresh() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    f.sync().await;
    f.global.change_tenant(person, "acme", |_| {});
    let newer = f.global.token(person);
    // The global cannot be reached: no connection was ever made.
    assert_eq!(f.http.get("/v1/me", &newer).await.0, 200);
    f.advance(Duration::from_secs(15 * 60 + 1)).await;
    let newer = f.global.token(person);
    assert_eq!(
        f.http.problem("/v1/me", &newer).await,
        (503, "passport-behind".to_owned())
    );
    // A token that knows of nothing newer goes on.
    let mut claims = f.global.claims(person);
    claims.region.as_mut().unwrap().ten_v = Version(1, 0);
    assert_eq!(f.http.get("/v1/me", &f.global.sign(&claims)).await.0, 200);
    // Versions are compared as pairs.
    claims.region.as_mut().unwrap().ten_v = Version(2, 0);
    let next_generation = f.global.sign(&claims);
    assert_eq!(f.http.problem("/v1/me", &next_generation).await.1, "passport-behind");
    f.sync().await;
    assert_eq!(f.http.get("/v1/me", &newer).await.0, 200);

    // A tenant that has yet to come is no different from one that has yet to change.
    let new = f.global.tenant("globex", |_| {});
    assert_eq!(
        f.http.problem("/v1/me", &f.global.token(new)).await,
        (404, "not-entitled".to_owned())
    );
    f.sync().await;
    assert_eq!(f.http.get("/v1/me", &f.global.token(new)).await.0, 200);
}
