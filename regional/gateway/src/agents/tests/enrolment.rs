use super::requests;
use crate::{
    agents::testing::{TestAgent, address, enrol, key, poll, token},
    testing::{Actor, Limits, World},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_authz::Role;
use exarch_common_base::{AgentId, ClusterId};
use exarch_common_crypto::pki::Peer;
use exarch_common_wire::{agent::Enrolment, names};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

async fn tenant(world: &World) -> (Actor<'_>, ClusterId) {
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    (admin, cluster)
}

/// The last refusal of an enrolment in the audit.
async fn last_refusal(admin: &Actor<'_>) -> Value {
    let rows = admin
        .get("/v1/audit?action=agent.enrol&outcome=denied&limit=1")
        .await
        .expect(200);
    rows["items"][0].clone()
}

#[tokio::test]
async fn an_automatic_token_makes_an_agent_at_once() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let made = admin
        .post(
            "/v1/bootstrap-tokens",
            json!({ "cluster_id": cluster, "name": "edge-1", "auto": true }),
        )
        .await
        .expect(201);
    let pin = world.app.secrets.agent_ca().pin().to_string();
    let (text, line) = (made["token"].as_str().unwrap(), made["line"].as_str().unwrap());
    assert_eq!(made["ca_pin"], pin);
    assert!(
        line.contains(&pin) && line.contains("--token-file -") && line.contains("--name edge-1"),
        "{line}"
    );
    assert!(!line.contains(text), "the token is part of the command line");

    let (key, csr) = key();
    let answer = enrol(&world.app, address(1), text, &csr, None).await.expect(200);
    let agent = TestAgent::of(key, serde_json::from_value(answer).unwrap(), address(1));
    assert_eq!(
        (agent.enrolled.name.as_str(), agent.enrolled.cluster),
        ("edge-1", cluster)
    );
    let uri = names::agent_uri(world.app.region.id, agent.enrolled.agent);
    assert_eq!(agent.certificate.identity(), Some(uri.as_str()));
    assert_eq!(agent.certificate.public_key, agent.key.public().raw());
    let life = agent.certificate.not_after - world.app.ambient.now();
    assert!(
        life <= time::Duration::days(7) && life > time::Duration::hours(167),
        "{life}"
    );
    assert_eq!(agent.enrolled.grant_keys, world.app.secrets.grant_keys());

    let shown = admin
        .get(&format!("/v1/agents/{}", agent.enrolled.agent))
        .await
        .expect(200);
    assert_eq!(
        (&shown["state"], &shown["enrolled_from"]),
        (&json!("active"), &json!("192.0.2.1"))
    );
    let tokens = admin.get("/v1/bootstrap-tokens").await.expect(200);
    let spent = &tokens["items"][0];
    assert_eq!(
        (&spent["state"], &spent["spent_from"]),
        (&json!("spent"), &json!("192.0.2.1"))
    );
    assert_eq!(spent["spent_by"], agent.enrolled.agent.to_string());
    assert!(!tokens.to_string().contains(text));
    let audit = admin.get("/v1/audit?action=agent.enrol").await.expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
    assert_eq!(audit["items"][0]["target"]["id"], agent.enrolled.agent.to_string());
}

