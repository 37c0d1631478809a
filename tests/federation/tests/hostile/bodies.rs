//! Bodies and addresses that are no good, at every kind of listener that reads any.
use super::once::bootstrap_token;
use exarch_common_wire::federation::paths;
use exarch_tests_federation::{ADA, Answer, Client, EU, Federation, OWNER, peers::Wire};
use futures_util::stream;
use reqwest::{Body, Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Arc};

const MIB: usize = 1024 * 1024;

fn nested(depth: usize) -> Vec<u8> {
    // The object around them is a level, too.
    format!("{{\"x\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1)).into_bytes()
}

/// Bodies with the statuses that may answer them. `field` is a text that the route takes, `good` what makes it whole.
fn bad(field: &str, good: &Value, tolerant: bool) -> Vec<(String, Vec<u8>, &'static [u16])> {
    let mut text = good.clone();
    let rest = |text: &Value| text.to_string()[1..].to_owned();
    text.as_object_mut().unwrap().remove(field);
    let rest = if text == json!({}) {
        "}".to_owned()
    } else {
        format!(",{}", rest(&text))
    };
    let with = |value: &str| format!("{{\"{field}\":{value}{rest}").into_bytes();
    let mut bad: Vec<(String, Vec<u8>, &'static [u16])> = Vec::new();
    let mut add = |name: &str, body: Vec<u8>, codes| bad.push((name.to_owned(), body, codes));
    let long = format!("\"{}\"", "x".repeat(2 * MIB));
    add("2 MiB", with(&long), &[413]);
    add(
        "spaces behind it, 2 MiB",
        [good.to_string().into_bytes(), vec![b' '; 2 * MIB]].concat(),
        &[413],
    );
    for depth in [33, 34, 10_000] {
        add(&format!("{depth} deep"), nested(depth), &[400]);
    }
    add("deep and not closed", vec![b'['; 100_000], &[400]);
    add(
        "not UTF-8",
        with("\"\u{0}\"")
            .into_iter()
            .map(|b| if b == 0 { 0xff } else { b })
            .collect(),
        &[400],
    );
    add(
        "an overlong encoding",
        with("\"@@\"")
            .into_iter()
            .map(|b| if b == b'@' { 0xc0 } else { b })
            .collect(),
        &[400],
    );
    add(
        "UTF-16",
        [
            &[0xff, 0xfe][..],
            &good
                .to_string()
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>(),
        ]
        .concat(),
        &[400],
    );
    add("a NUL as it is", with("\"a\u{0}b\""), &[400]);
    add("a NUL spelled out", with("\"a\\u0000b\""), &[400, 422]);
    add("half a surrogate pair", with("\"\\ud800\""), &[400]);
    add("a key twice", with(&format!("\"a\",\"{field}\":\"a\"")), &[400]);
    add(
        "a key twice, once spelled out",
        with(&format!(
            "\"a\",\"\\u{:04x}{}\":\"a\"",
            field.as_bytes()[0],
            &field[1..]
        )),
        &[400],
    );
    add("a key twice further in", with("{\"a\":1,\"a\":2}"), &[400]);
    add("a number out of all range", with("1e999"), &[400, 422]);
    add("not a number", with("NaN"), &[400]);
    add("a number", with("7"), &[422]);
    add("a list", with("[]"), &[422]);
    add("nothing", with("null"), &[422]);
    add("no such field", b"{}".to_vec(), &[422]);
    add("no object", b"[]".to_vec(), &[422]);
    add("a text", b"\"x\"".to_vec(), &[422]);
    add("nothing at all", Vec::new(), &[400]);
    add(
        "the half of it",
        good.to_string().into_bytes()[..good.to_string().len() / 2].to_vec(),
        &[400],
    );
    add("two of them", good.to_string().repeat(2).into_bytes(), &[400]);
    add("something behind it", format!("{good} x").into_bytes(), &[400]);
    add("a comment", format!("/* */{good}").into_bytes(), &[400]);
    add("a form", format!("{field}=x").into_bytes(), &[400]);
    if !tolerant {
        let mut more = good.clone();
        more["_surprise"] = json!(1);
        add("an unknown field", more.to_string().into_bytes(), &[422]);
        more["__proto__"] = json!({"admin": true});
        add("unknown fields", more.to_string().into_bytes(), &[422]);
    }
    bad
}

fn check(name: &str, answer: &Answer, codes: &[u16]) {
    assert!(
        codes.contains(&answer.status),
        "{name}: {} {}",
        answer.status,
        answer.text()
    );
    let document = answer.problem(answer.status);
    assert!(answer.body.len() < 4096, "{name}: the answer repeats the body");
    if answer.status == 422 {
        assert!(
            document["errors"].as_array().is_none_or(|errors| !errors.is_empty()),
            "{name}: {document}"
        );
    }
}

async fn at(client: &Client, path: &str, field: &str, good: &Value) {
    for (name, body, codes) in bad(field, good, false) {
        check(&format!("{path}, {name}"), &client.send_json(path, body).await, codes);
    }
    // Without a length told beforehand.
    let pieces = (0..32).map(|_| Ok::<_, Infallible>(vec![b' '; MIB / 16]));
    let answer = client.send_json(path, Body::wrap_stream(stream::iter(pieces))).await;
    check(&format!("{path}, 2 MiB piece by piece"), &answer, &[413]);
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "multipart/form-data",
    ] {
        let request = client
            .request(Method::POST, path)
            .header(CONTENT_TYPE, media)
            .body(good.to_string());
        check(&format!("{path}, as {media}"), &client.send(request).await, &[415]);
    }
    let untyped = client.request(Method::POST, path).body(good.to_string());
    check(&format!("{path}, untyped"), &client.send(untyped).await, &[415]);
}

async fn count(client: &Client, path: &str) -> usize {
    client.get(path).await.ok()["items"].as_array().unwrap().len()
}

pub async fn what_two_readers_could_understand_differently_is_refused_everywhere(federation: Arc<Federation>) {
    let (owner, ada) = (federation.person(OWNER).await, federation.person_in(ADA, EU).await);
    let before = (
        count(&owner, "/v1/tenants?limit=100").await,
        count(&ada, "/v1/clusters?limit=100").await,
    );
    at(
        &owner,
        "/v1/tenants",
        "slug",
        &json!({"slug": "never-made", "name": "Never made"}),
    )
    .await;
    at(
        &federation.global(),
        "/v1/auth/refresh",
        "refresh_token",
        &json!({"refresh_token": "exr_x"}),
    )
    .await;
    at(&ada, "/v1/clusters", "name", &json!({"name": "never-made"})).await;
    let wire = federation.enrolling(EU).await;
    let good = json!({"token": "x", "csr": "x", "protocol": 1});
    for (name, body, codes) in bad("csr", &good, true) {
        let answer = wire.send(Method::POST, "/agent/v1/enrol", None, body).await;
        let answer = answer.unwrap_or_else(|| panic!("enrol, {name}: no answer"));
        // Without a content type there is no body to read.
        let codes = if name == "nothing at all" { &[415][..] } else { codes };
        check(&format!("enrol, {name}"), &answer, codes);
    }
    inner(&federation).await;
    let after = (
        count(&owner, "/v1/tenants?limit=100").await,
        count(&ada, "/v1/clusters?limit=100").await,
    );
    assert_eq!(before, after);
}

/// On the connections of gateways and agents that are known, and of gateways that would be.
async fn inner(federation: &Federation) {
    let secrets = federation.secrets(EU).await;
    let up = federation.upwards(&secrets).await;
    let (token, _) = bootstrap_token(federation, EU, "of-bad-bodies").await;
    let agent = federation.agent(EU, &token).await;
    let (join, pin) = (
        json!({"token": "x", "csr": "x", "protocol": 1}),
        json!({"fingerprint": "x"}),
    );
    let heartbeat = json!({"software": "1", "fences": [], "clock_ms": 0});
    let mut joining = federation.joining().await;
    for (n, (name, body, _)) in bad("token", &join, true).into_iter().enumerate() {
        if n % 20 == 19 {
            // One address may try thirty times in a minute.
            joining = federation.joining().await;
        }
        refused_whole(&format!("join, {name}"), &joining, paths::JOIN, None, body).await;
    }
    for (name, body, _) in bad("fingerprint", &pin, true) {
        let token = federation.service_token(EU, &secrets, &up, "POST", paths::AGENT_CA, &body);
        refused_whole(&format!("up, {name}"), &up, paths::AGENT_CA, Some(&token), body).await;
    }
    for (name, body, _) in bad("software", &heartbeat, true) {
        let token = Some(agent.token.as_str());
        refused_whole(
            &format!("agent, {name}"),
            &agent.wire,
            "/agent/v1/heartbeat",
            token,
            body,
        )
        .await;
    }
    // Nobody was thrown out for it.
    assert_eq!(agent.post("/agent/v1/heartbeat", &heartbeat).await.status, 204);
}

async fn refused_whole(name: &str, wire: &Wire, path: &str, token: Option<&str>, body: Vec<u8>) {
    let answer = wire.send(Method::POST, path, token, body).await;
    let answer = answer.unwrap_or_else(|| panic!("{name}: no answer"));
    check(name, &answer, &[400, 401, 413, 415, 422]);
}

pub async fn addresses_that_cannot_be_read_are_refused(federation: Arc<Federation>) {
    let (owner, ada) = (federation.person(OWNER).await, federation.person_in(ADA, EU).await);
    let long = "x".repeat(3000);
    for (client, list, one) in [
        (&owner, "/v1/tenants", "/v1/tenants/"),
        (&ada, "/v1/clusters", "/v1/clusters/"),
    ] {
        for id in [
            "%00",
            "%ff",
            "%c0%80",
            "..%2f..%2fetc%2fpasswd",
            "clu_",
            "1",
            "'%20OR%201=1--",
            "%F0%9F%92%A9",
            &long,
        ] {
            let answer = client.get(&format!("{one}{id}")).await;
            assert!([400, 404, 422].contains(&answer.status), "{id}: {}", answer.text());
            answer.problem(answer.status);
        }
        for query in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=1e2",
            "limit=99999999999999999999",
            "limit=",
            "limit=1&limit=2",
            "page_token=x",
            "page_token=%00",
            "page_token=%ff",
            "surprise=1",
            "_method=DELETE",
            "limit=%zz",
        ] {
            let answer = client.get(&format!("{list}?{query}")).await;
            assert!(
                [400, 422].contains(&answer.status),
                "{list}?{query}: {} {}",
                answer.status,
                answer.text()
            );
            answer.problem(answer.status);
        }
        for method in [
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::TRACE,
            Method::from_bytes(b"BREW").unwrap(),
        ] {
            let answer = client.send(client.request(method.clone(), list)).await;
            answer.refused(405, "method-not-allowed");
            assert!(answer.headers.contains_key("allow"), "{method}");
        }
        client.get("/v1/nothing-here").await.problem(404);
    }
}
