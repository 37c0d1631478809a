use crate::tests::{Answered, Gateway, World, gateway_key};
use axum::http::{Method, StatusCode};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::Ambient;
use exarch_common_wire::{
    federation::paths,
    names,
    service::{self, About},
};
use serde_json::Value;

const BODY: &[u8] = br#"{"fingerprint":"sha256:abababababababababababababababababababababababababababababababab"}"#;

/// The 401 without what differs by request.
fn refusal(answer: &Answered) -> Value {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    let mut body = answer.json();
    assert!(body["request_id"].take().is_string());
    body
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_the_answer_is_the_same_and_nothing_is_done() {
    let world = World::new().await;
    let (gateway, other) = (world.region("eu-north").await, world.region("us-east").await);
    let (up, elsewhere, beside) = (gateway.up().await, other.up().await, gateway.up().await);
    let (post, path) = (Method::POST, paths::AGENT_CA);
    let from = names::region(gateway.id);
    let about = About {
        from: &from,
        to: names::GLOBAL,
        method: "POST",
        path,
        body: BODY,
        exporter: up.client.peer().exporter().unwrap(),
    };
    let ambient = Ambient::system();
    let sign = |key, about: &About<'_>| service::request(&ambient, key, about).0;
    let key = gateway_key(&gateway.joined.up);
    let good = sign(&key, &about);

    let mut answers = Vec::new();
    let mut tried = async |what: &str, method: &Method, path: &str, body: &[u8], token: &str| {
        let answer = up.ask_with(method.clone(), path, body, token, None).await;
        answers.push((what.to_owned(), refusal(&answer)));
    };
    let with = |change: fn(&mut String)| {
        let mut token = good.clone();
        change(&mut token);
        token
    };
    tried("body", &post, path, &BODY.replace_last(), &good).await;
    tried("path", &post, "/federation/v1/certificate", BODY, &good).await;
    tried("query", &post, "/federation/v1/agent-ca?x=1", BODY, &good).await;
    tried("method", &Method::GET, paths::PASSPORT, BODY, &good).await;
    tried("shortened MAC", &post, path, BODY, &with(|t| t.truncate(t.len() - 8))).await;
    tried(
        "no MAC",
        &post,
        path,
        BODY,
        &with(|t| t.truncate(t.rfind('.').unwrap() + 1)),
    )
    .await;
    tried("nothing", &post, path, BODY, "").await;

    let down = gateway_key(&gateway.joined.down);
    tried("the other direction's secret", &post, path, BODY, &sign(&down, &about)).await;
    let mut mixed = down.clone();
    mixed.kid = key.kid.clone();
    tried("its secret under this key id", &post, path, BODY, &sign(&mixed, &about)).await;
    let theirs = gateway_key(&other.joined.up);
    tried("another region's secret", &post, path, BODY, &sign(&theirs, &about)).await;
    let them = names::region(other.id);
    tried(
        "another region's name",
        &post,
        path,
        BODY,
        &sign(&key, &About { from: &them, ..about }),
    )
    .await;
    tried(
        "another audience",
        &post,
        path,
        BODY,
        &sign(&key, &About { to: &them, ..about }),
    )
    .await;
    let turned = About {
        from: names::GLOBAL,
        to: &from,
        ..about
    };
    tried("the other direction", &post, path, BODY, &sign(&key, &turned)).await;
    let answer = service::answer(&ambient, &key, &about, "jti", 204);
    tried("an answer", &post, path, BODY, &answer).await;
    let exporter = beside.client.peer().exporter().unwrap();
    let replayed = sign(&key, &About { exporter, ..about });
    tried("another connection's token", &post, path, BODY, &replayed).await;

    // A whole and genuine request of one region, on the connection of another.
    let (token, jti) = elsewhere.token(&post, path, BODY);
    tried("another region's request", &post, path, BODY, &token).await;

    let (_, first) = &answers[0];
    for (what, answer) in &answers {
        assert_eq!(answer, first, "{what}");
    }
    assert!(
        world.audit("region.report-agent-ca").await.is_empty(),
        "nothing was done"
    );
    assert!(world.spent().await.is_empty(), "not even a number was spent");

    // And the good ones are good.
    assert_eq!(
        up.ask_with(post.clone(), path, BODY, &good, Some(&jti_of(&good)))
            .await
            .status,
        204
    );
    assert_eq!(
        elsewhere.ask_with(post, path, BODY, &token, Some(&jti)).await.status,
        204
    );
}

trait ReplaceLast {
    fn replace_last(&self) -> Vec<u8>;
}

impl ReplaceLast for [u8] {
    /// The same but for one letter of the fingerprint.
    fn replace_last(&self) -> Vec<u8> {
        let mut out = self.to_vec();
        let at = out.len() - 3;
        out[at] = b'c';
        out
    }
}

fn jti_of(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&B64.decode(claims).unwrap()).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_works_once() {
    let world = World::new().await;
    let up = world.region("eu-north").await.up().await;
    let (token, jti) = up.token(&Method::POST, paths::AGENT_CA, BODY);
    let again = || up.ask_with(Method::POST, paths::AGENT_CA, BODY, &token, Some(&jti));
    assert_eq!(again().await.status, StatusCode::NO_CONTENT);
    let refused = again().await;
    assert_eq!(refusal(&refused)["type"], "urn:exarch:problem:service-token-refused");
    let (token, jti) = up.token(&Method::GET, paths::PASSPORT, b"");
    let again = || up.ask_with(Method::GET, paths::PASSPORT, b"", &token, Some(&jti));
    assert_eq!(again().await.status, StatusCode::OK);
    assert_eq!(again().await.status, StatusCode::UNAUTHORIZED, "a poll's, too");
    assert_eq!(world.spent().await.len(), 1, "only the effect is written down");
}

#[tokio::test]
async fn an_effect_spends_its_number_in_the_database_whichever_replica_has_it() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let up = gateway.up().await;
    let (token, jti) = up.token(&Method::POST, paths::AGENT_CA, BODY);
    // Another replica was faster.
    world.spend(gateway.id, &jti).await;
    let late = up
        .ask_with(Method::POST, paths::AGENT_CA, BODY, &token, Some(&jti))
        .await;
    refusal(&late);
    assert!(
        world.audit("region.report-agent-ca").await.is_empty(),
        "the effect went with it"
    );
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_in_an_answer_that_can_be_believed() {
    let world = World::new().await;
    let mut gateway = world.region("eu-north").await;
    for (off, told) in [(-100, true), (40, true), (-20, false), (20, false)] {
        let (ambient, _) = Ambient::manual(
            world.app.ambient.now() + time::Duration::seconds(off),
            (1000 + off).unsigned_abs(),
        );
        gateway.ambient = ambient;
        let answer = gateway.up().await.ask(Method::POST, paths::AGENT_CA, BODY).await;
        if !told {
            assert_eq!(answer.status, StatusCode::NO_CONTENT, "{off}");
            continue;
        }
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::UNAUTHORIZED, "clock-skew"),
            "{off}"
        );
        assert!(answer.signed);
        let server = answer.json()["server_time"].as_i64().unwrap();
        assert!((server - world.app.ambient.now().unix_timestamp()).abs() < 5);
    }
}