#[tokio::test]
async fn without_automatism_a_person_approves_and_until_then_nothing_is_handed_out() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let token = token(&admin, cluster, json!({})).await;
    let (key, csr) = key();
    let pending = enrol(&world.app, address(1), &token, &csr, Some("edge-1"))
        .await
        .expect(200);
    assert_eq!(pending["state"], "pending");
    assert_eq!(pending.as_object().unwrap().len(), 2, "{pending}");
    let id: AgentId = pending["agent"].as_str().unwrap().parse().unwrap();
    let now = || world.app.ambient.now().unix_timestamp();
    let polled = poll(&world.app, address(1), &key, id, now()).await.expect(200);
    assert_eq!(polled["state"], "pending");

    let approve = format!("/v1/agents/{id}/approve");
    let approved = admin.send(axum::http::Method::POST, &approve, None).await.expect(200);
    assert_eq!(approved["state"], "active");
    admin
        .send(axum::http::Method::POST, &approve, None)
        .await
        .problem(409, "agent-not-pending");

    // the answer may be lost: it is given again, with the same certificate, until a session was opened
    let first = poll(&world.app, address(1), &key, id, now()).await.expect(200);
    let second = poll(&world.app, address(1), &key, id, now()).await.expect(200);
    assert_eq!(
        (&first["state"], &first["certificate"]),
        (&json!("active"), &second["certificate"])
    );
    let mut agent = TestAgent::of(key, serde_json::from_value(second).unwrap(), address(1));
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
    poll(&world.app, address(1), &agent.key, id, now())
        .await
        .problem(409, "agent-already-enrolled");
}

#[tokio::test]
async fn a_poll_is_believed_by_its_key_and_its_time_only() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let token = token(&admin, cluster, json!({})).await;
    let (mine, csr) = key();
    let pending = enrol(&world.app, address(1), &token, &csr, Some("edge-1"))
        .await
        .expect(200);
    let id: AgentId = pending["agent"].as_str().unwrap().parse().unwrap();
    let now = world.app.ambient.now().unix_timestamp();
    poll(&world.app, address(1), &key().0, id, now)
        .await
        .problem(401, "unauthenticated");
    for late in [-61, 61] {
        poll(&world.app, address(1), &mine, id, now + late)
            .await
            .problem(401, "unauthenticated");
    }
    poll(&world.app, address(1), &mine, world.app.ambient.id(), now)
        .await
        .problem(401, "unauthenticated");
    poll(&world.app, address(1), &mine, id, now + 30).await.expect(200);
}

#[tokio::test]
async fn a_spent_bootstrap_token_is_refused_with_its_story() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let token = token(&admin, cluster, json!({ "auto": true })).await;
    let first = enrol(&world.app, address(1), &token, &key().1, Some("edge-1"))
        .await
        .expect(200);
    let refused = enrol(&world.app, address(2), &token, &key().1, Some("edge-2")).await;
    let story = refused.problem(410, "bootstrap-token-spent");
    assert_eq!(
        (&story["used_from"], &story["agent"]),
        (&json!("192.0.2.1"), &first["agent"])
    );
    assert!(
        story["used_at"].as_str().unwrap().starts_with("2026-01-01T12:00:00"),
        "{story}"
    );
    let row = last_refusal(&admin).await;
    assert_eq!(
        (&row["address"], &row["actor"]["kind"]),
        (&json!("192.0.2.2"), &json!("bootstrap-token"))
    );
    assert_eq!(row["reason"], "the bootstrap token was used before");
}

