use std::task::Poll;

use exarch_common_pg::{
    AppPool, Clusters, DbError, Login, RenewPool, SystemTx, TenantContext, TenantTx, rls_transaction,
};
use sqlx::Row;

use crate::{add_thing, cluster, count, database, filled, id, tenant};

/// A pool of one connection, so that each transaction meets what the one before left behind.
async fn one_connection(db: &exarch_common_testkit::db::TestDb) -> AppPool {
    AppPool::connect(db.settings(Login::App).max_connections(1))
        .await
        .expect("a pool")
}

/// What of a context a connection shows, and which server process it is.
async fn left_over(app: &AppPool) -> (Option<uuid::Uuid>, bool, Vec<uuid::Uuid>, i64, i32) {
    let mut tx = SystemTx::begin(app, "look").await.expect("a transaction");
    let row = sqlx::query("SELECT gw.tenant_id(), gw.all_clusters(), gw.cluster_ids(), pg_backend_pid()")
        .fetch_one(tx.conn())
        .await
        .expect("the context");
    let seen = count(tx.conn(), "thing").await;
    (row.get(0), row.get(1), row.get(2), seen, row.get(3))
}

#[tokio::test]
async fn a_tenant_sees_its_rows_and_no_others() {
    let db = filled().await;
    let app = db.app().await;
    for (of, things) in [(1, 2), (2, 1), (3, 0)] {
        let mut tx = TenantTx::begin(&app, &tenant(of)).await.unwrap();
        assert_eq!(count(tx.conn(), "thing").await, things, "tenant {of}");
    }
}

#[tokio::test]
async fn a_caller_of_one_cluster_sees_that_cluster_alone_and_one_of_none_sees_nothing() {
    let db = filled().await;
    let app = db.app().await;
    for (only, things) in [(vec![], 0), (vec![1], 1), (vec![1, 2], 2), (vec![3], 0)] {
        let clusters = Clusters::Only(only.iter().map(|n| cluster(*n)).collect());
        let caller = TenantContext { clusters, ..tenant(1) };
        let mut tx = TenantTx::begin(&app, &caller).await.unwrap();
        assert_eq!(count(tx.conn(), "thing").await, things, "clusters {only:?}");
        let of = tx.tenant();
        let refused = add_thing(tx.conn(), of, 99, cluster(9), "elsewhere").await;
        assert_eq!(DbError::from(refused.unwrap_err()).code().as_deref(), Some("42501"));
    }
}

#[tokio::test]
async fn a_row_for_another_tenant_is_refused_on_insert_and_update() {
    let db = filled().await;
    let app = db.app().await;
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let refused = add_thing(tx.conn(), id(2), 31, cluster(1), "theirs").await.unwrap_err();
    assert_eq!(DbError::from(refused).code().as_deref(), Some("42501"));
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let moved = sqlx::query("UPDATE gw.thing SET tenant_id = $1").bind(uuid::Uuid::from_u128(2));
    let refused = moved.execute(tx.conn()).await.unwrap_err();
    assert_eq!(DbError::from(refused).code().as_deref(), Some("42501"));
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let touched = sqlx::query("DELETE FROM gw.thing WHERE tenant_id = $1").bind(uuid::Uuid::from_u128(2));
    assert_eq!(touched.execute(tx.conn()).await.unwrap().rows_affected(), 0);
}

#[tokio::test]
async fn without_a_tenant_a_read_yields_nothing_and_a_write_fails() {
    let db = filled().await;
    let app = one_connection(&db).await;
    for _ in 0..3 {
        let mut tx = SystemTx::begin(&app, "test").await.unwrap();
        assert_eq!(count(tx.conn(), "thing").await, 0);
        assert_eq!(count(tx.conn(), "instance").await, 0);
        assert!(add_thing(tx.conn(), id(1), 41, cluster(1), "nobody's").await.is_err());
        drop(tx);
        // the setting has been made on this connection now, and reads back as '' instead of NULL
        TenantTx::begin(&app, &tenant(1)).await.unwrap().commit().await.unwrap();
    }
}

