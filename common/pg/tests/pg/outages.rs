use std::time::{Duration, Instant};

use exarch_common_pg::embedded::StopMode;
use exarch_common_pg::{AppPool, Login, Migrations, OwnerPool, Schema, SystemTx, TenantTx};
use exarch_common_testkit::db::throwaway_cluster;

use crate::tenant;

#[tokio::test]
async fn a_stopped_database_is_unavailable_in_time_and_a_restarted_one_serves_through_the_same_pool() {
    let mut cluster = throwaway_cluster().await.unwrap();
    let owner = OwnerPool::connect(cluster.settings_of(Login::Owner, Schema::Regional, "exarch"))
        .await
        .unwrap();
    Migrations::regional().up(&owner).await.unwrap();
    owner.close().await;
    let mut settings = cluster
        .settings_of(Login::App, Schema::Regional, "exarch")
        .max_connections(3);
    settings.acquire_timeout = Duration::from_millis(500);
    let app = AppPool::connect(settings.clone()).await.unwrap();
    for (stop, held) in [(StopMode::Fast, 0), (StopMode::Immediate, 3), (StopMode::Fast, 3)] {
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(TenantTx::begin(&app, &tenant(1)).await.unwrap());
        }
        // all three connections lie idle in the pool, or are in use, when the server goes
        open.truncate(held);
        cluster.stop(stop).await.unwrap();
        for tx in open {
            assert!(tx.commit().await.unwrap_err().is_unavailable(), "{stop:?}");
        }
        let asked = Instant::now();
        assert!(TenantTx::begin(&app, &tenant(1)).await.unwrap_err().is_unavailable());
        assert!(SystemTx::begin(&app, "test").await.unwrap_err().is_unavailable());
        assert!(app.ping().await.unwrap_err().is_unavailable());
        assert!(asked.elapsed() < Duration::from_secs(3), "took {:?}", asked.elapsed());
        cluster.start().await.unwrap();
        for _ in 0..4 {
            TenantTx::begin(&app, &tenant(1)).await.unwrap().commit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn connections_that_died_in_the_pool_are_replaced_without_the_caller_noticing() {
    let mut cluster = throwaway_cluster().await.unwrap();
    let owner = OwnerPool::connect(cluster.settings_of(Login::Owner, Schema::Regional, "exarch"))
        .await
        .unwrap();
    Migrations::regional().up(&owner).await.unwrap();
    owner.close().await;
    let app = AppPool::connect(
        cluster
            .settings_of(Login::App, Schema::Regional, "exarch")
            .max_connections(3),
    )
    .await
    .unwrap();
    for stop in [StopMode::Fast, StopMode::Immediate] {
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(TenantTx::begin(&app, &tenant(1)).await.unwrap());
        }
        for tx in open {
            tx.commit().await.unwrap();
        }
        cluster.stop(stop).await.unwrap();
        cluster.start().await.unwrap();
        for _ in 0..4 {
            TenantTx::begin(&app, &tenant(1)).await.unwrap().commit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_pool_made_while_the_database_is_down_serves_when_it_comes() {
    let mut cluster = throwaway_cluster().await.unwrap();
    let mut settings = cluster.settings_of(Login::App, Schema::Regional, "exarch");
    settings.acquire_timeout = Duration::from_millis(300);
    cluster.stop(StopMode::Fast).await.unwrap();
    assert!(AppPool::connect(settings.clone()).await.unwrap_err().is_unavailable());
    let app = AppPool::lazy(settings);
    assert!(app.ping().await.unwrap_err().is_unavailable());
    cluster.start().await.unwrap();
    app.ping().await.unwrap();
}

#[tokio::test]
async fn a_pool_with_no_connection_free_is_unavailable_in_time() {
    let db = crate::database().await;
    let mut settings = db.settings(Login::App).max_connections(1);
    settings.acquire_timeout = Duration::from_secs(1);
    let app = AppPool::connect(settings).await.unwrap();
    let held = SystemTx::begin(&app, "test").await.unwrap();
    assert!(SystemTx::begin(&app, "test").await.unwrap_err().is_unavailable());
    drop(held);
    SystemTx::begin(&app, "test").await.unwrap();
}

#[tokio::test]
async fn who_accepts_and_hangs_up_or_says_nothing_is_no_database_and_that_is_told_in_time() {
    for silent in [false, true] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                if silent {
                    kept.push(stream);
                }
            }
        });
        let url = format!("postgres://exarch_app:x@127.0.0.1:{port}/exarch");
        let mut settings = exarch_common_pg::PoolSettings::from_url(Schema::Regional, &url.into()).unwrap();
        settings.acquire_timeout = Duration::from_millis(500);
        let app = AppPool::lazy(settings);
        let asked = Instant::now();
        let refused = TenantTx::begin(&app, &tenant(1)).await.unwrap_err();
        assert!(refused.is_unavailable(), "{}", refused.told());
        assert!(app.ping().await.unwrap_err().is_unavailable());
        assert!(app.unreachable().await.is_some());
        assert!(asked.elapsed() < Duration::from_secs(3), "took {:?}", asked.elapsed());
    }
}
