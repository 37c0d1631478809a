//! Two replicas on one database.
use crate::{
    directory::Offer,
    fake_global::{FakeGlobal, open},
};
use exarch_common_base::Ambient;
use exarch_common_testkit::db::TestDb;
use time::macros::datetime;

#[tokio::test]
async fn a_passport_counts_as_applied_when_every_living_replica_has_it() {
    exarch_common_crypto::init().unwrap();
    let (ambient, _) = Ambient::manual(datetime!(2026-01-01 12:00 UTC), 1);
    let global = FakeGlobal::new(&ambient);
    let db = TestDb::regional().await;
    global.enlist(&db, "localhost:1").await;
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = open(&ambient, &db, dirs[0].path()).await;
    let other = open(&ambient, &db, dirs[1].path()).await;
    let everywhere = async || one.instances.applied_everywhere(&one).await.unwrap();
    assert_eq!(everywhere().await, None, "nobody lives");

    one.directory
        .take(Offer::Whole(&global.push(None)), None)
        .await
        .unwrap();
    let first = global.version();
    one.instances.beat(&one).await.unwrap();
    assert_eq!(everywhere().await, Some(first));
    other.instances.beat(&other).await.unwrap();
    assert_eq!(everywhere().await, None, "the other has none yet");
    other.instances.look(&other).await.unwrap();
    other.instances.beat(&other).await.unwrap();
    assert_eq!(everywhere().await, Some(first));

    global.tenant("acme", |_| {});
    one.directory
        .take(Offer::Whole(&global.push(None)), None)
        .await
        .unwrap();
    one.instances.beat(&one).await.unwrap();
    assert_eq!(everywhere().await, Some(first), "the other is behind");
    let report = one.instances.report(&one).await.unwrap();
    let of = |id| report.iter().find(|r| r.id == id).unwrap().passport;
    assert_eq!(
        (of(one.instances.id()), of(other.instances.id())),
        (Some(global.version()), Some(first))
    );

    sqlx::query("UPDATE gw.instance SET heartbeat_at = heartbeat_at - interval '4 seconds' WHERE id = $1")
        .bind(other.instances.id().uuid())
        .execute(&mut db.superuser().await)
        .await
        .unwrap();
    assert_eq!(everywhere().await, Some(global.version()), "the other is dead");
}
