//! Without its database the controller says so, and works again when it is back.
use super::world::{OWNER, PASSWORD, World};
use exarch_common_pg::{Login, Migrations, OwnerPool, Schema, embedded::StopMode};
use exarch_common_testkit::db::throwaway_cluster;
use exarch_global_controller::setup;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_is_503_and_back_it_works_again() {
    let mut cluster = throwaway_cluster().await.unwrap();
    let settings = |login| cluster.settings_of(login, Schema::Global, "exarch");
    let owner = OwnerPool::connect(settings(Login::Owner)).await.unwrap();
    Migrations::global().up(&owner).await.unwrap();
    owner.close().await;
    let world = World::over_impatient(settings).await;
    setup::first_owner(&world.app, OWNER.parse().unwrap(), PASSWORD.to_owned().into())
        .await
        .unwrap();
    let client = world.anyone();
    let pair = world.pair(OWNER, PASSWORD).await;
    let bearer = client.clone().with_token(pair["access_token"].as_str().unwrap());
    bearer.get("/v1/me").await.ok();

    cluster.stop(StopMode::Fast).await.unwrap();
    let refused = bearer.get("/v1/me").await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.problem(503, "database-unavailable");
    client
        .sign_in(OWNER, PASSWORD)
        .await
        .problem(503, "database-unavailable");
    let body = json!({"refresh_token": pair["refresh_token"]});
    client
        .post("/v1/auth/refresh", body.clone())
        .await
        .problem(503, "database-unavailable");
    // what needs no database goes on
    client.get("/.well-known/jwks.json").await.ok();
    client.get("/openapi.json").await.ok();

    cluster.start().await.unwrap();
    bearer.get("/v1/me").await.ok();
    client.post("/v1/auth/refresh", body).await.ok();
}
