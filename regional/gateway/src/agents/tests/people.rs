//! What people decide about agents: suspend, resume, enrol again, remove.
use crate::{
    agents::testing::{TestAgent, address, enrol, key, poll, token},
    testing::{Actor, Limits, World},
};
use axum::http::Method;
use exarch_common_authz::Role;
use exarch_common_base::{AgentId, ClusterId};
use serde_json::{Value, json};
use std::time::Duration;

async fn tenant(world: &World) -> (Actor<'_>, ClusterId) {
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    (admin, cluster)
}

async fn act(admin: &Actor<'_>, agent: AgentId, verb: &str) -> crate::testing::Answer {
    admin.post(&format!("/v1/agents/{agent}/{verb}"), json!({})).await
}

async fn remove(admin: &Actor<'_>, agent: AgentId) -> crate::testing::Answer {
    admin.send(Method::DELETE, &format!("/v1/agents/{agent}"), None).await
}

async fn listed(admin: &Actor<'_>, query: &str) -> usize {
    let page = admin.get(&format!("/v1/agents{query}")).await.expect(200);
    page["items"].as_array().unwrap().len()
}

/// Somebody else comes with the state that the agent had before.
async fn copied(world: &World, admin: &Actor<'_>, cluster: ClusterId) -> TestAgent {
    let mut agent = TestAgent::new(world, admin, cluster, "edge-1", 1).await;
    let before = agent.chain.clone();
    agent.open(&world.app).await;
    let mine = std::mem::replace(&mut agent.chain, before);
    let opening = agent.opening(&agent.challenge(&world.app).await);
    agent.send(&world.app, &opening).await.problem(403, "agent-quarantined");
    agent.chain = mine;
    agent
}

