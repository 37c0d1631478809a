use super::tunnel::answers;
use crate::tests::{Gateway, World, until};
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_crypto::{
    pki::{self, Peer},
    sign::{Algorithm, SigningKey},
};
use exarch_common_wire::{federation::Joined, names};
use serde_json::{Value, json};

fn csr() -> Vec<u8> {
    pki::request(&SigningKey::generate(Algorithm::Es384).unwrap()).unwrap()
}

/// A signing request with a key on P-256, signed by it: made once with the usual tool.
const P256: &str = include_str!("p256.csr");

fn kind(body: &Value) -> &str {
    body["type"]
        .as_str()
        .unwrap_or_default()
        .rsplit(':')
        .next()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_gateway_joins_with_its_token_and_becomes_the_region() {
    let world = World::new().await;
    let gateway: Gateway = world.region("eu-north").await;
    let joined: &Joined = &gateway.joined;
    assert_eq!((joined.slug.as_str(), joined.name.as_str()), ("eu-north", "eu-north"));
    assert_eq!(joined.issuer, "http://localhost:8440");
    assert_ne!(
        joined.up.secret, joined.down.secret,
        "each direction has a secret of its own"
    );
    let certificate = Peer::read(&B64.decode(&joined.certificate).unwrap()).unwrap();
    assert_eq!(certificate.identity(), Some(names::region_uri(gateway.id).as_str()));
    assert_eq!(certificate.public_key, gateway.key.public().raw());
    let days = (certificate.not_after - world.app.ambient.now()).whole_days();
    assert!((29..=30).contains(&days), "{days}");
    assert_eq!(world.lifecycle(gateway.id).await, "joining");
    assert_eq!(world.audit("region.join").await, [("ok".to_owned(), None)]);
    let kept = world.secrets_as_stored().await;
    for secret in [&joined.up.secret, &joined.down.secret] {
        let plain = B64.decode(secret).unwrap();
        assert!(
            kept.iter().all(|row| !row.windows(32).any(|w| w == plain)),
            "secrets lie sealed"
        );
    }
}

#[tokio::test]
async fn a_spent_join_token_is_refused_with_its_story() {
    let world = World::new().await;
    let (region, token) = world.register("eu-north").await;
    let (first, _) = world.try_join(&token, &csr()).await;
    assert_eq!(first, StatusCode::OK);
    let (second, body) = world.try_join(&token, &csr()).await;
    assert_eq!((second, kind(&body)), (StatusCode::CONFLICT, "join-token-used"));
    assert_eq!(body["used_from"], "127.0.0.1");
    let told = body["detail"].as_str().unwrap();
    assert!(told.contains(body["used_at"].as_str().unwrap()), "{told}");
    assert_eq!(world.lifecycle(region).await, "joining");
    let audit = world.audit("region.join").await;
    assert_eq!(audit.len(), 2);
    assert_eq!(audit[1].0, "denied");
    assert!(audit[1].1.as_ref().unwrap().contains("127.0.0.1"));
}

#[tokio::test]
async fn of_many_gateways_with_one_token_exactly_one_joins() {
    let world = World::new().await;
    let (_, token) = world.register("eu-north").await;
    let requests: Vec<_> = (0..8).map(|_| csr()).collect();
    let tries = requests.iter().map(|request| world.try_join(&token, request));
    let answers = futures_util::future::join_all(tries).await;
    let joined = answers.iter().filter(|(status, _)| *status == StatusCode::OK).count();
    assert_eq!(joined, 1, "{answers:?}");
    assert!(answers.iter().all(|(s, _)| [200, 409].contains(&s.as_u16())));
    assert_eq!(world.audit("region.join").await.len(), 8);
}

#[tokio::test]
async fn a_join_whose_answer_was_lost_is_answered_again_to_the_same_key_alone() {
    let world = World::new().await;
    let (region, token) = world.register("eu-north").await;
    let key = SigningKey::generate(Algorithm::Es384).unwrap();
    let request = || pki::request(&key).unwrap();
    let (status, lost) = world.try_join(&token, &request()).await;
    assert_eq!(status, StatusCode::OK);
    let used = async |token: &str, csr: &[u8]| {
        let (status, body) = world.try_join(token, csr).await;
        assert_eq!((status, kind(&body)), (StatusCode::CONFLICT, "join-token-used"));
    };
    used(&token, &csr()).await;
    used(&token, b"no request at all").await;
    let (status, body) = world.try_join(&token, &request()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    for same in ["region", "slug", "up", "down", "authority", "federation_ca"] {
        assert_eq!(body[same], lost[same], "{same}");
    }
    let joined: Joined = serde_json::from_value(body).unwrap();
    let certificate = Peer::read(&B64.decode(&joined.certificate).unwrap()).unwrap();
    assert_eq!(certificate.public_key, key.public().raw());
    assert_eq!(world.lifecycle(region).await, "joining");
    assert_eq!(world.secrets_as_stored().await.len(), 2, "nothing was made anew");
    let outcomes: Vec<_> = world.audit("region.join").await.into_iter().map(|(o, _)| o).collect();
    assert_eq!(outcomes, ["ok", "denied", "denied", "ok"]);
    // It heard the answer, and says so by using it: from now on the token has only its story.
    let once_more = request();
    let gateway = Gateway::new(world.addr, key, joined);
    gateway.up().await.poll(None).await;
    used(&token, &once_more).await;
}

#[tokio::test]
async fn a_lost_answer_is_not_given_again_when_it_is_long_ago() {
    let world = World::new().await;
    let (_, token) = world.register("eu-north").await;
    let request = csr();
    assert_eq!(world.try_join(&token, &request).await.0, StatusCode::OK);
    world.age_join_tokens(14).await;
    assert_eq!(world.try_join(&token, &request).await.0, StatusCode::OK);
    world.age_join_tokens(1).await;
    let (status, body) = world.try_join(&token, &request).await;
    assert_eq!((status, kind(&body)), (StatusCode::CONFLICT, "join-token-used"));
}

#[tokio::test]
async fn unknown_expired_and_replaced_tokens_are_refused_and_audited() {
    let world = World::new().await;
    let (region, token) = world.register("eu-north").await;
    let never_made = format!("exj_{}", B64.encode([7; 32]));
    for stranger in [never_made.as_str(), "", "exj_short", &token[..token.len() - 1]] {
        let (status, body) = world.try_join(stranger, &csr()).await;
        assert_eq!(
            (status, kind(&body)),
            (StatusCode::UNAUTHORIZED, "join-token-unknown"),
            "{stranger:?}"
        );
    }
    let staff = world.staff().await;
    let newer = staff.post("/v1/regions/eu-north/join-token", json!({})).await;
    assert_eq!(newer.status, 201, "{newer:?}");
    let (status, body) = world.try_join(&token, &csr()).await;
    assert_eq!((status, kind(&body)), (StatusCode::GONE, "join-token-replaced"));
    world.expire_join_tokens().await;
    let (status, body) = world.try_join(newer.body["token"].as_str().unwrap(), &csr()).await;
    assert_eq!((status, kind(&body)), (StatusCode::GONE, "join-token-expired"));
    assert_eq!(world.lifecycle(region).await, "registered");
    let audit = world.audit("region.join").await;
    assert_eq!(audit.len(), 6);
    assert!(
        audit
            .iter()
            .all(|(outcome, reason)| outcome == "denied" && reason.is_some())
    );
}

#[tokio::test]
async fn a_bad_signing_request_is_refused_and_leaves_the_token_unspent() {
    let world = World::new().await;
    let (region, token) = world.register("eu-north").await;
    let p256 = B64.decode(P256.trim()).unwrap();
    assert!(pki::check_request(&p256).unwrap_err().to_string().contains("P-384"));
    let mut forged = csr();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for bad in [p256.as_slice(), &forged, b"no request at all", b""] {
        let (status, body) = world.try_join(&token, bad).await;
        assert_eq!(
            (status, kind(&body)),
            (StatusCode::UNPROCESSABLE_ENTITY, "signing-request-refused")
        );
    }
    let old = json!({"token": token, "csr": B64.encode(csr()), "protocol": 0});
    let (status, body) = world.join_with(&old).await;
    assert_eq!(
        (status, kind(&body)),
        (StatusCode::UNPROCESSABLE_ENTITY, "protocol-too-old")
    );
    assert_eq!(world.lifecycle(region).await, "registered");
    assert_eq!(world.audit("region.join").await.len(), 5);
    let (status, _) = world.try_join(&token, &csr()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_second_gateway_of_a_region_is_refused_even_with_a_fresh_token() {
    let world = World::new().await;
    let (region, token) = world.register("eu-north").await;
    let staff = world.staff().await;
    assert_eq!(world.try_join(&token, &csr()).await.0, StatusCode::OK);
    let another = staff.post("/v1/regions/eu-north/join-token", json!({})).await;
    assert_eq!((another.status, another.problem()), (409, "region-already-joined"));
    // Made at the moment in which the first one joined.
    let fresh = world.insert_join_token(region).await;
    let (status, body) = world.try_join(&fresh, &csr()).await;
    assert_eq!((status, kind(&body)), (StatusCode::CONFLICT, "region-already-joined"));
}

#[tokio::test]
async fn a_flood_of_attempts_is_slowed_before_it_fills_the_audit() {
    let world = World::new().await;
    let (pin, request) = (world.app.keys.federation_ca().pin(), csr());
    let mut last = StatusCode::OK;
    for _ in 0..40 {
        last = world.try_join("exj_no", &request).await.0;
        if last == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS, "{pin}");
    assert!(world.audit("region.join").await.len() <= 31);
}

#[tokio::test]
async fn a_certificate_is_renewed_for_its_own_key_and_for_no_other() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let up = gateway.up().await;
    let path = "/federation/v1/certificate";
    let other = up.post(path, &json!({"csr": B64.encode(csr())})).await;
    assert_eq!(
        (other.status, other.problem().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "another-key")
    );
    assert!(other.signed, "refusals are signed as well");
    let mine = json!({"csr": B64.encode(pki::request(&gateway.key).unwrap())});
    let renewed = up.post(path, &mine).await;
    assert_eq!(renewed.status, StatusCode::OK);
    let der = B64.decode(renewed.json()["certificate"].as_str().unwrap()).unwrap();
    let certificate = Peer::read(&der).unwrap();
    assert_eq!(certificate.identity(), Some(names::region_uri(gateway.id).as_str()));
    assert_eq!(world.audit("region.renew-certificate").await.len(), 1);
    // The new one is in force beside the old one.
    let renewed = gateway.with_certificate(&der);
    for gateway in [&renewed, &gateway] {
        gateway.up().await.poll(None).await;
    }
}

#[tokio::test]
async fn a_region_that_slept_past_its_certificates_end_can_renew_it_and_do_nothing_else() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let late = world.expired(&gateway, 45).await;
    let up = late.up().await;
    let poll = up.get("/federation/v1/passport").await;
    assert_eq!(
        (poll.status, poll.problem().as_str()),
        (StatusCode::UNAUTHORIZED, "certificate-expired")
    );
    assert!(poll.signed, "the region can believe it");
    let body = json!({"csr": B64.encode(pki::request(&late.key).unwrap())});
    let renewed = up.post("/federation/v1/certificate", &body).await;
    assert_eq!(renewed.status, StatusCode::OK);
    let der = B64.decode(renewed.json()["certificate"].as_str().unwrap()).unwrap();
    late.with_certificate(&der).up().await.poll(None).await;
    assert_eq!(world.audit("region.renew-certificate").await.len(), 1);
    // It is called on a certificate in force alone, and after 90 days there is no way but to join anew.
    let refused = late.down().await;
    until("the connection has ended", || async { refused.connections.open() == 0 }).await;
    assert!(world.app.federation.tunnels.of(gateway.id).is_empty());
    let too_late = world.expired(&gateway, 91).await;
    assert!(!answers(too_late.try_up(Some(&too_late.identity())).await).await);
}

#[tokio::test]
async fn a_region_reports_the_fingerprint_of_its_agents_authority() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let up = gateway.up().await;
    let path = "/federation/v1/agent-ca";
    let pin = format!("sha256:{}", "ab".repeat(32));
    for _ in 0..2 {
        let told = up.post(path, &json!({"fingerprint": pin})).await;
        assert_eq!(told.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(
        world.audit("region.report-agent-ca").await.len(),
        1,
        "the same again is no change"
    );
    let bad = up.post(path, &json!({"fingerprint": "ab"})).await;
    assert_eq!((bad.status, bad.signed), (StatusCode::UNPROCESSABLE_ENTITY, true));
}