#[tokio::test]
async fn of_fifty_who_come_with_one_token_one_gets_in() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let token = token(&admin, cluster, json!({ "auto": true })).await;
    let race = (0..50).map(|n| {
        let (app, token, csr) = (world.app.clone(), token.clone(), key().1);
        tokio::spawn(async move { enrol(&app, address(n), &token, &csr, Some(&format!("edge-{n}"))).await })
    });
    let answers: Vec<_> = join_all(race).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(winners.len(), 1);
    let winner = &winners[0].body["agent"];
    for loser in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(
            (loser.status.as_u16(), &loser.body["agent"]),
            (410, winner),
            "{}",
            loser.body
        );
    }
    assert_eq!(
        admin.get("/v1/agents").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_token_that_is_over_taken_back_or_nobodys_lets_nobody_in() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let (old, taken) = (
        token(&admin, cluster, json!({})).await,
        token(&admin, cluster, json!({})).await,
    );
    let newest = admin.get("/v1/bootstrap-tokens?limit=1").await.expect(200);
    let path = format!("/v1/bootstrap-tokens/{}", newest["items"][0]["id"].as_str().unwrap());
    admin.send(axum::http::Method::DELETE, &path, None).await.expect(204);
    admin
        .send(axum::http::Method::DELETE, &path, None)
        .await
        .problem(409, "bootstrap-token-not-open");
    enrol(&world.app, address(1), &taken, &key().1, Some("e"))
        .await
        .problem(410, "bootstrap-token-revoked");
    world.clock.advance(Duration::from_secs(15 * 60));
    enrol(&world.app, address(1), &old, &key().1, Some("e"))
        .await
        .problem(410, "bootstrap-token-expired");
    assert_eq!(last_refusal(&admin).await["reason"], "the bootstrap token has expired");

    // the same row, another secret: known as nobody's, and no row of the audit
    let mut forged = B64.decode(&old[4..]).unwrap();
    *forged.last_mut().unwrap() ^= 1;
    let before = last_refusal(&admin).await;
    for text in [format!("ebt_{}", B64.encode(forged)), "ebt_x".to_owned(), String::new()] {
        enrol(&world.app, address(1), &text, &key().1, Some("e"))
            .await
            .problem(401, "bootstrap-token-unknown");
    }
    assert_eq!(last_refusal(&admin).await, before);
}

#[tokio::test]
async fn a_request_for_anything_but_a_key_is_refused_with_the_cause_and_spends_no_token() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let token = token(&admin, cluster, json!({ "auto": true })).await;
    let mut forged = B64.decode(key().1).unwrap();
    let at = forged.len() - 20;
    forged[at] ^= 1;
    for (csr, cause) in [
        (requests::P256, "P-384"),
        (requests::CA, "CA rights"),
        (requests::NAMES, "names"),
        (requests::SUBJECT, "subject name"),
        (&B64.encode(forged), "not signed by the key"),
        ("AAAA", "not valid DER"),
        ("%", "base64url"),
    ] {
        let refused = enrol(&world.app, address(1), &token, csr, Some("edge-1")).await;
        let told = refused.problem(422, "signing-request-refused");
        assert!(told["detail"].as_str().unwrap().contains(cause), "{cause}: {told}");
        let row = last_refusal(&admin).await;
        assert!(row["reason"].as_str().unwrap().contains(cause), "{cause}: {row}");
    }
    enrol(&world.app, address(1), &token, &key().1, Some("edge-1"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_name_a_key_and_a_host_belong_to_one_agent() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let host = admin
        .post("/v1/hosts", json!({ "cluster_id": cluster, "name": "rack-1" }))
        .await
        .expect(201)["id"]
        .clone();
    let csr = key().1;
    let bound = json!({ "auto": true, "name": "edge-1", "host_id": host });
    let first = token(&admin, cluster, bound.clone()).await;
    enrol(&world.app, address(1), &first, &csr, Some("edge-2"))
        .await
        .problem(422, "invalid-value");
    let agent = enrol(&world.app, address(1), &first, &csr, Some("edge-1"))
        .await
        .expect(200)["agent"]
        .clone();

    let open = token(&admin, cluster, json!({ "auto": true })).await;
    enrol(&world.app, address(1), &open, &key().1, Some("edge-1"))
        .await
        .problem(409, "agent-name-taken");
    assert_eq!(
        last_refusal(&admin).await["reason"],
        "another agent of the cluster has this name"
    );
    enrol(&world.app, address(1), &open, &csr, Some("edge-2"))
        .await
        .problem(409, "key-already-enrolled");
    enrol(&world.app, address(1), &open, &key().1, None)
        .await
        .problem(422, "invalid-value");
    enrol(&world.app, address(1), &open, &key().1, Some("Edge 2"))
        .await
        .problem(422, "invalid-value");
    let same_host = token(
        &admin,
        cluster,
        json!({ "auto": true, "name": "edge-3", "host_id": host }),
    )
    .await;
    enrol(&world.app, address(1), &same_host, &key().1, None)
        .await
        .problem(409, "host-has-agent");

    // once the agent is revoked its name and host are free, its key never again
    let revoke = format!("/v1/agents/{}/revoke", agent.as_str().unwrap());
    admin.post(&revoke, json!({ "reason": "stolen" })).await.expect(200);
    enrol(&world.app, address(1), &open, &csr, Some("edge-1"))
        .await
        .problem(409, "key-already-enrolled");
    let again = token(&admin, cluster, bound).await;
    enrol(&world.app, address(1), &again, &key().1, None).await.expect(200);
}

#[tokio::test]
async fn a_token_is_bound_to_what_its_maker_may_reach() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let other = world.person(world.tenant("b", Limits::default()), Role::TenantAdmin);
    other
        .post("/v1/bootstrap-tokens", json!({ "cluster_id": cluster }))
        .await
        .problem(404, "not-found");
    let host = other.cluster("theirs").await;
    let host = other
        .post("/v1/hosts", json!({ "cluster_id": host, "name": "h" }))
        .await
        .expect(201)["id"]
        .clone();
    admin
        .post(
            "/v1/bootstrap-tokens",
            json!({ "cluster_id": cluster, "host_id": host }),
        )
        .await
        .problem(422, "invalid-value");
    let tenant = other.get("/v1/bootstrap-tokens").await.expect(200);
    assert_eq!(tenant["items"], json!([]));
}

