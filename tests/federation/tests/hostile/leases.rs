//! Leases and workloads that are not for whoever asks.
use super::once::bootstrap_token;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::Ambient;
use exarch_tests_federation::{ADA, Client, EU, Federation, GRACE};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const SOON: Duration = Duration::from_secs(30);

async fn made(client: &Client, path: &str, body: Value) -> String {
    client.post(path, &body).await.ok()["id"].as_str().unwrap().to_owned()
}

fn ask(resource: &str) -> Value {
    let nonce = B64.encode(Ambient::system().bytes::<16>());
    json!({"resource": resource, "actions": ["start"], "nonce": nonce, "wait_ms": 0})
}

/// A resource with a short life of its leases, and a workload on it.
async fn workload(federation: &Federation, name: &str, argv: &[&str]) -> (String, String) {
    let (ada, cluster) = (federation.person_in(ADA, EU).await, federation.cluster(EU).await);
    let resource = json!({"cluster_id": cluster, "name": name, "kind": "volume", "ttl_ms": 5000});
    let resource = made(&ada, "/v1/resources", resource).await;
    let volume = federation.dir.join("volumes").join(format!("{name}.img"));
    let driver = json!({"kind": "process", "argv": argv, "volume": volume});
    let body = json!({"cluster_id": cluster, "name": name, "resource_id": resource, "driver": driver});
    (made(&ada, "/v1/workloads", body).await, resource)
}

fn agent_id(federation: &Federation, name: &str) -> String {
    let file = federation.file();
    file.agents
        .iter()
        .find(|a| a.name == name && a.region == EU)
        .unwrap()
        .id
        .clone()
}

/// What a workload says about one agent.
async fn on(client: &Client, workload: &str, agent: &str) -> Value {
    let shown = client.get(&format!("/v1/workloads/{workload}")).await.ok();
    let agents = shown["agents"].as_array().unwrap();
    agents
        .iter()
        .find(|entry| entry["agent_id"] == agent)
        .cloned()
        .unwrap_or(Value::Null)
}

pub async fn what_belongs_to_another_tenant_does_not_exist_for_an_agent(federation: Arc<Federation>) {
    let grace = federation.person_in(GRACE, EU).await;
    let cluster = made(&grace, "/v1/clusters", json!({"name": "theirs"})).await;
    let resource = json!({"cluster_id": cluster, "name": "theirs", "kind": "volume"});
    let theirs = made(&grace, "/v1/resources", resource).await;
    let (token, _) = bootstrap_token(&federation, EU, "curious").await;
    let agent = federation.agent(EU, &token).await;
    let refused = agent
        .post("/agent/v1/leases", &ask(&theirs))
        .await
        .refused(404, "resource-not-found");
    let unknown = "res_01a201ab000070008000000000000000";
    let mut nobodys = agent
        .post("/agent/v1/leases", &ask(unknown))
        .await
        .refused(404, "resource-not-found");
    nobodys["request_id"] = refused["request_id"].clone();
    assert_eq!(refused, nobodys, "what exists elsewhere shows");
    let none = grace.get(&format!("/v1/leases?resource_id={theirs}")).await.ok();
    assert_eq!(none["items"], json!([]));
    // Neither renewed nor released, whatever is claimed.
    let lease =
        json!({"leases": [{"lease": "lse_01a201ab000070008000000000000000", "resource": theirs, "fence": "1.1"}]});
    for path in ["/agent/v1/leases/renew", "/agent/v1/leases/release"] {
        let answer = agent.post(path, &lease).await;
        assert!(
            answer.status == 422 || answer.text().contains("unknown"),
            "{path}: {}",
            answer.text()
        );
    }
    let ada = federation.person_in(ADA, EU).await;
    for path in [format!("/v1/resources/{theirs}"), format!("/v1/clusters/{cluster}")] {
        ada.get(&path).await.refused(404, "not-found");
    }
    let driver = json!({"kind": "process", "argv": ["/bin/true"], "volume": "/nonexistent/volume"});
    let stolen =
        json!({"cluster_id": federation.cluster(EU).await, "name": "stolen", "resource_id": theirs, "driver": driver});
    let answer = ada.post("/v1/workloads", &stolen).await;
    assert!([404, 422].contains(&answer.status), "{}", answer.text());
}

pub async fn who_comes_second_is_told_who_holds_it_and_how_long(federation: Arc<Federation>) {
    let ada = federation.person_in(ADA, EU).await;
    let (workload, resource) = workload(&federation, "guarded", &["/bin/sleep", "600"]).await;
    let (first, second) = (agent_id(&federation, "edge-a"), agent_id(&federation, "edge-b"));
    let start = format!("/v1/workloads/{workload}/start");
    ada.post(&start, &json!({"agent_id": first})).await.ok();
    federation
        .until(SOON, "it runs", async || {
            on(&ada, &workload, &first).await["reported"]["state"] == "running"
        })
        .await;
    let refused = ada
        .post(&start, &json!({"agent_id": second}))
        .await
        .refused(409, "lease-held");
    let left = refused["remaining_ms"].as_u64().unwrap();
    let sentence = format!("Held by agent edge-a for another {} s", left.div_ceil(1000));
    assert!(refused["detail"].as_str().unwrap().starts_with(&sentence), "{refused}");
    assert_eq!(
        (&refused["holder"], &refused["holder_id"]),
        (&json!("edge-a"), &json!(first))
    );
    assert!((1..=5_350).contains(&left), "{left}");
    // An agent that asks for it by itself hears the same.
    let (token, _) = bootstrap_token(&federation, EU, "impatient").await;
    let agent = federation.agent(EU, &token).await;
    let told = agent
        .post("/agent/v1/leases", &ask(&resource))
        .await
        .refused(409, "lease-held");
    assert!(
        told["detail"]
            .as_str()
            .unwrap()
            .starts_with("Held by agent edge-a for another "),
        "{told}"
    );
    ada.post(&format!("/v1/workloads/{workload}/stop"), &json!({}))
        .await
        .ok();
    federation
        .until(SOON, "it has stopped", async || {
            on(&ada, &workload, &first).await["reported"]["state"] == "stopped"
        })
        .await;
    assert_eq!(
        on(&ada, &workload, &second).await,
        Value::Null,
        "the refused start left something"
    );
}

pub async fn a_workload_whose_program_is_missing_fails_by_name_and_gives_its_lease_back(federation: Arc<Federation>) {
    let ada = federation.person_in(ADA, EU).await;
    let (workload, resource) = workload(&federation, "missing", &["/nonexistent/program"]).await;
    let agent = agent_id(&federation, "edge-b");
    let start = format!("/v1/workloads/{workload}/start");
    ada.post(&start, &json!({"agent_id": agent})).await.ok();
    federation
        .until(SOON, "it failed", async || {
            on(&ada, &workload, &agent).await["reported"]["state"] == "failed"
        })
        .await;
    let detail = on(&ada, &workload, &agent).await["reported"]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(detail.contains("/nonexistent/program"), "{detail}");
    ada.post(&format!("/v1/workloads/{workload}/stop"), &json!({}))
        .await
        .ok();
    let held = async || {
        let leases = ada.get(&format!("/v1/leases?resource_id={resource}")).await.ok();
        leases["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|lease| lease["state"] == "active")
    };
    federation
        .until(SOON, "the lease is given back", async || !held().await)
        .await;
}