#[tokio::test]
async fn a_refusal_of_a_genuine_request_is_signed_like_any_answer() {
    let world = World::new().await;
    let up = world.region("eu-north").await.up().await;
    for (path, status) in [
        ("/federation/v1/passport/sections/tenant/nobody", StatusCode::NOT_FOUND),
        ("/federation/v1/passport?have=x", StatusCode::BAD_REQUEST),
        ("/federation/v1/passport?hav=1.1", StatusCode::BAD_REQUEST),
    ] {
        let answer = up.get(path).await;
        assert_eq!((answer.status, answer.signed), (status, true), "{path}");
    }
    let garbled = up.ask(Method::POST, paths::ACKNOWLEDGE, b"{").await;
    assert_eq!((garbled.status, garbled.signed), (StatusCode::BAD_REQUEST, true));
}

#[tokio::test]
async fn a_region_that_is_removed_or_a_certificate_that_is_revoked_gets_nothing() {
    let world = World::new().await;
    let (gone, revoked): (Gateway, Gateway) = (world.region("eu-north").await, world.region("us-east").await);
    let (gone_up, revoked_up) = (gone.up().await, revoked.up().await);
    gone_up.poll(None).await;
    revoked_up.poll(None).await;
    world.set_lifecycle(gone.id, "removed").await;
    world.revoke_certificates(revoked.id).await;
    for up in [&gone_up, &revoked_up] {
        let (token, _) = up.token(&Method::GET, paths::PASSPORT, b"");
        refusal(&up.ask_with(Method::GET, paths::PASSPORT, b"", &token, None).await);
    }
}
