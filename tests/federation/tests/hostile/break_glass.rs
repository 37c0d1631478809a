//! Emergency access through real processes: two people of the provider, a region, and the tenant that ends it.
use exarch_common_base::Ambient;
use exarch_common_crypto::totp;
use exarch_tests_federation::{ADA, Client, EU, Federation, OWNER, program};
use serde_json::json;
use std::{process::Stdio, sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, process::Command};

const EMAIL: &str = "second@exarch.example";
const PASSWORD: &str = "a password that is long enough 77";

/// A second person of the provider, made on the server, who enrols an app at the first sign-in.
async fn second(federation: &Federation) -> Client {
    let mut child = Command::new(program("exarch-global"))
        .args([
            "add-staff",
            "--email",
            EMAIL,
            "--role",
            "system-admin",
            "--password-stdin",
        ])
        .arg("--config")
        .arg(federation.place("global").settings())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{PASSWORD}\n").as_bytes()).await.unwrap();
    drop(stdin);
    assert!(child.wait().await.unwrap().success());
    let body = json!({"email": EMAIL, "password": PASSWORD, "session": "token"});
    let asked = federation.global().post("/v1/auth/sign-in", &body).await.ok();
    let secret = totp::Secret::from_base32(asked["enrolment"]["secret"].as_str().unwrap()).unwrap();
    let code = secret.code(totp::step(Ambient::system().now().unix_timestamp()));
    let body = json!({"ticket": asked["ticket"], "totp": code});
    let answer = federation.global().post("/v1/auth/next", &body).await.ok();
    federation.global().bearer(answer["access_token"].as_str().unwrap())
}

pub async fn emergency_access_is_the_tenants_to_read_and_to_end_in_its_regions_too(federation: Arc<Federation>) {
    let ada = federation.person(ADA).await;
    let tenant = ada.get("/v1/me").await.ok()["tenant"]["id"].clone();
    let wanted = json!({"tenant": tenant, "reason": "it burns", "ticket": "INC-7", "minutes": 5});
    // a session of its own: it ends with the switch
    let first = federation.sign_in(OWNER).await;
    let first = federation.global().bearer(first["access_token"].as_str().unwrap());
    first
        .post("/v1/break-glass", &wanted)
        .await
        .refused(409, "no-second-person");
    let second = second(&federation).await;
    let asked = first.post("/v1/break-glass", &wanted).await.ok();
    let id = asked["id"].as_str().unwrap();
    let approve = format!("/v1/break-glass/{id}/approve");
    first.post(&approve, &json!({})).await.refused(403, "own-request");
    second.post(&approve, &json!({})).await.ok();
    let inside = first.post("/v1/me/tenant", &json!({"tenant": tenant})).await.ok();
    let inside = federation.global().bearer(inside["access_token"].as_str().unwrap());
    let entered = inside.post(&format!("/v1/regions/{EU}/token"), &json!({})).await.ok();
    let inside = federation.region(EU).bearer(entered["access_token"].as_str().unwrap());
    let looked = async || inside.get("/v1/clusters").await.status == 200;
    federation
        .until(Duration::from_secs(20), "the region knows of it", looked)
        .await;
    inside
        .post("/v1/clusters", &json!({"name": "mine"}))
        .await
        .refused(403, "permission-denied");
    // the tenant reads it there, and ends it at the global
    let rows = federation
        .person_in(ADA, EU)
        .await
        .get("/v1/provider-access")
        .await
        .ok();
    let rows = rows["items"].as_array().unwrap();
    assert!(
        rows.iter()
            .any(|row| row["break_glass_id"] == id && row["target"]["id"] == "GET /v1/clusters"),
        "{rows:?}"
    );
    let end = format!("/v1/provider-access/{id}/end");
    assert_eq!(ada.post(&end, &json!({"reason": "enough"})).await.status, 204);
    let over = async || inside.get("/v1/clusters").await.status == 401;
    federation
        .until(Duration::from_secs(2), "the region has ended it", over)
        .await;
}
