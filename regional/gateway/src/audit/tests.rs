use super::{
    record,
    refusals::{ROOM, Refused, SHARE, Writer},
    store,
};
use crate::testing::{Limits, World, whole};
use exarch_common_authz::{Principal, Role};
use exarch_common_base::{Lost, TenantId};
use exarch_common_pg::{AppPool, PoolSettings, Schema, TenantTx};
use exarch_common_runtime::Reconcile;
use exarch_common_wire::audit::{self as chain, Actor, Entry, Head, Row};
use serde_json::json;
use std::time::Duration;

async fn write(world: &World, tenant: TenantId, n: usize) {
    let mut tx = TenantTx::begin(&world.app.app_pool, &whole(tenant)).await.unwrap();
    let entry = Entry::new(
        &world.app.ambient,
        tenant,
        Actor::system("test"),
        "cluster.create",
        "cluster",
        n,
    )
    .after(json!({ "n": n, "float": 1.0, "text": "é\n" }));
    record(&mut tx, &entry).await.unwrap();
    tx.commit().await.unwrap();
}

/// The whole chain, oldest first.
async fn rows(world: &World, tenant: TenantId) -> Vec<Row> {
    let mut tx = TenantTx::begin(&world.app.app_pool, &whole(tenant)).await.unwrap();
    let mut rows = store::page(&mut tx, &Default::default(), i64::MAX, 10_000)
        .await
        .unwrap();
    rows.reverse();
    rows
}

#[tokio::test]
async fn the_chain_of_each_tenant_is_whole_under_fifty_concurrent_changes() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let changes = (0..50).map(|n| write(&world, if n % 5 == 0 { b } else { a }, n));
    futures_util::future::join_all(changes).await;
    for (tenant, count) in [(a, 40), (b, 10)] {
        let rows = rows(&world, tenant).await;
        let last = chain::walk(Head::default(), &rows).unwrap();
        assert_eq!((last.seq, rows.len()), (count, count as usize));
        assert!(rows.iter().all(|row| row.entry.tenant == tenant));
    }
}

#[tokio::test]
async fn a_change_that_is_rolled_back_leaves_neither_a_row_nor_a_gap() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    write(&world, tenant, 1).await;
    let mut tx = TenantTx::begin(&world.app.app_pool, &whole(tenant)).await.unwrap();
    let entry = Entry::new(&world.app.ambient, tenant, Actor::system("test"), "x.y", "x", 2);
    assert_eq!(record(&mut tx, &entry).await.unwrap().seq, 2);
    tx.rollback().await.unwrap();
    write(&world, tenant, 3).await;
    let rows = rows(&world, tenant).await;
    assert_eq!(chain::walk(Head::default(), &rows).unwrap().seq, 2);
    assert_eq!(rows[1].entry.target_id, "3");
}

#[tokio::test]
async fn a_row_of_another_tenant_cannot_be_written() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let mut tx = TenantTx::begin(&world.app.app_pool, &whole(a)).await.unwrap();
    let entry = Entry::new(&world.app.ambient, b, Actor::system("test"), "x.y", "x", 1);
    assert!(record(&mut tx, &entry).await.is_err());
    drop(tx);
    assert!(rows(&world, b).await.is_empty());
}

#[tokio::test]
async fn rows_once_written_stay_whoever_asks() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    write(&world, tenant, 1).await;
    for sql in [
        "UPDATE gw.audit SET action = 'x'",
        "DELETE FROM gw.audit",
        "TRUNCATE gw.audit",
    ] {
        let mut tx = TenantTx::begin(&world.app.app_pool, &whole(tenant)).await.unwrap();
        let refused = sqlx::raw_sql(sql).execute(tx.conn()).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{sql}");
        let mut all_powerful = world.db.superuser().await;
        let refused = sqlx::raw_sql(sql).execute(&mut all_powerful).await.unwrap_err();
        assert!(refused.to_string().contains("only ever added"), "{sql}: {refused}");
    }
    assert_eq!(rows(&world, tenant).await.len(), 1);
}

#[tokio::test]
async fn a_tenant_reads_its_own_rows_newest_first_page_by_page() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    for n in 0..5 {
        write(&world, a, n).await;
    }
    write(&world, b, 99).await;
    let auditor = world.person(a, Role::Auditor);
    let (mut seen, mut path) = (Vec::new(), "/v1/audit?limit=2".to_owned());
    loop {
        let page = auditor.get(&path).await.expect(200);
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|row| row["seq"].as_u64().unwrap()));
        match page["next_page_token"].as_str() {
            Some(token) => path = format!("/v1/audit?limit=2&page_token={token}"),
            None => break,
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    let other = world.person(b, Role::Auditor).get("/v1/audit").await.expect(200);
    assert_eq!(other["items"].as_array().unwrap().len(), 1);
    assert_eq!(other["items"][0]["target"]["id"], "99");
}

