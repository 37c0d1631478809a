//! Certificates are renewed without a gap, and also after their end.
use crate::{
    agents::testing::{TestAgent, key},
    app::App,
    start::serve_agents,
    testing::{Actor, Limits, World},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_authz::Role;
use exarch_common_base::{Ambient, ClusterId, SecretString};
use exarch_common_crypto::{
    pki::{self, Ca, Peer},
    sign::{Algorithm, SigningKey},
    tls::{self, Identity},
};
use exarch_common_http::{
    client::{ApiClient, ClientError, ClientTls},
    serve::TlsListener,
};
use exarch_common_runtime::{Lifecycle, Notify};
use exarch_common_wire::{
    agent::{CERTIFICATE_PATH, Challenge, RenewCertificate, RenewedCertificate, SessionOpened},
    names::{self, ALPN_AGENT},
};
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn tenant(world: &World) -> (Actor<'_>, ClusterId) {
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    (admin, cluster)
}

async fn audit(admin: &Actor<'_>, outcome: &str) -> Vec<Value> {
    let path = format!("/v1/audit?action=agent.renew-certificate&outcome={outcome}");
    admin.get(&path).await.expect(200)["items"].as_array().unwrap().clone()
}

fn csr(key: &SigningKey) -> RenewCertificate {
    RenewCertificate {
        csr: B64.encode(pki::request(key).unwrap()),
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_with_both_factors_and_no_lease_is_lost_on_the_way() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let volume = admin.resource(cluster, "v1").await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    let ask = json!({ "resource": volume, "actions": ["start"], "nonce": "n", "wait_ms": 0 });
    let granted = agent.post(&world.app, "/agent/v1/leases", &ask).await.expect(200);
    let held = json!({ "leases": [{ "lease": granted["lease"], "resource": volume, "fence": granted["fence"] }] });
    let verdict = async |agent: &TestAgent| {
        let answer = agent.post(&world.app, "/agent/v1/leases/renew", &held).await;
        answer.expect(200)["verdicts"][0].clone()
    };
    assert_eq!(verdict(&agent).await, "renewed");

    world.clock.advance(Duration::from_secs(60));
    let before = agent.certificate.clone();
    let renewed = agent.renew(&world.app).await.expect(200);
    // the old certificate, the old connection and the session on it go on until the agent is ready
    assert_eq!(verdict(&agent).await, "renewed");
    agent.shows(&renewed);
    let after = agent.certificate.clone();
    assert_eq!(
        (after.identity(), &after.public_key),
        (before.identity(), &before.public_key)
    );
    assert!(after.not_after > before.not_after);
    // a token is worth nothing beside another certificate than its own
    agent.heartbeat(&world.app).await.problem(401, "unauthenticated");
    agent.open(&world.app).await;
    assert_eq!(verdict(&agent).await, "renewed");

    let rows = audit(&admin, "ok").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["actor"]["kind"], &rows[0]["before"]["expired"]),
        (&json!("agent"), &json!(false))
    );
    let shown = admin
        .get(&format!("/v1/agents/{}", agent.enrolled.agent))
        .await
        .expect(200);
    let until = shown["certificate_until"].as_str().unwrap();
    let until = OffsetDateTime::parse(until, &time::format_description::well_known::Rfc3339).unwrap();
    assert_eq!(until.unix_timestamp(), after.not_after.unix_timestamp());
}

#[tokio::test]
async fn a_renewal_whose_answer_was_lost_is_asked_for_again() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    agent.renew(&world.app).await.expect(200);
    agent.heartbeat(&world.app).await.expect(204);
    let second = agent.renew(&world.app).await.expect(200);
    agent.shows(&second);
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
}

