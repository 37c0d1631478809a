use crate::{
    agents::testing::{TestAgent, address, call, enrol, key, peer},
    testing::{Actor, Limits, World},
};
use exarch_common_authz::Role;
use exarch_common_base::ClusterId;
use exarch_common_crypto::pki;
use exarch_common_wire::{
    agent::{OpenSession, SessionOpened},
    grant::Incarnation,
    names,
};
use serde_json::json;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

async fn tenant(world: &World) -> (Actor<'_>, ClusterId) {
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    (admin, cluster)
}

#[tokio::test]
async fn an_agent_with_both_factors_is_heard() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
    let shown = admin
        .get(&format!("/v1/agents/{}", agent.enrolled.agent))
        .await
        .expect(200);
    assert_eq!(
        (&shown["software"], &shown["session_from"]),
        (&json!("1.2.3"), &json!("192.0.2.1"))
    );
    assert!(shown["last_seen_at"].is_string(), "{shown}");
}

#[tokio::test]
async fn either_factor_alone_is_nobody_and_so_is_one_agents_token_on_anothers_certificate() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut one = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let mut two = TestAgent::new(&world, &admin, cluster, "edge-2", 2).await;
    one.open(&world.app).await;
    two.open(&world.app).await;
    let body = json!({ "software": "1", "fences": [], "clock_ms": 0 });
    let ask = async |certificate: Option<pki::Peer>, token: Option<&str>| {
        let on = peer(address(1), certificate);
        let answer = call(&world.app, on, "/agent/v1/heartbeat", &body, token).await;
        let mut told = answer.problem(401, "unauthenticated");
        told.as_object_mut().unwrap().remove("request_id");
        told
    };
    let certificate = || one.certificate.clone();
    let altered = |change: fn(&mut pki::Peer)| {
        let mut certificate = certificate();
        change(&mut certificate);
        Some(certificate)
    };
    let token = Some(one.token.as_str());
    let mut cut = one.token.clone();
    cut.pop();
    let refusals = [
        ask(None, token).await,
        ask(Some(certificate()), None).await,
        ask(Some(certificate()), Some(&cut)).await,
        ask(Some(certificate()), Some(&two.token)).await,
        ask(Some(two.certificate.clone()), token).await,
        ask(altered(|c| c.uris.push("exarch://x".to_owned())), token).await,
        ask(altered(|c| c.uris.clear()), token).await,
        ask(altered(|c| c.client_auth = false), token).await,
        ask(altered(|c| c.is_ca = true), token).await,
        ask(altered(|c| c.thumbprint = [0; 32]), token).await,
        ask(altered(|c| c.public_key[5] ^= 1), token).await,
        ask(
            altered(|c| c.uris = vec![c.uris[0].replace("/agent/", "/agents/")]),
            token,
        )
        .await,
    ];
    // one same body, whatever was wrong
    assert!(refusals.iter().all(|told| told == &refusals[0]), "{refusals:#?}");
    let mut foreign = certificate();
    foreign.uris = vec![names::agent_uri(world.app.ambient.id(), one.enrolled.agent)];
    ask(Some(foreign), token).await;
    world.clock.advance(Duration::from_secs(600));
    ask(Some(certificate()), token).await;
}

