//! Tokens that let somebody in once: join tokens of regions, bootstrap tokens of agents.
use exarch_tests_federation::{ADA, EU, Federation, OWNER, US, peers, program};
use serde_json::{Value, json};
use std::{process::Stdio, sync::Arc};
use tokio::{io::AsyncWriteExt, process::Command};

/// Registers a region of which nobody has heard; its join token.
pub async fn join_token(federation: &Federation, slug: &str) -> String {
    let owner = federation.person(OWNER).await;
    let body = json!({"slug": slug, "name": "A region for a test", "url": "http://127.0.0.1:1"});
    let answer = owner.post("/v1/regions", &body).await.ok();
    let token = answer.pointer("/join_token/token").or(answer.get("token"));
    token.unwrap().as_str().unwrap().to_owned()
}

/// A bootstrap token of Ada's cluster, with its id.
pub async fn bootstrap_token(federation: &Federation, slug: &str, name: &str) -> (String, String) {
    let body = json!({"cluster_id": federation.cluster(slug).await, "name": name, "auto": true});
    let answer = federation
        .person_in(ADA, slug)
        .await
        .post("/v1/bootstrap-tokens", &body)
        .await
        .ok();
    let text = |member: &str| answer[member].as_str().unwrap().to_owned();
    (text("token"), text("id"))
}

async fn lifecycle(federation: &Federation, slug: &str) -> Value {
    let owner = federation.person(OWNER).await;
    owner.get(&format!("/v1/regions/{slug}")).await.ok()["lifecycle"].clone()
}

/// One of our programs with something on its standard input; what it said on standard error when it refused.
async fn refusal(name: &str, args: &[&str], input: &str) -> String {
    let mut child = Command::new(program(name))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(!said.contains(input), "the token is told: {said}");
    let line = said.lines().last().unwrap_or_default().to_owned();
    assert!(line.starts_with(&format!("{name}: ")), "{said}");
    line
}

pub async fn a_join_token_lets_one_gateway_in_and_then_tells_its_story(federation: Arc<Federation>) {
    let token = join_token(&federation, "once-only").await;
    federation.join(&token).await.ok();
    assert_eq!(lifecycle(&federation, "once-only").await, "joining");
    let story = federation.join(&token).await.refused(409, "join-token-used");
    assert!(story["used_from"].as_str().unwrap().starts_with("127."), "{story}");
    assert!(
        story["detail"]
            .as_str()
            .unwrap()
            .contains(story["used_at"].as_str().unwrap())
    );
    // A new one is not made for a region that has joined.
    let owner = federation.person(OWNER).await;
    let again = owner.post("/v1/regions/once-only/join-token", &json!({})).await;
    again.refused(409, "region-already-joined");
    let taken = json!({"slug": "once-only", "name": "Again", "url": "http://127.0.0.1:1"});
    owner.post("/v1/regions", &taken).await.problem(409);
}

pub async fn a_join_whose_answer_was_lost_is_answered_again_to_its_own_key(federation: Arc<Federation>) {
    let token = join_token(&federation, "lost-answer").await;
    let (_, csr) = peers::signing_request();
    let lost = federation.join_with(&token, csr.clone()).await.ok();
    federation.join(&token).await.refused(409, "join-token-used");
    let again = federation.join_with(&token, csr).await.ok();
    assert_eq!((&again["region"], &again["up"]), (&lost["region"], &lost["up"]));
    assert_eq!(lifecycle(&federation, "lost-answer").await, "joining");
}

pub async fn an_expired_join_token_and_a_wrong_curve_are_refused_by_name(federation: Arc<Federation>) {
    let token = join_token(&federation, "too-late").await;
    let curve = federation
        .join_with(&token, peers::ON_P256.to_owned())
        .await
        .refused(422, "signing-request-refused");
    assert!(curve["detail"].as_str().unwrap().contains("P-384"), "{curve}");
    assert_eq!(lifecycle(&federation, "too-late").await, "registered");
    let owner = federation.person(OWNER).await;
    let newer = owner.post("/v1/regions/too-late/join-token", &json!({})).await.ok();
    federation.join(&token).await.refused(410, "join-token-replaced");
    let mut db = federation.database("global").await;
    let over = "UPDATE gc.join_token SET expires_at = now() - interval '1 second', created_at = now() - interval '1 hour' \
                WHERE used_at IS NULL AND superseded_at IS NULL \
                AND region_id = (SELECT id FROM gc.region WHERE slug = 'too-late')";
    assert_eq!(sqlx::query(over).execute(&mut db).await.unwrap().rows_affected(), 1);
    let newer = newer["token"].as_str().unwrap();
    federation.join(newer).await.refused(410, "join-token-expired");
    assert_eq!(lifecycle(&federation, "too-late").await, "registered");
}

