//! What the global says under a token that does not hold.
use super::*;

/// Whatever is wrong with a token: one and the same 401, unsigned, and nothing done.
#[tokio::test]
async fn a_wrong_service_token_is_the_same_401_and_nothing_happens() {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    let good = f.global().version();
    f.global().tenant("acme", |_| {});
    let body = f.global().push(Some(good)).to_bytes();
    let client = f.listening.tunnel().await;
    let genuine = f.listening.signed(&client, paths::PASSPORT, &body);
    let with = |change: &dyn Fn(&mut Signed)| {
        let mut signed = genuine.clone();
        change(&mut signed);
        signed.token().0
    };
    let stranger = ServiceKey::generate(&Ambient::system());
    let token = genuine.token().0;
    let claims = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims_of(&genuine);
        change(&mut claims);
        sign(&genuine.key, &claims)
    };
    let attacks: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("another path", with(&|s| s.path = paths::PROBE.to_owned())),
        ("another query", with(&|s| s.path.push_str("?x=1"))),
        ("another method", with(&|s| s.method = Method::PUT)),
        ("another body", with(&|s| s.body.push(0))),
        ("another connection", with(&|s| s.exporter[0] ^= 1)),
        (
            "another sender",
            with(&|s| s.from = names::region(Ambient::system().id())),
        ),
        (
            "another receiver",
            with(&|s| s.to = names::region(Ambient::system().id())),
        ),
        ("turned around", with(&|s| std::mem::swap(&mut s.from, &mut s.to))),
        ("a stranger's secret", with(&|s| s.key = stranger.clone())),
        (
            "another secret under the right id",
            with(&|s| s.key.secret = stranger.secret.clone()),
        ),
        ("the other direction's secret", with(&|s| s.key = f.global().up.clone())),
        ("a truncated MAC", token[..token.len() - 2].to_owned()),
        ("an answer as a request", claims(&|c| c.sts = Some(200))),
    ];
    let mut bodies = Vec::new();
    for (what, token) in attacks {
        let answer = send(&client, &genuine, &token).await;
        assert_eq!(answer.0, 401, "{what}");
        assert!(!answer.1.contains_key(names::ANSWER_HEADER), "{what}");
        let mut body: Value = serde_json::from_slice(&answer.2).unwrap();
        body.as_object_mut().unwrap().remove("request_id");
        bodies.push(body);
        assert_eq!(f.app.directory.current().as_ref().unwrap().version(), good, "{what}");
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");

    // Outside its time: told, and signed, so that the global believes it.
    let now = Ambient::system().now().unix_timestamp();
    for (what, iat, exp) in [
        ("old", now - 120, now - 60),
        ("of the future", now + 60, now + 120),
        ("too long a life", now, now + 61),
    ] {
        let change = |c: &mut Claims| (c.iat, c.exp) = (iat, exp);
        let answer = send(&client, &genuine, &claims(&change)).await;
        assert_eq!(answer.0, 401, "{what}");
        let body: Value = serde_json::from_slice(&answer.2).unwrap();
        assert_eq!(body["type"], "urn:exarch:problem:clock-skew", "{what}");
        assert!(
            body["server_time"].is_i64() && answer.1.contains_key(names::ANSWER_HEADER),
            "{what}"
        );
    }
    assert_eq!(f.app.directory.current().as_ref().unwrap().version(), good);
    // A probe must reach a region whose clock is wrong.
    let probe = serde_json::to_vec(&Probe {
        challenge: "c".to_owned(),
        seen: None,
    });
    let probe = f.listening.signed(&client, paths::PROBE, &probe.unwrap());
    let mut late = claims_of(&probe);
    (late.iat, late.exp) = (now - 7200, now - 7140);
    let late = sign(&probe.key, &late);
    assert_eq!(send(&client, &probe, &late).await.0, 200);
    assert_eq!(send(&client, &probe, &late).await.0, 401, "but once");

    // The genuine one works, once: not again here, and not on another connection.
    assert_eq!(send(&client, &genuine, &token).await.0, 204);
    assert_eq!(
        f.app.directory.current().as_ref().unwrap().version(),
        f.global().version()
    );
    assert_eq!(send(&client, &genuine, &token).await.0, 401);
    client.close();
    client.closed().await;
    let other = f.listening.tunnel().await;
    assert_ne!(other.peer().exporter(), client.peer().exporter());
    assert_eq!(send(&other, &genuine, &token).await.0, 401);
}

fn claims_of(signed: &Signed) -> Claims {
    let key = &signed.key;
    let find = |kid: &str| (kid == key.kid).then_some(key);
    service::verify_challenged(&signed.token().0, find, &signed.about()).unwrap()
}

fn sign(key: &ServiceKey, claims: &Claims) -> String {
    use exarch_common_base::ExposeSecret;
    exarch_common_crypto::jws::sign_hs256(key.secret.expose_secret(), "exarch-service+jwt", &key.kid, claims)
}
