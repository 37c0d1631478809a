//! A region that learns that it was removed.
use super::*;
use serde_json::json;

#[tokio::test]
async fn a_region_that_is_told_of_its_removal_serves_nobody_any_more_and_stops_calling() {
    let f = fixture().await;
    let person = f.global().tenant("acme", |_| {});
    f.applied(f.global().version()).await;
    let token = f.global().token(person);
    assert_eq!(f.http.get("/v1/me", &token).await.0, 200);

    f.listening.bury(f.global().tombstone(f.global().region));
    f.app.federation.poll_soon();
    eventually("it knows", || async { f.app.directory.removed().is_some() }).await;
    assert_eq!(
        f.http.problem("/v1/me", &token).await,
        (410, "region-removed".to_owned())
    );
    let (status, told) = f.http.send(Method::GET, "/v1/continuity", None, Value::Null).await;
    assert_eq!(
        (status.as_u16(), &told["removed_at"]),
        (200, &json!("2026-01-01T00:00:00Z"))
    );
    eventually("it hung up", || async {
        let now = f.app.ambient.boot();
        f.app.federation.up_age(now).is_none() && f.app.federation.tunnel_age(now).is_none()
    })
    .await;

    // Another replica, or a restart, knows it without being told again.
    let dir = tempfile::tempdir().unwrap();
    let again = open(&f.app.ambient, &f.db, dir.path()).await;
    assert!(again.directory.removed().is_some());
}

#[tokio::test]
async fn a_tombstone_that_the_authority_did_not_sign_for_this_region_changes_nothing() {
    let f = fixture().await;
    let person = f.global().tenant("acme", |_| {});
    f.applied(f.global().version()).await;
    let token = f.global().token(person);
    let stranger = FakeGlobal::new(&f.app.ambient);
    for signed in [
        stranger.tombstone(f.global().region),
        f.global().tombstone(stranger.region),
        b"410".to_vec(),
    ] {
        f.listening.bury(signed);
        assert!(!f.app.federation.fetch(Duration::from_secs(5)).await);
        assert!(f.app.directory.removed().is_none());
        assert_eq!(f.http.get("/v1/me", &token).await.0, 200);
    }
}
