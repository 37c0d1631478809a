//! Over real connections.
use crate::{
    agents::{
        testing::{TestAgent, address, enrol, key},
        watch::Watch,
    },
    app::App,
    start::serve_agents,
    testing::{Limits, World},
};
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_authz::Role;
use exarch_common_base::SecretString;
use exarch_common_crypto::tls;
use exarch_common_http::{
    client::{ApiClient, ClientError, ClientTls},
    serve::TlsListener,
};
use exarch_common_runtime::{Lifecycle, Notify, Reconcile};
use exarch_common_wire::{
    agent::{Challenge, SessionOpened},
    names::ALPN_AGENT,
};
use serde_json::{Value, json};
use std::time::Duration;

async fn soon(mut done: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("within 20 s");
}

/// Where agents may connect to `app`.
async fn listening(app: &App, life: &Lifecycle) -> String {
    let listener = TlsListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    serve_agents(app, listener, life).unwrap();
    url
}

/// A connection of `agent` on which it has opened a session.
async fn connected(url: &str, agent: &mut TestAgent) -> ApiClient {
    let ca = B64.decode(&agent.enrolled.agent_ca).unwrap();
    let config = tls::client_config(&[ca], Some(&agent.identity()), &[ALPN_AGENT]).unwrap();
    let client = ApiClient::new(url, ClientTls::Private(Box::new(config))).unwrap();
    let challenge: Challenge = client.post("/agent/v1/session/challenge", &json!({})).await.unwrap();
    let opened: SessionOpened = client
        .post("/agent/v1/session", &agent.opening(&challenge.challenge))
        .await
        .unwrap();
    agent.token = opened.token.clone();
    client.bearer(SecretString::from(opened.token))
}

#[tokio::test]
async fn a_suspension_and_another_key_end_the_connections_of_before_on_every_replica() {
    exarch_common_crypto::init().unwrap();
    let world = World::in_real_time().await;
    let holder = world.replica().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let life = Lifecycle::new(Notify::default());
    let url = listening(&holder, &life).await;
    let mut watch = Watch { app: holder.clone() };

    let mut copied = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let _copy = connected(&url, &mut copied).await;
    let path = format!("/v1/agents/{}", copied.enrolled.agent);
    let made = admin.post(&format!("{path}/re-enrol"), json!({})).await.expect(201);
    let (mine, csr) = key();
    let token = made["token"].as_str().unwrap();
    let answer = enrol(&world.app, address(2), token, &csr, None).await.expect(200);
    let mut genuine = TestAgent::of(mine, serde_json::from_value(answer).unwrap(), address(2));
    let _genuine = connected(&url, &mut genuine).await;
    assert_eq!(holder.agent_connections.open(), 2);
    // the agent is active: it is the key that tells which of the two is the copy
    assert_eq!(watch.pass().await.unwrap(), 1);
    soon(|| holder.agent_connections.open() == 1).await;
    assert_eq!(watch.pass().await.unwrap(), 0);
    genuine.heartbeat(&holder).await.expect(204);

    admin.post(&format!("{path}/suspend"), json!({})).await.expect(200);
    assert_eq!(watch.pass().await.unwrap(), 1);
    soon(|| holder.agent_connections.open() == 0).await;
    life.stop().cancel();
}

#[tokio::test]
async fn revocation_ends_open_connections_whichever_replica_it_was_made_on() {
    exarch_common_crypto::init().unwrap();
    let world = World::in_real_time().await;
    let holder = world.replica().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let life = Lifecycle::new(Notify::default());
    let url = listening(&holder, &life).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let client = connected(&url, &mut agent).await;
    agent.heartbeat(&holder).await.expect(204);
    assert_eq!(holder.agent_connections.open(), 1);

    let mut watch = Watch { app: holder.clone() };
    assert_eq!(watch.pass().await.unwrap(), 0, "an agent in order stays connected");
    let path = format!("/v1/agents/{}/revoke", agent.enrolled.agent);
    admin.post(&path, json!({})).await.expect(200);
    assert_eq!(watch.pass().await.unwrap(), 1);
    soon(|| holder.agent_connections.open() == 0).await;
    // it may connect again, and is nobody
    let again: Result<Value, ClientError> = client.post("/agent/v1/leases/renew", &json!({ "leases": [] })).await;
    match again {
        Err(ClientError::Problem(p)) => assert_eq!(p.document.status, StatusCode::UNAUTHORIZED.as_u16()),
        other => panic!("{other:?}"),
    }
    life.stop().cancel();
}
