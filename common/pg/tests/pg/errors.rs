use exarch_common_pg::{ConflictKind, DbError, OnConstraint, PoolSettings, Schema, SystemTx, TenantTx};
use std::time::Duration;

use crate::{add_thing, cluster, database, tenant};

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("taken")]
    Taken,
    #[error(transparent)]
    Db(#[from] DbError),
}

#[tokio::test]
async fn a_constraint_has_a_name_and_the_name_becomes_an_error() {
    let db = database().await;
    let app = db.app().await;
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let of = tx.tenant();
    add_thing(tx.conn(), of, 1, cluster(1), "a").await.unwrap();
    let again = add_thing(tx.conn(), of, 1, cluster(1), "b").await;
    let refused = again.on_constraint("thing_pkey", || Refusal::Taken).unwrap_err();
    assert!(matches!(refused, Refusal::Taken));
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let empty = add_thing(tx.conn(), of, 2, cluster(1), "").await;
    let refused = empty.on_constraint("thing_pkey", || Refusal::Taken).unwrap_err();
    let Refusal::Db(DbError::Conflict { constraint, kind, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((constraint.as_str(), kind), ("thing_name_check", ConflictKind::Check));
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let orphan = "INSERT INTO gw.part (tenant_id, part_id, thing_id) VALUES (gw.tenant_id(), $1, $1)";
    let refused = sqlx::query(orphan)
        .bind(uuid::Uuid::nil())
        .execute(tx.conn())
        .await
        .unwrap_err();
    assert_eq!(DbError::from(refused).constraint(), Some("part_thing_fkey"));
}

#[tokio::test]
async fn a_deferred_constraint_is_a_conflict_of_the_commit_and_undoes_all() {
    let db = database().await;
    let app = db.app().await;
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let of = tx.tenant();
    sqlx::query("SET CONSTRAINTS gw.thing_name_key DEFERRED")
        .execute(tx.conn())
        .await
        .unwrap();
    add_thing(tx.conn(), of, 1, cluster(1), "same").await.unwrap();
    add_thing(tx.conn(), of, 2, cluster(1), "same").await.unwrap();
    assert_eq!(tx.commit().await.unwrap_err().constraint(), Some("thing_name_key"));
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    assert_eq!(crate::count(tx.conn(), "thing").await, 0);
}

#[tokio::test]
async fn another_tenants_thing_cannot_be_referred_to() {
    let db = crate::filled().await;
    let app = db.app().await;
    let mut tx = TenantTx::begin(&app, &tenant(2)).await.unwrap();
    let theirs = "INSERT INTO gw.part (tenant_id, part_id, thing_id) VALUES (gw.tenant_id(), $1, $1)";
    let refused = sqlx::query(theirs)
        .bind(uuid::Uuid::from_u128(11))
        .execute(tx.conn())
        .await
        .unwrap_err();
    assert_eq!(DbError::from(refused).constraint(), Some("part_thing_fkey"));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_unavailable() {
    let db = database().await;
    let settings = PoolSettings {
        statement_timeout: Duration::from_millis(50),
        ..db.settings(exarch_common_pg::Login::App)
    };
    let app = exarch_common_pg::AppPool::connect(settings).await.unwrap();
    let mut tx = SystemTx::begin(&app, "test").await.unwrap();
    let slow = sqlx::query("SELECT pg_sleep(60)").execute(tx.conn()).await.unwrap_err();
    assert!(DbError::from(slow).is_unavailable());
}

#[tokio::test]
async fn two_transactions_that_wait_for_each_other_are_told_to_repeat() {
    let db = crate::filled().await;
    let app = db.app().await;
    let rename = "UPDATE gw.thing SET name = name || '!' WHERE thing_id = $1";
    let touch = async |tx: &mut TenantTx, thing: u128| {
        sqlx::query(rename)
            .bind(uuid::Uuid::from_u128(thing))
            .execute(tx.conn())
            .await
            .map_err(DbError::from)
    };
    let mut a = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let mut b = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    touch(&mut a, 11).await.unwrap();
    touch(&mut b, 12).await.unwrap();
    let (first, second) = tokio::join!(
        async { touch(&mut a, 12).await.inspect_err(|_| ()).map(|_| drop(a)) },
        async { touch(&mut b, 11).await.map(|_| drop(b)) }
    );
    let refused = [first, second]
        .into_iter()
        .filter(|r| matches!(r, Err(DbError::Serialization(_))))
        .count();
    assert_eq!(refused, 1);
}

#[test]
fn a_malformed_url_is_refused_without_being_repeated() {
    let error = PoolSettings::from_url(Schema::Regional, &"postgres://exarch_app:hunter2@:x/y".into())
        .err()
        .unwrap();
    assert!(matches!(error, DbError::Url));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}