#[tokio::test]
async fn the_context_ends_with_commit_roll_back_drop_and_panic_on_the_same_connection() {
    let db = filled().await;
    let app = one_connection(&db).await;
    let first = left_over(&app).await;
    assert_eq!((first.0, first.1, first.2.len(), first.3), (None, false, 0, 0));

    TenantTx::begin(&app, &tenant(1)).await.unwrap().commit().await.unwrap();
    assert_eq!(left_over(&app).await, first, "after a commit");
    TenantTx::begin(&app, &tenant(1))
        .await
        .unwrap()
        .rollback()
        .await
        .unwrap();
    assert_eq!(left_over(&app).await, first, "after a roll-back");
    drop(TenantTx::begin(&app, &tenant(1)).await.unwrap());
    assert_eq!(left_over(&app).await, first, "after a drop");
    let panicking = app.clone();
    let panicked = tokio::spawn(async move {
        let mut tx = TenantTx::begin(&panicking, &tenant(1)).await.unwrap();
        assert_eq!(count(tx.conn(), "thing").await, 2);
        panic!("on purpose");
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert_eq!(left_over(&app).await, first, "after a panic");
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    assert!(sqlx::query("SELECT 1/0").execute(tx.conn()).await.is_err());
    drop(tx);
    assert_eq!(left_over(&app).await, first, "after a failed statement");
}

#[tokio::test]
async fn what_was_not_committed_is_undone() {
    let db = database().await;
    let app = one_connection(&db).await;
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let of = tx.tenant();
    add_thing(tx.conn(), of, 1, cluster(1), "dropped").await.unwrap();
    drop(tx);
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    assert_eq!(count(tx.conn(), "thing").await, 0);
}

#[tokio::test]
async fn a_prepared_statement_of_one_tenant_answers_the_next_with_its_own_rows() {
    let db = filled().await;
    let app = one_connection(&db).await;
    // more often than the five times after which Postgres keeps one plan for all parameters
    for round in 0..20 {
        let (of, things) = if round % 2 == 0 { (1, 2) } else { (2, 1) };
        let mut tx = TenantTx::begin(&app, &tenant(of)).await.unwrap();
        assert_eq!(count(tx.conn(), "thing").await, things, "round {round}");
        tx.commit().await.unwrap();
        let mut tx = SystemTx::begin(&app, "test").await.unwrap();
        assert_eq!(count(tx.conn(), "thing").await, 0, "round {round}, without a tenant");
    }
}

#[tokio::test]
async fn an_opening_that_is_cancelled_at_any_moment_leaves_no_transaction_behind() {
    let db = database().await;
    // the login whose connections can be looked at without opening a transaction, which would hide what is left
    let renew = RenewPool::connect(db.settings(Login::Renew).max_connections(1))
        .await
        .unwrap();
    let mut cancelled = 0;
    for polls in 0..40 {
        let mut opening = Box::pin(SystemTx::begin(&renew, "cancelled"));
        let mut done = false;
        for _ in 0..polls {
            done = std::future::poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx).is_ready())).await;
            if done {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(opening);
        cancelled += u32::from(!done);
        let mut statement = renew.statement().await.unwrap();
        let left: Option<String> = sqlx::query_scalar("SELECT gw.actor()")
            .fetch_one(statement.conn())
            .await
            .unwrap();
        assert_eq!(left, None, "after {polls} polls");
    }
    assert!(cancelled > 1, "some openings must have been cancelled half-way");
}

#[tokio::test]
async fn a_context_that_cannot_be_set_opens_nothing_and_spoils_no_connection() {
    let db = filled().await;
    let app = one_connection(&db).await;
    let nul = TenantContext {
        actor: "a\0b".to_owned(),
        ..tenant(1)
    };
    for _ in 0..3 {
        assert!(TenantTx::begin(&app, &nul).await.is_err());
        let (tenant, _, _, seen, _) = left_over(&app).await;
        assert_eq!((tenant, seen), (None, 0));
    }
}

#[tokio::test]
async fn an_actor_of_any_text_arrives_as_it_is_and_runs_nothing() {
    let db = filled().await;
    let app = db.app().await;
    for actor in [
        "usr_1",
        "",
        "'); DROP TABLE gw.thing; --",
        "\\x27",
        "ünï ☃",
        "$$ \" \u{1}",
    ] {
        let caller = TenantContext {
            actor: actor.to_owned(),
            ..tenant(1)
        };
        let mut tx = TenantTx::begin(&app, &caller).await.unwrap();
        let arrived: Option<String> = sqlx::query_scalar("SELECT gw.actor()")
            .fetch_one(tx.conn())
            .await
            .unwrap();
        assert_eq!(arrived.unwrap_or_default(), actor);
        assert_eq!(count(tx.conn(), "thing").await, 2);
    }
    let mut tx = SystemTx::begin(&app, "nightly").await.unwrap();
    let actor: String = sqlx::query_scalar("SELECT gw.actor()")
        .fetch_one(tx.conn())
        .await
        .unwrap();
    assert_eq!(actor, "system:nightly");
}

#[tokio::test]
async fn a_savepoint_within_a_transaction_can_be_undone_alone() {
    use sqlx::Connection;
    let db = database().await;
    let app = db.app().await;
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let of = tx.tenant();
    add_thing(tx.conn(), of, 1, cluster(1), "kept").await.unwrap();
    let mut inner = tx.conn().begin().await.unwrap();
    add_thing(&mut inner, of, 2, cluster(1), "undone").await.unwrap();
    inner.rollback().await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    assert_eq!(count(tx.conn(), "thing").await, 1);
}

#[tokio::test]
async fn the_wrapper_commits_what_succeeds_and_undoes_what_fails() {
    let db = database().await;
    let app = db.app().await;
    let caller = tenant(1);
    // spawned: the wrapper is used in handlers, whose futures move between threads
    let pool = app.clone();
    tokio::spawn(async move {
        rls_transaction(&pool, &tenant(1), async |tx: &mut TenantTx| {
            let of = tx.tenant();
            add_thing(tx.conn(), of, 1, cluster(1), "kept")
                .await
                .map_err(DbError::from)
        })
        .await
    })
    .await
    .unwrap()
    .unwrap();
    let failed: Result<(), DbError> = rls_transaction(&app, &caller, async |tx: &mut TenantTx| {
        let of = tx.tenant();
        add_thing(tx.conn(), of, 2, cluster(1), "undone").await?;
        Err(DbError::Url)
    })
    .await;
    assert!(matches!(failed, Err(DbError::Url)));
    let mut tx = TenantTx::begin(&app, &caller).await.unwrap();
    assert_eq!(count(tx.conn(), "thing").await, 1);
}

#[tokio::test]
async fn a_sweep_sees_all_tenants_through_the_columns_it_was_granted() {
    let db = filled().await;
    let sweep = db.sweep().await;
    let mut tx = SystemTx::begin(&sweep, "test").await.unwrap();
    assert_eq!(count(tx.conn(), "thing").await, 3);
    let refused = sqlx::query("SELECT name FROM gw.thing")
        .fetch_all(tx.conn())
        .await
        .unwrap_err();
    assert_eq!(DbError::from(refused).code().as_deref(), Some("42501"));
    let renew = db.renew().await;
    let mut statement = renew.statement().await.unwrap();
    assert_eq!(count(statement.conn(), "thing").await, 3);
    let operator = db.operator().await;
    let mut tx = SystemTx::begin(&operator, "test").await.unwrap();
    assert!(sqlx::query("SELECT FROM gw.thing").fetch_all(tx.conn()).await.is_err());
}

#[tokio::test]
async fn rows_that_are_only_added_cannot_be_changed_by_anyone() {
    let db = database().await;
    let app = db.app().await;
    let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
    let note = "INSERT INTO gw.note (tenant_id, seq, body) VALUES (gw.tenant_id(), 1, 'as it was')";
    sqlx::query(note).execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    for change in [
        "UPDATE gw.note SET body = ''",
        "DELETE FROM gw.note",
        "TRUNCATE gw.note",
    ] {
        let mut tx = TenantTx::begin(&app, &tenant(1)).await.unwrap();
        assert!(
            sqlx::query(change).execute(tx.conn()).await.is_err(),
            "exarch_app: {change}"
        );
        let mut superuser = db.superuser().await;
        sqlx::query("SET session_replication_role = replica")
            .execute(&mut superuser)
            .await
            .unwrap();
        let refused = sqlx::query(change).execute(&mut superuser).await.unwrap_err();
        assert_eq!(
            DbError::from(refused).code().as_deref(),
            Some("42501"),
            "superuser: {change}"
        );
    }
}
