//! Two processes of the global and of each gateway, over one database each.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
use exarch_common_base::Ambient;
use exarch_tests_federation::{ADA, Client, EU, Federation, suite, tests};
use reqwest::{Method, header::CONTENT_TYPE};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{process::ExitCode, sync::Arc, time::Duration};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    suite::main_with_replicas(
        tests![
            a_session_and_a_repeat_know_no_replica,
            a_region_is_asked_by_the_replica_that_holds_its_tunnel,
            a_passport_counts_when_every_living_replica_has_it,
            a_stopped_leader_that_goes_on_leads_no_more,
            whichever_dies_nothing_acknowledged_is_lost_and_leases_go_on,
        ],
        2,
    )
}

fn unique(name: &str) -> String {
    let bytes: [u8; 4] = Ambient::system().bytes();
    format!("{name}-{:08x}", u32::from_be_bytes(bytes))
}

async fn create(client: &Client, path: &str, key: &str, body: &Value) -> Option<(u16, Value)> {
    let request = client.request(Method::POST, path).header("idempotency-key", key);
    let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
    let answer = client.try_send(request).await?;
    Some((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
}

async fn a_session_and_a_repeat_know_no_replica(federation: Arc<Federation>) {
    let (one, two) = (federation.at("global", 1), federation.at("global", 2));
    let pair = federation.sign_in(ADA).await;
    let token = pair["access_token"].as_str().unwrap();
    let me = |client: &Client, token: &str| {
        let client = client.clone().bearer(token);
        async move { client.get("/v1/me").await.ok() }
    };
    assert_eq!(me(&one, token).await, me(&two, token).await);
    let body = json!({"refresh_token": pair["refresh_token"]});
    let next = two.post("/v1/auth/refresh", &body).await.ok();
    let body = json!({"refresh_token": next["refresh_token"]});
    let last = one.post("/v1/auth/refresh", &body).await.ok();
    me(&two, last["access_token"].as_str().unwrap()).await;

    let token = federation.region_token(ADA, EU).await;
    let at = |n| federation.at(EU, n).bearer(&token);
    let (key, body) = (unique("key"), json!({"name": unique("repeat")}));
    let first = create(&at(1), "/v1/clusters", &key, &body).await.unwrap();
    let again = create(&at(2), "/v1/clusters", &key, &body).await.unwrap();
    assert_eq!((first.0, &first), (201, &again));
}

async fn a_region_is_asked_by_the_replica_that_holds_its_tunnel(federation: Arc<Federation>) {
    let mut db = federation.database("global").await;
    let holders: i64 = sqlx::query_scalar("SELECT count(DISTINCT region_id) FROM gc.tunnel")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(holders, 2, "each region has a holder");
    let id: String = sqlx::query_scalar(
        "INSERT INTO gc.region_request (id, region_id, path, content_type, body, until)
         SELECT gen_random_uuid(), id, '/federation/v1/probe', 'application/json', '{\"challenge\":\"c\",\"seen\":null}',
                clock_timestamp() + interval '20 seconds'
           FROM gc.region WHERE slug = 'eu-north' RETURNING id::text",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    let mut answer = None;
    federation
        .until(Duration::from_secs(20), "a holder answers", async || {
            answer = sqlx::query_as::<_, (Option<i32>, Option<Vec<u8>>, Option<String>)>(
                "SELECT status, answer, failure FROM gc.region_request WHERE id = $1::uuid AND answered_at IS NOT NULL",
            )
            .bind(&id)
            .fetch_optional(&mut db)
            .await
            .unwrap();
            answer.is_some()
        })
        .await;
    let (status, body, failure) = answer.unwrap();
    // The round may have a probe under way, which is said as well.
    if failure.as_deref() == Some("busy") {
        return;
    }
    assert_eq!(status, Some(200), "{failure:?}");
    let told: Value = serde_json::from_slice(&body.unwrap()).unwrap();
    assert_eq!(told["challenge"], "c");
    assert_eq!(told["instances"].as_array().map(Vec::len), Some(2), "{told}");
}

async fn a_passport_counts_when_every_living_replica_has_it(federation: Arc<Federation>) {
    let ada = federation.at("global", 2).bearer(&federation.access(ADA).await);
    let stopped = federation.process(EU, 2);
    stopped.signal(Signal::STOP);
    let since = Instant::now();
    let mut db = federation.database("global").await;
    let newest = "SELECT p.version FROM gc.passport p JOIN gc.region r ON r.id = p.region_id WHERE r.slug = 'eu-north'";
    let before: i64 = sqlx::query_scalar(newest).fetch_one(&mut db).await.unwrap();
    ada.post("/v1/users", &newcomer(&unique("p"))).await.ok();
    let after: i64 = sqlx::query_scalar(newest).fetch_one(&mut db).await.unwrap();
    assert!(after > before);
    federation
        .until(
            PATIENCE,
            "the region acknowledges without the one that is silent",
            async || {
                let behind: bool = sqlx::query_scalar(
                    "SELECT (p.acknowledged_generation, p.acknowledged_version) < (p.generation, p.version)
                   FROM gc.passport p JOIN gc.region r ON r.id = p.region_id WHERE r.slug = 'eu-north'",
                )
                .fetch_one(&mut db)
                .await
                .unwrap();
                !behind
            },
        )
        .await;
    let waited = since.elapsed();
    stopped.signal(Signal::CONT);
    // Its heartbeat was at most a second old, and is waited for until it is older than three.
    assert!(waited >= Duration::from_millis(1900), "acknowledged after {waited:?}");
    let ops = Client::new(federation.replica(EU, 2).ops_url());
    federation
        .until(PATIENCE, "it serves again", async || {
            ops.try_get("/readyz").await.is_some_and(|answer| answer.status == 200)
        })
        .await;
}

/// Somebody whom regions learn of at once.
fn newcomer(name: &str) -> Value {
    json!({"email": format!("{name}@acme.example"), "display_name": name, "roles": ["read-only"], "initial_password": true})
}

async fn term(federation: &Federation) -> (i64, Option<String>) {
    sqlx::query_as("SELECT term, holder::text FROM gc.leader")
        .fetch_one(&mut federation.database("global").await)
        .await
        .unwrap()
}

async fn leads(federation: &Federation, n: u16) -> bool {
    let ops = Client::new(federation.replica("global", n).ops_url());
    let told = ops
        .try_get("/metrics")
        .await
        .map(|answer| answer.text())
        .unwrap_or_default();
    told.lines()
        .any(|line| line.starts_with("exarch_leader") && line.ends_with(" 1"))
}

async fn a_stopped_leader_that_goes_on_leads_no_more(federation: Arc<Federation>) {
    let mut old = 0;
    federation
        .until(PATIENCE, "one leads", async || {
            for n in [1, 2] {
                if leads(&federation, n).await {
                    old = n;
                }
            }
            old != 0
        })
        .await;
    let other = 3 - old;
    let (before, holder) = term(&federation).await;
    let process = federation.process("global", old);
    process.signal(Signal::STOP);
    federation
        .until(PATIENCE, "the other leads", async || leads(&federation, other).await)
        .await;
    let taken = term(&federation).await;
    assert!(taken.0 == before + 1 && taken.1 != holder, "{taken:?}");
    process.signal(Signal::CONT);
    federation
        .until(PATIENCE, "the old one knows", async || !leads(&federation, old).await)
        .await;
    assert_eq!(term(&federation).await, taken, "it took nothing back");
    let log = std::fs::read_to_string(process.log()).unwrap();
    assert!(log.contains("leads no more"));
}

/// The newest lease that is active in a region: its fence, and how often it was renewed.
async fn lease(federation: &Federation) -> Option<(i64, i64, i64)> {
    sqlx::query_as(
        "SELECT epoch, generation, seq FROM gw.lease WHERE state = 'active' ORDER BY granted_at DESC LIMIT 1",
    )
    .fetch_optional(&mut federation.database(EU).await)
    .await
    .unwrap()
}

/// Writes by whichever replica answers, each under one key until it is acknowledged; the names of what was made.
async fn write(clients: &[Client; 2], path: &str, bodies: &[Value]) {
    for (n, body) in bodies.iter().enumerate() {
        let (key, until) = (unique("key"), Instant::now() + PATIENCE);
        for turn in n.. {
            assert!(Instant::now() < until, "nobody takes {path}");
            match create(&clients[turn % 2], path, &key, body).await {
                Some((201, _)) => break,
                Some((status, told)) if status < 500 => panic!("{path}: {status} {told}"),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

async fn whichever_dies_nothing_acknowledged_is_lost_and_leases_go_on(federation: Arc<Federation>) {
    let access = federation.access(ADA).await;
    let token = federation.region_token(ADA, EU).await;
    let ada = federation.at(EU, 1).bearer(&token);
    let workloads = ada.get("/v1/workloads").await.ok();
    let workload = workloads["items"][0]["id"].as_str().unwrap();
    let agents = federation.file().agents;
    let agent = agents.iter().find(|agent| agent.region == EU).unwrap();
    let body = json!({"agent_id": agent.id});
    let path = format!("/v1/workloads/{workload}/start");
    ada.post(&path, &body).await.ok();
    federation
        .until(PATIENCE, "a workload runs", async || lease(&federation).await.is_some())
        .await;
    for (place, n) in [("global", 1), ("global", 2), (EU, 1), (EU, 2)] {
        let before = lease(&federation).await.unwrap();
        let (path, bearer) = match place {
            "global" => ("/v1/users", &access),
            _ => ("/v1/clusters", &token),
        };
        let clients = [1, 2].map(|n| federation.at(place, n).bearer(bearer));
        let names: Vec<String> = (0..12).map(|_| unique("w")).collect();
        let bodies: Vec<Value> = names
            .iter()
            .map(|name| match place {
                "global" => newcomer(name),
                _ => json!({"name": name}),
            })
            .collect();
        let process = federation.process(place, n);
        let (first, rest) = bodies.split_at(4);
        write(&clients, path, first).await;
        let (killed, ()) = tokio::join!(process.kill(), write(&clients, path, rest));
        killed.unwrap();
        let survivor = &clients[usize::from(2 - n)];
        let mut found = String::new();
        let mut page = format!("{path}?limit=100");
        loop {
            let list = survivor.get(&page).await.ok();
            found.push_str(&list["items"].to_string());
            let Some(next) = list["next_page_token"].as_str() else {
                break;
            };
            page = format!("{path}?limit=100&page_token={next}");
        }
        for name in &names {
            assert!(
                found.contains(name),
                "{name} was acknowledged and is gone with {place} {n}"
            );
        }
        federation
            .until(PATIENCE, "the lease is renewed", async || {
                lease(&federation).await.is_some_and(|now| now.2 > before.2 + 3)
            })
            .await;
        let now = lease(&federation).await.unwrap();
        assert_eq!(
            (now.0, now.1),
            (before.0, before.1),
            "the same holder, with {place} {n} gone"
        );
        federation.up().await.unwrap();
    }
}