#[tokio::test]
async fn a_suspended_agent_is_nobody_until_it_is_resumed_and_comes_back_by_its_chain() {
    let world = World::new().await;
    let replica = world.replica().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    agent.heartbeat(&replica).await.expect(204);
    let id = agent.enrolled.agent;
    act(&admin, id, "resume").await.problem(409, "agent-not-suspended");
    let body = json!({ "reason": "moved to another rack" });
    let suspended = admin.post(&format!("/v1/agents/{id}/suspend"), body).await.expect(200);
    assert_eq!(suspended["state"], "suspended");
    act(&admin, id, "suspend").await.problem(409, "agent-not-active");

    agent.heartbeat(&world.app).await.problem(401, "unauthenticated");
    world.clock.advance(Duration::from_secs(1));
    agent.heartbeat(&replica).await.problem(401, "unauthenticated");
    let told = agent.post(&replica, "/agent/v1/session/challenge", &json!({})).await;
    assert_eq!(told.problem(403, "agent-not-active")["state"], "suspended");
    // nor after a restart of everything
    let restarted = world.replica().await;
    agent.heartbeat(&restarted).await.problem(401, "unauthenticated");

    assert_eq!(act(&admin, id, "resume").await.expect(200)["state"], "active");
    // what was taken from it stays taken; it opens another session
    agent.heartbeat(&world.app).await.problem(401, "unauthenticated");
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
    for (action, reason) in [
        ("agent.suspend", json!("moved to another rack")),
        ("agent.resume", Value::Null),
    ] {
        let rows = admin
            .get(&format!("/v1/audit?action={action}&outcome=ok"))
            .await
            .expect(200);
        assert_eq!(rows["items"].as_array().unwrap().len(), 1, "{action}");
        assert_eq!(
            rows["items"][0].get("reason").cloned().unwrap_or_default(),
            reason,
            "{action}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_works_is_not_removed_and_one_that_was_is_not_listed_and_never_comes_back() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let id = agent.enrolled.agent;
    remove(&admin, id).await.problem(409, "agent-active");
    act(&admin, id, "revoke").await.expect(200);
    remove(&admin, id).await.expect(204);
    remove(&admin, id).await.problem(409, "agent-already-removed");
    assert_eq!(
        (listed(&admin, "").await, listed(&admin, "?state=removed").await),
        (0, 1)
    );
    assert_eq!(
        admin.get(&format!("/v1/agents/{id}")).await.expect(200)["state"],
        "removed"
    );
    for verb in ["approve", "suspend", "resume", "re-enrol", "revoke"] {
        assert_eq!(act(&admin, id, verb).await.status, 409, "{verb}");
    }
    // its name is free again
    TestAgent::new(&world, &admin, cluster, "edge-1", 2).await;
}

#[tokio::test]
async fn one_command_enrols_the_genuine_one_again_and_the_copy_is_out_for_good() {
    let world = World::new().await;
    let replica = world.replica().await;
    let (admin, cluster) = tenant(&world).await;
    let thief = copied(&world, &admin, cluster).await;
    let id = thief.enrolled.agent;
    act(&admin, id, "resume").await.problem(409, "agent-not-suspended");

    let first = act(&admin, id, "re-enrol").await.expect(201);
    let made = act(&admin, id, "re-enrol").await.expect(201);
    let line = made["line"].as_str().unwrap();
    assert!(
        line.contains("enrol --again") && line.contains("--name edge-1"),
        "{line}"
    );
    let text = made["token"].as_str().unwrap();
    assert!(!line.contains(text));
    // the newest token counts, and no token lets the copied key in
    let (mine, csr) = key();
    let stale = enrol(&world.app, address(1), first["token"].as_str().unwrap(), &csr, None).await;
    stale.problem(410, "bootstrap-token-revoked");
    let copied_csr = base64_csr(&thief);
    enrol(&world.app, address(66), text, &copied_csr, None)
        .await
        .problem(409, "key-already-enrolled");
    let answer = enrol(&world.app, address(1), text, &csr, None).await.expect(200);
    let mut genuine = TestAgent::of(mine, serde_json::from_value(answer).unwrap(), address(1));
    assert_eq!((genuine.enrolled.agent, genuine.enrolled.cluster), (id, cluster));
    genuine.open(&world.app).await;
    genuine.heartbeat(&world.app).await.expect(204);
    world.clock.advance(Duration::from_secs(1));
    genuine.heartbeat(&replica).await.expect(204);

    // the old key: no session, no certificate, also not when everybody has forgotten; no other agent either
    for app in [&world.app, &replica] {
        let told = thief.post(app, "/agent/v1/session/challenge", &json!({})).await;
        told.problem(401, "unauthenticated");
    }
    let other = token(&admin, cluster, json!({ "auto": true, "name": "edge-9" })).await;
    enrol(&world.app, address(66), &other, &copied_csr, None)
        .await
        .problem(409, "key-already-enrolled");
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    thief.renew(&world.app).await.problem(401, "unauthenticated");

    let rows = admin.get("/v1/audit?action=agent.re-enrol").await.expect(200);
    assert_eq!(rows["items"].as_array().unwrap().len(), 2);
    let rows = admin
        .get(&format!("/v1/audit?action=agent.enrol&target_id={id}"))
        .await
        .expect(200);
    let again = rows["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["after"]["again"] == true);
    assert_eq!(again.count(), 1);
    assert_eq!(listed(&admin, "").await, 1);
}

fn base64_csr(agent: &TestAgent) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    B64.encode(exarch_common_crypto::pki::request(&agent.key).unwrap())
}

#[tokio::test]
async fn an_agent_that_lost_its_state_comes_in_again_and_until_then_goes_on() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    let made = act(&admin, agent.enrolled.agent, "re-enrol").await.expect(201);
    agent.heartbeat(&world.app).await.expect(204);
    let (mine, csr) = key();
    let text = made["token"].as_str().unwrap();
    let answer = enrol(&world.app, address(1), text, &csr, None).await.expect(200);
    agent.heartbeat(&world.app).await.problem(401, "unauthenticated");
    let mut again = TestAgent::of(mine, serde_json::from_value(answer).unwrap(), address(1));
    again.open(&world.app).await;
    again.heartbeat(&world.app).await.expect(204);
}

#[tokio::test]
async fn whoever_a_person_put_aside_or_never_let_in_is_not_enrolled_again() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let waiting = token(&admin, cluster, json!({ "name": "edge-0" })).await;
    let pending = enrol(&world.app, address(1), &waiting, &key().1, None)
        .await
        .expect(200);
    let pending: AgentId = pending["agent"].as_str().unwrap().parse().unwrap();
    act(&admin, pending, "re-enrol")
        .await
        .problem(409, "agent-not-re-enrollable");
    for verb in ["suspend", "revoke"] {
        let agent = TestAgent::new(&world, &admin, cluster, &format!("edge-{verb}"), 1).await;
        let made = act(&admin, agent.enrolled.agent, "re-enrol").await.expect(201);
        act(&admin, agent.enrolled.agent, verb).await.expect(200);
        act(&admin, agent.enrolled.agent, "re-enrol")
            .await
            .problem(409, "agent-not-re-enrollable");
        // nor by a token of before
        enrol(&world.app, address(1), made["token"].as_str().unwrap(), &key().1, None)
            .await
            .problem(409, "agent-not-re-enrollable");
    }
    let viewer = world.person(world.tenant("b", Limits::default()), Role::TenantAdmin);
    act(&viewer, pending, "re-enrol").await.problem(404, "not-found");
}

