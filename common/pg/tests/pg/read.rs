use exarch_common_pg::embedded::StopMode;
use exarch_common_pg::{
    AppPool, Clusters, DbError, Login, Migrations, OwnerPool, Schema, SystemTx, TenantContext, read_once,
};
use exarch_common_testkit::db::throwaway_cluster;
use sqlx::Row;

use crate::{as_owner, cluster, filled, tenant};

const ENTERED: &str = include_str!("../../../../migrations/regional/0006_entered.sql");

async fn things(app: &AppPool, caller: &TenantContext) -> Result<i64, DbError> {
    read_once(app, caller, |conn, context| {
        let query = sqlx::query_scalar("SELECT count(*) FROM gw.thing WHERE (SELECT gw.entered($1, $2, $3, $4))")
            .bind(context.tenant)
            .bind(context.all_clusters)
            .bind(&context.clusters)
            .bind(&context.actor);
        Box::pin(query.fetch_one(conn))
    })
    .await
}

/// More often than a statement is planned for its parameters, so that the general plan is asked too.
const OFTEN: usize = 12;

#[tokio::test]
async fn one_statement_sees_the_rows_of_its_tenant_and_clusters_and_leaves_no_context_behind() {
    let db = filled().await;
    as_owner(&db, ENTERED).await;
    let app = AppPool::connect(db.settings(Login::App).max_connections(1))
        .await
        .unwrap();
    for round in 0..OFTEN {
        for (of, only, seen) in [
            (1, None, 2),
            (2, None, 1),
            (3, None, 0),
            (1, Some(vec![2]), 1),
            (1, Some(vec![]), 0),
            (2, Some(vec![1]), 0),
        ] {
            let clusters = only.as_ref().map_or(Clusters::All, |only: &Vec<u128>| {
                Clusters::Only(only.iter().map(|n| cluster(*n)).collect())
            });
            let caller = TenantContext { clusters, ..tenant(of) };
            assert_eq!(
                things(&app, &caller).await.unwrap(),
                seen,
                "round {round}: tenant {of}, clusters {only:?}"
            );
        }
        let mut tx = SystemTx::begin(&app, "look").await.unwrap();
        let left = sqlx::query("SELECT gw.tenant_id(), gw.all_clusters(), gw.actor()")
            .fetch_one(tx.conn())
            .await
            .unwrap();
        assert_eq!(left.get::<Option<uuid::Uuid>, _>(0), None);
        assert!(!left.get::<bool, _>(1));
    }
}

#[tokio::test]
async fn a_statement_that_forgets_its_context_finds_nothing() {
    let db = filled().await;
    let app = db.app().await;
    let seen: i64 = read_once(&app, &tenant(1), |conn, _| {
        Box::pin(sqlx::query_scalar("SELECT count(*) FROM gw.thing").fetch_one(conn))
    })
    .await
    .unwrap();
    assert_eq!(seen, 0);
}

#[tokio::test]
async fn a_read_meets_a_new_connection_where_those_of_the_pool_have_died() {
    let mut server = throwaway_cluster().await.unwrap();
    let owner = OwnerPool::connect(server.settings_of(Login::Owner, Schema::Regional, "exarch"))
        .await
        .unwrap();
    Migrations::regional().up(&owner).await.unwrap();
    owner.close().await;
    let settings = server.settings_of(Login::App, Schema::Regional, "exarch");
    let app = AppPool::connect(settings.max_connections(3)).await.unwrap();
    let read = async || {
        read_once(&app, &tenant(1), |conn, context| {
            let query = sqlx::query_scalar::<_, bool>("SELECT gw.entered($1, true, '{}', '')").bind(context.tenant);
            Box::pin(query.fetch_one(conn))
        })
        .await
    };
    for stop in [StopMode::Fast, StopMode::Immediate] {
        let (one, two, three) = tokio::join!(read(), read(), read());
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        server.stop(stop).await.unwrap();
        server.start().await.unwrap();
        for _ in 0..4 {
            assert!(read().await.unwrap(), "{stop:?}");
        }
    }
}