pub async fn a_gateway_that_has_joined_does_not_spend_another_regions_token(federation: Arc<Federation>) {
    let token = join_token(&federation, "not-yours").await;
    let settings = federation.place(EU).settings();
    let (url, pin) = (federation.layout().federation_url(), federation_pin(&federation));
    let args = [
        "join",
        "--global",
        &url,
        "--ca-pin",
        &pin,
        "--token-file",
        "-",
        "--config",
    ];
    let args: Vec<&str> = args.into_iter().chain(settings.to_str()).collect();
    let said = refusal("exarch-gateway", &args, &token).await;
    assert!(said.contains("has joined already") && said.contains(EU), "{said}");
    assert_eq!(lifecycle(&federation, "not-yours").await, "registered");
    federation.join(&token).await.ok();
    federation.person_in(ADA, EU).await.get("/v1/clusters").await.ok();
}

fn federation_pin(federation: &Federation) -> String {
    exarch_common_crypto::pki::Pin::of(&federation.authority("global")).to_string()
}

pub async fn a_bootstrap_token_lets_one_agent_in_and_then_tells_its_story(federation: Arc<Federation>) {
    let (token, _) = bootstrap_token(&federation, EU, "once").await;
    let curve = federation.enrol_with(EU, &token, peers::ON_P256.to_owned(), None).await;
    curve.refused(422, "signing-request-refused");
    let first = federation.enrol(EU, &token).await.1.ok();
    let story = federation
        .enrol(EU, &token)
        .await
        .1
        .refused(410, "bootstrap-token-spent");
    assert_eq!(story["agent"], first["agent"]);
    let from = story["used_from"].as_str().unwrap();
    // The program says so, too, and keeps no identity.
    let dir = tempfile::tempdir().unwrap();
    let gateway = format!("https://127.0.0.1:{}", federation.place(EU).inner);
    let pin = exarch_common_crypto::pki::Pin::of(&federation.authority(EU)).to_string();
    let state = dir.path().to_str().unwrap();
    let args = [
        "enrol",
        "--gateway",
        &gateway,
        "--ca-pin",
        &pin,
        "--token-file",
        "-",
        "--state",
        state,
    ];
    let said = refusal("exarch-agent", &args, &token).await;
    assert!(said.contains("was used at") && said.contains(from), "{said}");
    assert!(!dir.path().join("identity.json").exists());
    // Nor does it give a token to a gateway that is not the one of the pin.
    let other = exarch_common_crypto::pki::Pin::of(&federation.authority(US)).to_string();
    let (token, id) = bootstrap_token(&federation, EU, "not-given").await;
    let args = [
        "enrol",
        "--gateway",
        &gateway,
        "--ca-pin",
        &other,
        "--token-file",
        "-",
        "--state",
        state,
    ];
    refusal("exarch-agent", &args, &token).await;
    let ada = federation.person_in(ADA, EU).await;
    assert_eq!(
        ada.delete(&format!("/v1/bootstrap-tokens/{id}")).await.status,
        204,
        "it is still unspent"
    );
}

pub async fn a_bootstrap_token_that_is_over_taken_back_or_another_regions_lets_nobody_in(federation: Arc<Federation>) {
    let ada = federation.person_in(ADA, EU).await;
    let (back, id) = bootstrap_token(&federation, EU, "taken-back").await;
    ada.delete(&format!("/v1/bootstrap-tokens/{id}")).await.ok();
    let (over, id) = bootstrap_token(&federation, EU, "over").await;
    let id = id.split_once('_').unwrap().1;
    let mut db = federation.database(EU).await;
    let sql =
        "UPDATE gw.bootstrap_token SET expires_at = now() - interval '1 second' WHERE replace(id::text, '-', '') = $1";
    assert_eq!(
        sqlx::query(sql)
            .bind(id)
            .execute(&mut db)
            .await
            .unwrap()
            .rows_affected(),
        1
    );
    let (elsewhere, _) = bootstrap_token(&federation, US, "elsewhere").await;
    let join = join_token(&federation, "wrong-door").await;
    for (token, status, slug) in [
        (&*back, 410, "bootstrap-token-revoked"),
        (&over, 410, "bootstrap-token-expired"),
        (&elsewhere, 401, "bootstrap-token-unknown"),
        (&join, 401, "bootstrap-token-unknown"),
        ("", 401, "bootstrap-token-unknown"),
    ] {
        federation.enrol(EU, token).await.1.refused(status, slug);
    }
    federation.join(&elsewhere).await.refused(401, "join-token-unknown");
    // Both are still good where they belong.
    federation.enrol(US, &elsewhere).await.1.ok();
    let agents = ada.get("/v1/agents?limit=100").await.ok();
    for agent in agents["items"].as_array().unwrap() {
        let name = agent["name"].as_str().unwrap();
        assert!(!["taken-back", "over", "elsewhere"].contains(&name), "{agent}");
    }
    // A request that names another agent than the token does.
    let (bound, _) = bootstrap_token(&federation, EU, "bound").await;
    let (_, csr) = peers::signing_request();
    let answer = federation.enrol_with(EU, &bound, csr, Some("another")).await;
    answer.refused(422, "invalid-value");
}