#[tokio::test]
async fn filters_narrow_and_what_cannot_be_read_is_refused() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    for n in 0..3 {
        write(&world, tenant, n).await;
    }
    let auditor = world.person(tenant, Role::Auditor);
    for (query, count) in [
        ("action=cluster.create", 3),
        ("action=cluster", 0),
        ("target_id=2", 1),
        ("target_kind=cluster&outcome=ok", 3),
        ("outcome=denied", 0),
        ("actor_id=test", 3),
        ("since=2026-01-01T12:00:00Z", 3),
        ("until=2026-01-01T12:00:00Z", 0),
        ("since=2030-01-01T00:00:00%2B02:00", 0),
    ] {
        let page = auditor.get(&format!("/v1/audit?{query}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    for bad in [
        "since=yesterday",
        "outcome=OK",
        "actor=1",
        "limit=0",
        "limit=101",
        "page_token=x",
        "action=a&action=b",
        "action=%00",
        "page_token=_____________________w",
    ] {
        auditor
            .get(&format!("/v1/audit?{bad}"))
            .await
            .problem(400, "malformed-query");
    }
}

#[tokio::test]
async fn a_refusal_of_a_known_caller_is_in_the_audit_with_its_decision() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let reader = world.person(tenant, Role::ReadOnly);
    let refused = reader.get("/v1/audit").await.problem(403, "permission-denied");
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    super::Refusals::keep(world.app.clone(), stop).await;
    let page = world
        .person(tenant, Role::Auditor)
        .get("/v1/audit?outcome=denied")
        .await
        .expect(200);
    let row = &page["items"][0];
    assert_eq!(row["action"], "audit.list");
    assert_eq!(row["decision_id"], refused["decision_id"]);
    assert_eq!(row["request_id"], refused["request_id"]);
    assert_eq!(row["target"], json!({ "kind": "tenant", "id": tenant }));
    assert!(row["reason"].as_str().unwrap().contains("auditor"), "{row}");
    chain::walk(Head::default(), &rows(&world, tenant).await).unwrap();
}

#[tokio::test]
async fn nobody_is_not_in_the_audit() {
    let world = World::new().await;
    world.anonymous().get("/v1/audit").await.problem(401, "unauthenticated");
    assert!(world.app.refusals.waiting().is_empty());
}

#[tokio::test]
async fn a_flood_of_refusals_has_a_bound() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let refusals = super::Refusals::default();
    let refuse = |by| add(&world, &refusals, by, refused(&world, tenant, 1));
    let one = Principal::User(world.app.ambient.id());
    for n in 0..=SHARE {
        assert_eq!(
            refuse(one),
            if n < SHARE {
                Ok(n as usize + 1)
            } else {
                Err(Lost::Share)
            }
        );
    }
    for _ in SHARE as usize..ROOM {
        refuse(Principal::User(world.app.ambient.id())).unwrap();
    }
    assert_eq!(refuse(Principal::User(world.app.ambient.id())), Err(Lost::Full));
    assert_eq!(refusals.waiting().len(), ROOM);
}

fn refused(world: &World, tenant: TenantId, n: usize) -> Refused {
    Refused {
        entry: Entry::new(&world.app.ambient, tenant, Actor::system("test"), "x.y", "x", n),
        decision: None,
    }
}

fn add(world: &World, refusals: &super::Refusals, by: Principal, refused: Refused) -> Result<usize, Lost> {
    refusals.waiting().push(world.app.ambient.boot(), by, || refused)
}

#[tokio::test]
async fn refusals_wait_while_the_database_is_away_and_one_that_cannot_be_written_holds_up_none() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let refusals = super::Refusals::default();
    let one = Principal::User(world.app.ambient.id());
    for n in [1, 2] {
        add(&world, &refusals, one, refused(&world, tenant, n)).unwrap();
    }
    let nowhere = "postgres://exarch_app:x@127.0.0.1:1/none".to_owned().into();
    let mut settings = PoolSettings::from_url(Schema::Regional, &nowhere).unwrap();
    settings.acquire_timeout = Duration::from_millis(100);
    let mut writer = Writer {
        refusals: refusals.clone(),
        pool: AppPool::lazy(settings),
    };
    assert!(writer.pass().await.is_err());
    assert_eq!(refusals.waiting().len(), 2);
    writer.pool = world.app.app_pool.clone();
    let mut unwritable = refused(&world, world.app.ambient.id(), 3);
    unwritable.entry.action = "NUL \0 is no text of Postgres".to_owned();
    add(&world, &refusals, one, unwritable).unwrap();
    assert_eq!(writer.pass().await.unwrap(), 2);
    assert!(refusals.waiting().is_empty());
    assert_eq!(rows(&world, tenant).await.len(), 2);
}