#[tokio::test]
async fn people_of_another_tenant_see_no_agent() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let other = world.person(world.tenant("b", Limits::default()), Role::TenantAdmin);
    let path = format!("/v1/agents/{}", agent.enrolled.agent);
    other.get(&path).await.problem(404, "not-found");
    for action in ["approve", "revoke"] {
        other
            .send(axum::http::Method::POST, &format!("{path}/{action}"), None)
            .await
            .problem(404, "not-found");
    }
    assert_eq!(other.get("/v1/agents").await.expect(200)["items"], json!([]));
    assert_eq!(
        admin.get("/v1/agents?state=active").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        admin.get("/v1/agents?state=revoked").await.expect(200)["items"],
        json!([])
    );
}

#[tokio::test]
async fn a_suspended_tenant_gets_no_new_agent() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let token = token(&admin, cluster, json!({ "auto": true })).await;
    for state in ["suspended(billing)", "suspended(incident)", "deleting", "whatever"] {
        world.alter(tenant, |t| t.state = state.to_owned());
        enrol(&world.app, address(1), &token, &key().1, Some("e"))
            .await
            .problem(403, "tenant-suspended");
    }
    world.alter(tenant, |t| t.state = "suspended(hold)".to_owned());
    enrol(&world.app, address(1), &token, &key().1, Some("e"))
        .await
        .expect(200);
}

#[tokio::test]
async fn enrolment_waits_while_the_passport_is_stale() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    world.clock.advance(Duration::from_secs(10 * 60));
    let token = token(&admin, cluster, json!({ "auto": true })).await;
    world.clock.advance(Duration::from_secs(6 * 60));
    enrol(&world.app, address(1), &token, &key().1, Some("e"))
        .await
        .problem(503, "passport-stale");
}

#[tokio::test]
async fn answers_of_an_enrolment_read_back_as_the_protocol_says() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let token = token(&admin, cluster, json!({ "auto": true })).await;
    let answer = enrol(&world.app, address(1), &token, &key().1, Some("edge-1"))
        .await
        .expect(200);
    let Enrolment::Active(enrolled) = serde_json::from_value(answer).unwrap() else {
        panic!("not active")
    };
    let ca = B64.decode(&enrolled.agent_ca).unwrap();
    assert_eq!(ca, world.app.secrets.agent_ca().der());
    assert!(Peer::read(&B64.decode(&enrolled.certificate).unwrap()).is_ok());
}