#[tokio::test]
async fn the_next_session_ends_the_token_of_the_one_before() {
    let world = World::new().await;
    let replica = world.replica().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    let old = agent.token.clone();
    agent.heartbeat(&replica).await.expect(204);
    agent.open(&world.app).await;
    // the other replica believes what it read a moment ago, and yet knows the new token at once
    agent.heartbeat(&replica).await.expect(204);
    agent.heartbeat(&world.app).await.expect(204);
    agent.token = old;
    agent.heartbeat(&world.app).await.problem(401, "unauthenticated");
    agent.heartbeat(&replica).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_same_bytes_get_the_same_answer_until_the_next_position_is_used() {
    let world = World::new().await;
    let replica = world.replica().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let opening = agent.opening(&agent.challenge(&world.app).await);
    let first = agent.send(&world.app, &opening).await.expect(200);
    assert_eq!(agent.send(&world.app, &opening).await.expect(200), first);
    // after a restart of everything, an hour later, through another replica: the same
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(agent.send(&replica, &opening).await.expect(200), first);
    let opened: SessionOpened = serde_json::from_value(first).unwrap();
    agent.chain = opened.chain;
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
}

#[tokio::test]
async fn a_copied_identity_ends_in_both_places_and_the_alarm_names_both() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let stolen = agent.chain.clone();
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
    // the thief has key, certificate and chain as they were before, and comes from elsewhere
    let (mine, my_address) = (agent.chain.clone(), agent.address);
    (agent.chain, agent.address) = (stolen, address(66));
    let opening = agent.opening(&agent.challenge(&world.app).await);
    let log = Log::default();
    let alarm = log.listen();
    agent.send(&world.app, &opening).await.problem(403, "agent-quarantined");
    drop(alarm);
    let told = log.text();
    let told = told.lines().find(|line| line.contains("ERROR")).expect("an alarm");
    for named in [&agent.enrolled.agent.to_string(), "192.0.2.1\"", "192.0.2.66\""] {
        assert!(told.contains(named), "{named} is not in {told}");
    }
    // the genuine one is out, too, by its token and by its chain
    (agent.chain, agent.address) = (mine, my_address);
    agent.heartbeat(&world.app).await.problem(401, "unauthenticated");
    let told = agent.post(&world.app, "/agent/v1/session/challenge", &json!({})).await;
    assert_eq!(told.problem(403, "agent-not-active")["state"], "quarantined");
    let rows = admin.get("/v1/audit?action=agent.quarantine").await.expect(200);
    let rows = rows["items"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    let reason = rows[0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("192.0.2.1 ") || reason.contains("192.0.2.1:"),
        "{reason}"
    );
    assert!(reason.contains("192.0.2.66"), "{reason}");
    assert_eq!(
        admin.get("/v1/agents?state=quarantined").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn whoever_has_not_the_key_cannot_put_an_agent_into_quarantine() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let old = agent.chain.clone();
    agent.open(&world.app).await;
    let mut forged = agent.opening(&agent.challenge(&world.app).await);
    forged.chain = old;
    agent.send(&world.app, &forged).await.problem(401, "unauthenticated");
    agent.heartbeat(&world.app).await.expect(204);
}

#[tokio::test]
async fn a_challenge_is_good_for_one_opening_within_a_minute() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let challenge = agent.challenge(&world.app).await;
    let answer = agent.send(&world.app, &agent.opening(&challenge)).await.expect(200);
    agent.chain = serde_json::from_value::<SessionOpened>(answer).unwrap().chain;
    agent
        .send(&world.app, &agent.opening(&challenge))
        .await
        .problem(409, "challenge-unknown");
    let late = agent.challenge(&world.app).await;
    world.clock.advance(Duration::from_secs(60));
    agent
        .send(&world.app, &agent.opening(&late))
        .await
        .problem(409, "challenge-unknown");
    agent
        .send(&world.app, &agent.opening("made-up"))
        .await
        .problem(409, "challenge-unknown");
    // the link was not spent by any of them
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
}

#[tokio::test]
async fn a_challenge_is_good_for_the_agent_that_asked_for_it() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let one = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let two = TestAgent::new(&world, &admin, cluster, "edge-2", 2).await;
    let challenge = one.challenge(&world.app).await;
    two.send(&world.app, &two.opening(&challenge))
        .await
        .problem(409, "challenge-unknown");
}

#[tokio::test]
async fn links_that_were_never_given_out_are_refused_without_suspicion() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let good = agent.chain.clone();
    for (chain, slug) in [
        (format!("1.{}", "0".repeat(64)), "chain-unknown"),
        (format!("9.{}", "0".repeat(64)), "chain-ahead"),
    ] {
        agent.chain = chain;
        let opening = agent.opening(&agent.challenge(&world.app).await);
        agent.send(&world.app, &opening).await.problem(409, slug);
    }
    agent.chain = good;
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
}

