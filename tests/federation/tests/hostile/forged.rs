//! Tokens of people that are not exactly what the global made: by an outsider, and by a thief of its key who gets one thing
//! wrong.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::Ambient;
use exarch_common_crypto::{
    jws,
    sign::{Algorithm, SigningKey},
};
use exarch_common_wire::{agent::SESSION_TYP, names, user_token::TYP};
use exarch_tests_federation::{ADA, Client, EU, Federation, US};
use serde_json::{Value, json};
use std::sync::Arc;

fn claims(token: &str) -> Value {
    serde_json::from_slice(&B64.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// Every way of getting it wrong, each with a name; `foreign` is a good token for another audience.
async fn forgeries(federation: &Federation, good: &str, foreign: &str) -> Vec<(String, String)> {
    let ambient = Ambient::system();
    let now = ambient.now().unix_timestamp();
    let keys = federation.keys().await;
    let signer = keys.signer(ambient.now()).unwrap();
    let kid = signer.kid();
    let honest = claims(good);
    let sign = |claims: &Value| jws::sign(&signer.key, TYP, &kid, claims).unwrap();
    assert_eq!(claims(&sign(&honest)), honest);
    let mut forged: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, token: String| forged.push((name.to_owned(), token));
    let with = |member: &str, value: Value| {
        let mut claims = honest.clone();
        claims[member] = value;
        sign(&claims)
    };
    for (member, value) in [
        ("exp", json!(now - 31)),
        ("exp", json!((now + 900).to_string())),
        ("exp", json!(now as f64 + 900.5)),
        ("exp", json!(-1)),
        ("exp", json!([now + 900])),
        ("exp", Value::Null),
        ("iat", json!(now + 120)),
        ("nbf", json!(now + 120)),
        ("aud", json!("exarch:elsewhere")),
        ("aud", json!([honest["aud"]])),
        ("aud", Value::Null),
        ("iss", json!("http://localhost:1")),
        ("iss", json!(names::GLOBAL)),
        ("sub", json!("usr_00000000000070008000000000000000")),
        ("sub", json!("ten_00000000000070008000000000000000")),
    ] {
        add(&format!("{member} = {value}"), with(member, value.clone()));
    }
    for member in ["exp", "iat", "nbf", "aud", "iss", "sub", "sid", "jti"] {
        let mut claims = honest.clone();
        claims.as_object_mut().unwrap().remove(member);
        add(&format!("no {member}"), sign(&claims));
    }
    for typ in [
        "JWT",
        "",
        "AT+JWT",
        "application/at+jwt",
        "exarch-continued+jwt",
        SESSION_TYP,
        "exarch-service+jwt",
    ] {
        add(
            &format!("typ {typ:?}"),
            jws::sign(&signer.key, typ, &kid, &honest).unwrap(),
        );
    }
    add(
        "another's kid",
        jws::sign(&signer.key, TYP, "key_00000000000070008000000000000000", &honest).unwrap(),
    );
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    add("another's key", jws::sign(&other, TYP, &kid, &honest).unwrap());
    let public = keys.verifier(&kid, ambient.now()).unwrap();
    add(
        "HS256 with the public key",
        jws::sign_hs256(public.raw(), TYP, &kid, &honest),
    );
    let part = |value: &Value| B64.encode(value.to_string());
    let body = part(&honest);
    let (_, signature) = good.rsplit_once('.').unwrap();
    for (name, header) in [
        ("alg none", json!({"alg": "none", "typ": TYP, "kid": kid})),
        ("alg None", json!({"alg": "None", "typ": TYP, "kid": kid})),
        ("no alg", json!({"typ": TYP, "kid": kid})),
        ("alg ES384", json!({"alg": "ES384", "typ": TYP, "kid": kid})),
        (
            "a key of its own",
            json!({"alg": "ES256", "typ": TYP, "kid": kid, "jwk": jws::jwk(&other.public(), &kid)}),
        ),
        (
            "jku",
            json!({"alg": "ES256", "typ": TYP, "kid": kid, "jku": "http://127.0.0.1:1/jwks.json"}),
        ),
        ("crit", json!({"alg": "ES256", "typ": TYP, "kid": kid, "crit": ["exp"]})),
    ] {
        add(&format!("{name}, no signature"), format!("{}.{body}.", part(&header)));
        add(
            &format!("{name}, a signature"),
            format!("{}.{body}.{signature}", part(&header)),
        );
        let input = format!("{}.{body}", part(&header));
        let signed = B64.encode(signer.key.sign(input.as_bytes()).unwrap());
        if name != "no alg" {
            add(&format!("{name}, signed"), format!("{input}.{signed}"));
        }
    }
    // The same name twice, once good and once not, signed by the real key.
    for text in [
        honest
            .to_string()
            .replacen('{', &format!("{{\"aud\":{},", json!("exarch:elsewhere")), 1),
        honest.to_string().replacen('{', "{\"exp\":1,", 1),
    ] {
        let input = format!("{}.{}", good.split('.').next().unwrap(), B64.encode(text));
        let signed = B64.encode(signer.key.sign(input.as_bytes()).unwrap());
        add("a claim twice", format!("{input}.{signed}"));
    }
    add("for another audience", foreign.to_owned());
    for at in (0..good.len()).step_by(11) {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        add(&format!("another character at {at}"), String::from_utf8(bytes).unwrap());
    }
    for end in [0, 1, good.len() / 2, good.len() - signature.len(), good.len() - 1] {
        add(&format!("{end} characters of it"), good[..end].to_owned());
    }
    for more in [".", "A", "=", ".AAAA", "%00"] {
        add(&format!("with {more:?} behind it"), format!("{good}{more}"));
    }
    forged
}

async fn all_refused(known: &Client, path: &str, forged: Vec<(String, String)>) {
    assert!(forged.len() > 80, "{}", forged.len());
    let mut first = None;
    for (name, token) in forged {
        let answer = known.clone().bearer(&token).get(path).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        let mut document = answer.refused(401, "unauthenticated");
        document.as_object_mut().unwrap().remove("request_id");
        assert_eq!(
            first.get_or_insert(document.clone()),
            &document,
            "{name}: the cause is told"
        );
    }
}

pub async fn what_the_global_did_not_sign_as_it_stands_is_401_at_the_global(federation: Arc<Federation>) {
    let (good, foreign) = (federation.access(ADA).await, federation.region_token(ADA, EU).await);
    let forged = forgeries(&federation, &good, &foreign).await;
    all_refused(&federation.global(), "/v1/me", forged).await;
    federation.global().bearer(&good).get("/v1/me").await.ok();
}

pub async fn what_the_global_did_not_sign_as_it_stands_is_401_in_a_region(federation: Arc<Federation>) {
    let (good, foreign) = (
        federation.region_token(ADA, EU).await,
        federation.region_token(ADA, US).await,
    );
    let mut forged = forgeries(&federation, &good, &foreign).await;
    let keys = federation.keys().await;
    let signer = keys.signer(Ambient::system().now()).unwrap();
    let sign = |claims: &Value| jws::sign(&signer.key, TYP, &signer.kid(), claims).unwrap();
    for member in ["rid", "sxp", "ten_v"] {
        let mut claims = claims(&good);
        claims.as_object_mut().unwrap().remove(member);
        forged.push((format!("no {member}"), sign(&claims)));
    }
    let mut other = claims(&good);
    other["rid"] = claims(&foreign)["rid"].clone();
    forged.push(("another rid".into(), sign(&other)));
    all_refused(&federation.region(EU), "/v1/me", forged).await;
    // A tenant that is not in the region's passport.
    let mut other = claims(&good);
    other["tid"] = json!("ten_01a201ab000070008000000000000000");
    let unknown = federation.region(EU).bearer(&sign(&other)).get("/v1/clusters").await;
    unknown.refused(404, "not-entitled");
    // Roles in a token are not believed.
    let mut roles = claims(&federation.region_token(exarch_tests_federation::GRACE, EU).await);
    roles["roles"] = json!(["tenant-admin", "system-admin", "provider-operator"]);
    let raised = federation.region(EU).bearer(&sign(&roles));
    let me = raised.get("/v1/me").await.ok();
    assert_eq!(
        me["roles"],
        federation
            .person_in(exarch_tests_federation::GRACE, EU)
            .await
            .get("/v1/me")
            .await
            .ok()["roles"]
    );
    federation.region(EU).bearer(&good).get("/v1/me").await.ok();
}