#[tokio::test]
async fn in_time_a_certificate_alone_renews_nothing_and_neither_does_another_key() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let other = TestAgent::new(&world, &admin, cluster, "edge-2", 2).await;
    agent.renew(&world.app).await.problem(401, "unauthenticated");
    agent.open(&world.app).await;
    for another in [
        key().0,
        SigningKey::from_pkcs8(Algorithm::Es384, other.key.pkcs8()).unwrap(),
    ] {
        let refused = agent.post(&world.app, CERTIFICATE_PATH, &csr(&another)).await;
        refused.problem(422, "another-key");
    }
    let body = json!({ "csr": "AAAA" });
    let refused = agent.post(&world.app, CERTIFICATE_PATH, &body).await;
    refused.problem(422, "signing-request-refused");
    assert_eq!(audit(&admin, "denied").await.len(), 2);
    assert!(audit(&admin, "ok").await.is_empty());
}

#[tokio::test]
async fn after_its_end_a_certificate_can_be_renewed_and_do_nothing_else() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let volume = admin.resource(cluster, "v1").await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    world.clock.advance(7 * DAY + 45 * DAY);
    for (path, body) in [
        ("/agent/v1/session/challenge", json!({})),
        ("/agent/v1/session", json!({})),
        ("/agent/v1/heartbeat", json!({})),
        ("/agent/v1/leases", json!({ "resource": volume })),
        ("/agent/v1/leases/renew", json!({ "leases": [] })),
        ("/agent/v1/assignments/status", json!({})),
    ] {
        agent
            .post(&world.app, path, &body)
            .await
            .problem(401, "certificate-expired");
    }
    agent
        .post(&world.app, CERTIFICATE_PATH, &csr(&key().0))
        .await
        .problem(422, "another-key");
    let renewed = agent.renew(&world.app).await.expect(200);
    let rows = audit(&admin, "ok").await;
    assert_eq!((rows.len(), &rows[0]["before"]["expired"]), (1, &json!(true)));
    // what it kept of its chain before it slept is still good
    agent.shows(&renewed);
    agent.token.clear();
    agent.open(&world.app).await;
    agent.heartbeat(&world.app).await.expect(204);
}

#[tokio::test]
async fn ninety_days_after_its_end_a_certificate_renews_nothing() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    world.clock.advance(97 * DAY - Duration::from_secs(1));
    agent.renew(&world.app).await.expect(200);
    world.clock.advance(Duration::from_secs(60));
    agent.renew(&world.app).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn from_an_agent_that_is_out_no_certificate_is_renewed_in_time_or_after_it() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    let path = format!("/v1/agents/{}/revoke", agent.enrolled.agent);
    admin.post(&path, json!({})).await.expect(200);
    agent.renew(&world.app).await.problem(401, "unauthenticated");
    world.clock.advance(10 * DAY);
    agent.renew(&world.app).await.problem(403, "agent-not-active");
    assert_eq!(audit(&admin, "denied").await.len(), 1);
    assert!(audit(&admin, "ok").await.is_empty());
}

#[tokio::test]
async fn the_sixty_first_renewal_of_a_minute_is_refused_before_anything_is_looked_at() {
    let world = World::new().await;
    let (admin, cluster) = tenant(&world).await;
    let agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    let mut limited = None;
    for _ in 0..70 {
        let answer = agent.renew(&world.app).await;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
        answer.problem(401, "unauthenticated");
    }
    let limited = limited.expect("never limited");
    assert!(limited.headers.contains_key("retry-after"));
    // other routes of the agent have counts of their own
    agent.challenge(&world.app).await;
}

/// A listener of `app`, and its address.
async fn listening(app: &App, life: &Lifecycle) -> String {
    exarch_common_crypto::init().unwrap();
    let listener = TlsListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    serve_agents(app, listener, life).unwrap();
    url
}

fn client(url: &str, ca: &[u8], identity: &Identity) -> ApiClient {
    let config = tls::client_config(&[ca.to_vec()], Some(identity), &[ALPN_AGENT]).unwrap();
    ApiClient::new(url, ClientTls::Private(Box::new(config))).unwrap()
}

