//! A gateway whose requests go through a pooler, and what listens goes past it.
use super::{
    PATIENCE, Said,
    wire::{Settings, free_port},
};
use exarch_common_testkit::pgbouncer::{Pgbouncer, Setup};
use exarch_tests_federation::{ADA, EU, Federation};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::json;
use std::{fs, sync::Arc, time::Duration};

pub async fn a_gateway_behind_a_pooler_serves_leases_and_streams(federation: Arc<Federation>) {
    let (place, port) = (federation.place(EU), free_port());
    let urls = ["app-url", "sweep-url", "renew-url"].map(|name| fs::read_to_string(place.secret(name)).unwrap().into());
    let Some(_pooler) = Pgbouncer::in_front_of(&urls, port, &Setup::default()) else {
        return;
    };
    let direct = format!("direct_url = \"postgres://127.0.0.1:{}/exarch\"", place.database);
    let settings = Settings::by_way_of(&federation, EU, 2, port, &direct).await;
    let token = federation.region_token(ADA, EU).await;
    let (other, pooled) = (federation.at(EU, 1).bearer(&token), federation.at(EU, 2).bearer(&token));
    let name = "made-through-a-pooler";
    pooled.post("/v1/clusters", &json!({ "name": name })).await.ok();
    assert!(pooled.get("/v1/clusters?limit=100").await.text().contains(name));

    // What another replica changes is told by a notification, which only the way past the pooler brings.
    let request = pooled
        .request(Method::GET, "/v1/clusters")
        .header("accept", "text/event-stream");
    let mut events = request.send().await.unwrap().bytes_stream();
    let mut heard = String::new();
    let mut made = false;
    let told = tokio::time::timeout(PATIENCE, async {
        while let Some(bytes) = events.next().await {
            heard.push_str(&String::from_utf8_lossy(&bytes.unwrap()));
            if !made && heard.contains("\n\n") {
                made = true;
                other
                    .post("/v1/clusters", &json!({"name": "seen-past-a-pooler"}))
                    .await
                    .ok();
            }
            if heard.contains("seen-past-a-pooler") {
                return;
            }
        }
    });
    told.await
        .unwrap_or_else(|_| panic!("the stream does not tell: {heard}"));

    // With the other replica gone agents come here, and their leases are granted and renewed.
    federation.process(EU, 1).stop().await.unwrap();
    let workloads = pooled.get("/v1/workloads").await.ok();
    let path = format!("/v1/workloads/{}/start", workloads["items"][0]["id"].as_str().unwrap());
    let agents = federation.file().agents;
    let agent = agents.iter().find(|agent| agent.region == EU).unwrap();
    pooled.post(&path, &json!({"agent_id": agent.id})).await.ok();
    let mut db = federation.database(EU).await;
    let mut first = None;
    let renewed = async || {
        let seq: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM gw.lease WHERE state = 'active' ORDER BY granted_at DESC LIMIT 1")
                .fetch_optional(&mut db)
                .await
                .unwrap();
        seq.is_some_and(|seq| seq > *first.get_or_insert(seq) + 2)
    };
    let patience = 2 * PATIENCE + Duration::from_secs(5);
    federation
        .until(patience, "a lease is granted and renewed", renewed)
        .await;
    settings.back().await;
    let said = Said::from_now(&federation, EU, 2);
    federation.up().await.unwrap();
    assert!(!said.text().contains("\"ERROR\""), "{}", said.text());
}