#[tokio::test]
async fn what_was_signed_cannot_be_read_in_another_way() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let good = agent.opening(&agent.challenge(&world.app).await);
    let changes: [fn(&mut OpenSession); 7] = [
        |o| o.request_id.push('\n'),
        |o| o.request_id.clear(),
        |o| o.request_id = "x".repeat(129),
        |o| o.challenge.push(' '),
        |o| o.chain.push('0'),
        |o| o.incarnation = Incarnation::new([9; 16]),
        |o| o.signature.truncate(20),
    ];
    for change in changes {
        let mut other = good.clone();
        change(&mut other);
        agent.send(&world.app, &other).await.problem(401, "unauthenticated");
    }
    agent.send(&world.app, &good).await.expect(200);
}

#[tokio::test]
async fn a_revoked_agent_is_nobody_here_at_once_and_on_other_replicas_within_a_second() {
    let world = World::new().await;
    let replica = world.replica().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
    agent.heartbeat(&replica).await.expect(204);
    let path = format!("/v1/agents/{}/revoke", agent.enrolled.agent);
    let revoked = admin.post(&path, json!({ "reason": "stolen" })).await.expect(200);
    assert_eq!(revoked["state"], "revoked");
    agent.heartbeat(&world.app).await.problem(401, "unauthenticated");
    world.clock.advance(Duration::from_secs(1));
    agent.heartbeat(&replica).await.problem(401, "unauthenticated");
    // nor does a restart bring it back
    let restarted = world.replica().await;
    agent.heartbeat(&restarted).await.problem(401, "unauthenticated");
    let told = agent.post(&restarted, "/agent/v1/session/challenge", &json!({})).await;
    told.problem(403, "agent-not-active");
    admin.post(&path, json!({})).await.problem(409, "agent-already-revoked");
    let rows = admin.get("/v1/audit?action=agent.revoke").await.expect(200);
    assert_eq!(
        (&rows["items"][0]["reason"], rows["items"].as_array().unwrap().len()),
        (&json!("stolen"), 1)
    );
}

#[tokio::test]
async fn the_sixty_first_challenge_of_a_minute_is_refused_before_anything_is_looked_at() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    for _ in 0..60 {
        agent.challenge(&world.app).await;
    }
    let limited = agent.post(&world.app, "/agent/v1/session/challenge", &json!({})).await;
    assert_eq!(limited.headers["retry-after"], "1");
    limited.problem(429, "too-many-requests");
}

#[tokio::test]
async fn forged_openings_are_counted_before_their_signatures_are_looked_at() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let mut forged = agent.opening("made-up");
    forged.signature = "AAAA".to_owned();
    for _ in 0..60 {
        agent.send(&world.app, &forged).await.problem(401, "unauthenticated");
    }
    let limited = agent.send(&world.app, &forged).await;
    assert_eq!(limited.headers["retry-after"], "1");
    limited.problem(429, "too-many-requests");
}

#[tokio::test]
async fn newcomers_are_counted_by_their_address_before_their_tokens_are_looked_at() {
    let world = World::new().await;
    let csr = key().1;
    let come = |from| enrol(&world.app, from, "ebt_x", &csr, None);
    for _ in 0..60 {
        come(address(1)).await.problem(401, "bootstrap-token-unknown");
    }
    let limited = come(address(1)).await;
    assert_eq!(limited.headers["retry-after"], "1");
    limited.problem(429, "too-many-requests");
    come(address(2)).await.problem(401, "bootstrap-token-unknown");
}

#[tokio::test]
async fn a_token_that_was_followed_by_another_is_dead_after_a_restart_too() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    let old = agent.token.clone();
    agent.open(&world.app).await;
    let restarted = world.replica().await;
    agent.heartbeat(&restarted).await.expect(204);
    let new = std::mem::replace(&mut agent.token, old);
    agent.heartbeat(&restarted).await.problem(401, "unauthenticated");
    // one that a resumed agent had before it was suspended is of an older epoch
    let path = format!("/v1/agents/{}", agent.enrolled.agent);
    admin.post(&format!("{path}/suspend"), json!({})).await.expect(200);
    admin.post(&format!("{path}/resume"), json!({})).await.expect(200);
    agent.token = new;
    for app in [&world.app, &world.replica().await] {
        agent.heartbeat(app).await.problem(401, "unauthenticated");
    }
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