#[tokio::test]
async fn an_answer_to_an_enrolment_that_was_lost_is_given_again_to_the_same_key_alone() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    for (auto, state) in [(true, "active"), (false, "pending")] {
        let body = json!({ "auto": auto, "name": format!("edge-{state}") });
        let text = token(&admin, cluster, body).await;
        let (mine, csr) = key();
        let first = enrol(&world.app, address(1), &text, &csr, None).await.expect(200);
        let second = enrol(&world.app, address(2), &text, &csr, None).await.expect(200);
        assert_eq!((&first["state"], &first["agent"]), (&second["state"], &second["agent"]));
        assert_eq!(
            (&second["state"], &first["certificate"]),
            (&json!(state), &second["certificate"])
        );
        enrol(&world.app, address(2), &text, &key().1, None)
            .await
            .problem(410, "bootstrap-token-spent");
        if auto {
            let mut agent = TestAgent::of(mine, serde_json::from_value(second).unwrap(), address(1));
            agent.open(&world.app).await;
            enrol(&world.app, address(2), &text, &csr, None)
                .await
                .problem(409, "agent-already-enrolled");
        } else {
            world.clock.advance(Duration::from_secs(14 * 60 + 59));
            enrol(&world.app, address(2), &text, &csr, None).await.expect(200);
            world.clock.advance(Duration::from_secs(1));
            enrol(&world.app, address(2), &text, &csr, None)
                .await
                .problem(410, "bootstrap-token-spent");
            // by then the host knows its id, and polls
            let id = first["agent"].as_str().unwrap().parse().unwrap();
            let now = world.app.ambient.now().unix_timestamp();
            poll(&world.app, address(1), &mine, id, now).await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_pending_agent_has_no_certificate_to_come_with_and_executes_nothing() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let text = token(&admin, cluster, json!({ "name": "edge-1" })).await;
    let (mine, csr) = key();
    let pending = enrol(&world.app, address(1), &text, &csr, None).await.expect(200);
    let id: AgentId = pending["agent"].as_str().unwrap().parse().unwrap();
    let shown = admin.get(&format!("/v1/agents/{id}")).await.expect(200);
    assert_eq!(
        (&shown["state"], &shown["certificate_until"]),
        (&json!("pending"), &Value::Null)
    );
    // refused by a person it learns it by its next poll, and does not come in by it
    act(&admin, id, "revoke").await.expect(200);
    let now = world.app.ambient.now().unix_timestamp();
    let told = poll(&world.app, address(1), &mine, id, now).await;
    assert_eq!(told.problem(403, "agent-not-active")["state"], "revoked");
}