fn slug<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> String {
    match answer.expect_err("a refusal") {
        ClientError::Problem(p) => p.document.slug().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Everything over real connections: gateway and agent were down for 52 days, and the agent comes back unaided.
#[tokio::test]
async fn an_agent_that_slept_forty_five_days_past_its_certificates_end_comes_back_unaided() {
    let world = World::begun(Ambient::system().now() - 52 * DAY).await;
    let (admin, cluster) = tenant(&world).await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    world.clock.advance(52 * DAY);
    let life = Lifecycle::new(Notify::default());
    let url = listening(&world.app, &life).await;
    let ca = world.app.secrets.agent_ca().der().to_vec();

    let late = client(&url, &ca, &agent.identity());
    assert_eq!(
        slug(late.post::<Challenge>("/agent/v1/session/challenge", &json!({})).await),
        "certificate-expired"
    );
    let renewed: RenewedCertificate = late.post(CERTIFICATE_PATH, &csr(&agent.key)).await.unwrap();
    agent.shows(&json!(renewed));
    let again = client(&url, &ca, &agent.identity());
    let challenge: Challenge = again.post("/agent/v1/session/challenge", &json!({})).await.unwrap();
    let opened: SessionOpened = again
        .post("/agent/v1/session", &agent.opening(&challenge.challenge))
        .await
        .unwrap();
    let again = again.bearer(SecretString::from(opened.token));
    world.app.instances.has_read(world.app.ambient.boot());
    let _: Value = again
        .post("/agent/v1/leases/renew", &json!({ "leases": [] }))
        .await
        .unwrap();
    life.stop().cancel();
}

#[tokio::test]
async fn a_handshake_is_completed_by_the_authority_before_this_one_and_by_no_other_and_not_for_ever() {
    let world = World::begun(Ambient::system().now() - 100 * DAY).await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let old = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    world.clock.advance(50 * DAY);
    world.alter(tenant, |_| {});
    let agent = TestAgent::new(&world, &admin, cluster, "edge-2", 2).await;
    let before = world.app.secrets.agent_ca().der().to_vec();
    world.clock.advance(50 * DAY);
    world.next_agent_ca().await;
    let replica = world.replica().await;
    let ca = replica.secrets.agent_ca().der().to_vec();
    assert_ne!(ca, before);
    let life = Lifecycle::new(Notify::default());
    let url = listening(&replica, &life).await;

    let renew = async |identity: &Identity, key: &SigningKey| {
        let renewing = client(&url, &ca, identity);
        renewing.post::<RenewedCertificate>(CERTIFICATE_PATH, &csr(key)).await
    };
    let renewed = renew(&agent.identity(), &agent.key).await.unwrap();
    let renewed = B64.decode(&renewed.certificate).unwrap();
    assert_eq!(Peer::read(&renewed).unwrap().identity(), agent.certificate.identity());
    tls::check_client(std::slice::from_ref(&ca), &renewed, Ambient::system().now()).unwrap();

    // one that ended 93 days ago, and one of an authority that is nobody's
    let refused = renew(&old.identity(), &old.key).await;
    assert!(matches!(refused, Err(ClientError::Unreachable { .. })), "{refused:?}");
    let past = Ambient::manual(Ambient::system().now() - 20 * DAY, 9).0;
    let own = key().0;
    let foreign = Ca::create(&past, "elsewhere", &own, time::Duration::days(100)).unwrap();
    let uri = names::agent_uri(world.app.region.id, agent.enrolled.agent);
    let csr = pki::request(&agent.key).unwrap();
    let issued = foreign
        .issue_client(&past, &csr, &uri, time::Duration::days(7))
        .unwrap();
    let identity = Identity {
        chain: vec![issued.der],
        ..agent.identity()
    };
    let refused = renew(&identity, &agent.key).await;
    assert!(matches!(refused, Err(ClientError::Unreachable { .. })), "{refused:?}");
    life.stop().cancel();
}
