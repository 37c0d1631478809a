//! Access tokens: what is not exactly ours is 401, always the same one.
use super::world::{OWNER, PASSWORD, World};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_crypto::{
    jws,
    sign::{Algorithm, SigningKey},
};
use exarch_common_wire::{names, user_token};
use serde_json::{Value, json};
use std::time::Duration;

struct Forge {
    world: World,
    token: String,
    claims: Value,
    kid: String,
}

impl Forge {
    async fn new() -> Self {
        let world = World::new().await;
        let pair = world.pair(OWNER, PASSWORD).await;
        let token = pair["access_token"].as_str().unwrap().to_owned();
        let claims = B64.decode(token.split('.').nth(1).unwrap()).unwrap();
        let now = world.app.ambient.now();
        Self {
            kid: world.app.keys.signer(now).unwrap().kid(),
            claims: serde_json::from_slice(&claims).unwrap(),
            world,
            token,
        }
    }

    /// Signed by the real key.
    fn signed(&self, typ: &str, claims: &Value) -> String {
        let signer = self.world.app.keys.signer(self.world.app.ambient.now()).unwrap();
        jws::sign(&signer.key, typ, &self.kid, claims).unwrap()
    }

    fn with(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims.clone();
        change(&mut claims);
        self.signed(user_token::TYP, &claims)
    }

    async fn code(&self, token: &str) -> u16 {
        let answer = self.world.anyone().with_token(token).get("/v1/me").await;
        if answer.code == 401 {
            assert_eq!(answer.json()["type"], "urn:exarch:problem:unauthenticated");
        }
        answer.code
    }
}

#[tokio::test]
async fn a_token_is_good_as_it_was_made_and_with_every_character_changed_it_is_none() {
    let forge = Forge::new().await;
    assert_eq!(forge.code(&forge.token).await, 200);
    assert_eq!(forge.code(&forge.with(|_| {})).await, 200);
    for at in (0..forge.token.len()).step_by(7) {
        let mut bytes = forge.token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(forge.code(&String::from_utf8(bytes).unwrap()).await, 401, "at {at}");
    }
    for end in [0, 1, forge.token.len() - 1] {
        assert_eq!(forge.code(&forge.token[..end]).await, 401);
    }
}

#[tokio::test]
async fn another_audience_issuer_type_or_region_is_401() {
    let forge = Forge::new().await;
    let region = forge.world.app.ambient.id();
    let in_region = |claims: &mut Value| {
        claims["aud"] = json!(names::region(region));
        claims["rid"] = json!(region);
        claims["sxp"] = claims["exp"].clone();
        claims["ten_v"] = json!([1, 1]);
    };
    let forged = [
        forge.with(|c| c["aud"] = json!("exarch:elsewhere")),
        forge.with(|c| c["aud"] = json!([names::GLOBAL])),
        forge.with(|c| c["iss"] = json!("http://elsewhere")),
        forge.with(in_region),
        forge.with(|c| {
            in_region(c);
            c["aud"] = json!(names::GLOBAL);
        }),
        forge.signed("JWT", &forge.claims),
        forge.signed("exarch-continued+jwt", &forge.claims),
    ];
    for token in forged {
        assert_eq!(forge.code(&token).await, 401);
    }
}

#[tokio::test]
async fn times_that_are_past_future_or_no_numbers_are_401() {
    let forge = Forge::new().await;
    let now = forge.world.app.ambient.now().unix_timestamp();
    let forged = [
        forge.with(|c| c["exp"] = json!(now - 31)),
        forge.with(|c| c["exp"] = json!((now + 900).to_string())),
        forge.with(|c| drop(c.as_object_mut().unwrap().remove("exp"))),
        forge.with(|c| c["iat"] = json!(now + 60)),
        forge.with(|c| c["nbf"] = json!(now + 60)),
    ];
    for token in forged {
        assert_eq!(forge.code(&token).await, 401);
    }
    forge.world.clock.advance(Duration::from_secs(15 * 60 + 29));
    assert_eq!(forge.code(&forge.token).await, 200);
    forge.world.clock.advance(Duration::from_secs(1));
    assert_eq!(forge.code(&forge.token).await, 401);
}

#[tokio::test]
async fn no_algorithm_another_one_and_other_keys_are_401() {
    let forge = Forge::new().await;
    let part = |value: &Value| B64.encode(value.to_string());
    let header = |alg: &str| json!({"alg": alg, "typ": user_token::TYP, "kid": forge.kid});
    let public = forge
        .world
        .app
        .keys
        .verifier(&forge.kid, forge.world.app.ambient.now())
        .unwrap();
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let signature = forge.token.rsplit('.').next().unwrap();
    let forged = [
        format!("{}.{}.", part(&header("none")), part(&forge.claims)),
        format!("{}.{}.{signature}", part(&header("none")), part(&forge.claims)),
        jws::sign_hs256(public.raw(), user_token::TYP, &forge.kid, &forge.claims),
        jws::sign(&other, user_token::TYP, &forge.kid, &forge.claims).unwrap(),
        jws::sign(&other, user_token::TYP, "key_unknown", &forge.claims).unwrap(),
    ];
    for token in forged {
        assert_eq!(forge.code(&token).await, 401);
    }
}

#[tokio::test]
async fn roles_tenant_and_person_in_a_token_are_not_believed() {
    let forge = Forge::new().await;
    let (tenant, admin) = forge.world.tenant("north").await;
    let me = admin.get("/v1/me").await.ok();
    let forged = [
        forge.with(|c| c["tid"] = json!(tenant)),
        forge.with(|c| c["sub"] = me["user"]["id"].clone()),
        forge.with(|c| c["sid"] = me["session"]["id"].clone()),
    ];
    for token in forged {
        assert_eq!(forge.code(&token).await, 401);
    }
    let raised = forge.with(|c| c["roles"] = json!(["tenant-admin", "system-admin"]));
    let client = forge.world.anyone().with_token(&raised);
    let me = client.get("/v1/me").await.ok();
    assert_eq!((&me["roles"], &me["system"]), (&json!([]), &json!(["system-admin"])));
}

#[tokio::test]
async fn two_credentials_in_one_request_are_none() {
    let forge = Forge::new().await;
    let request = axum::http::Request::get("/v1/me")
        .header("authorization", format!("Bearer {}", forge.token))
        .header("authorization", format!("Bearer {}", forge.token))
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = tower::ServiceExt::oneshot(forge.world.router.clone(), request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn the_published_keys_verify_what_is_signed() {
    let forge = Forge::new().await;
    let keys = forge.world.anyone().get("/.well-known/jwks.json").await.ok();
    let key = &keys["keys"][0];
    assert_eq!(
        (&key["kid"], &key["alg"], &key["use"]),
        (&json!(forge.kid), &json!("ES256"), &json!("sig"))
    );
    assert!(key.get("d").is_none());
    let part = |name: &str| B64.decode(key[name].as_str().unwrap()).unwrap();
    let raw: Vec<u8> = [vec![4], part("x"), part("y")].concat();
    let public = exarch_common_crypto::sign::PublicKey::from_raw(Algorithm::Es256, &raw).unwrap();
    let read: Result<Value, _> = jws::verify(&forge.token, user_token::TYP, |_| Some(public));
    assert_eq!(read.unwrap(), forge.claims);
}
