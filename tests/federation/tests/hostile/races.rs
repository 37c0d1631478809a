//! Many at once.
use super::once::bootstrap_token;
use exarch_tests_federation::{ADA, EU, Federation, GRACE, US};
use futures_util::future::join_all;
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

pub async fn a_hundred_uses_of_one_refresh_token_make_one_pair(federation: Arc<Federation>) {
    let pair = federation.sign_in(ADA).await;
    let body = json!({"refresh_token": pair["refresh_token"]});
    let global = federation.global();
    let uses = (0..100).map(|_| {
        let (global, body) = (global.clone(), body.clone());
        tokio::spawn(async move { global.post("/v1/auth/refresh", &body).await })
    });
    let mut pairs = BTreeSet::new();
    for answer in join_all(uses).await {
        let answer = answer.unwrap();
        if answer.status != 200 {
            answer.refused(401, "refresh-refused");
            continue;
        }
        let answer = answer.ok();
        let member = |name: &str| answer[name].as_str().unwrap().to_owned();
        // The signature of the same claims is made anew each time.
        let token = member("access_token");
        pairs.insert((member("refresh_token"), token.rsplit_once('.').unwrap().0.to_owned()));
    }
    assert_eq!(pairs.len(), 1, "{pairs:?}");
    let (next, _) = pairs.into_iter().next().unwrap();
    let next = federation
        .global()
        .post("/v1/auth/refresh", &json!({"refresh_token": next}))
        .await
        .ok();
    let access = next["access_token"].as_str().unwrap();
    federation.global().bearer(access).get("/v1/me").await.ok();
    // The first one once more, now two steps back: somebody has a copy, and the whole session is over.
    global
        .post("/v1/auth/refresh", &body)
        .await
        .refused(401, "refresh-refused");
    global
        .post("/v1/auth/refresh", &json!({"refresh_token": next["refresh_token"]}))
        .await
        .refused(401, "refresh-refused");
    federation
        .global()
        .bearer(access)
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
}

pub async fn of_fifty_agents_with_one_token_one_gets_in(federation: Arc<Federation>) {
    let (token, _) = bootstrap_token(&federation, US, "of-fifty").await;
    let ada = federation.person_in(ADA, US).await;
    let agents = async || {
        ada.get("/v1/agents?limit=100").await.ok()["items"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = agents().await;
    let race = (0..50).map(|_| {
        let (federation, token) = (federation.clone(), token.clone());
        tokio::spawn(async move { federation.enrol(US, &token).await.1 })
    });
    let mut certificates = Vec::new();
    for answer in join_all(race).await {
        let answer = answer.unwrap();
        match answer.status {
            200 => certificates.push(answer.ok()["certificate"].as_str().unwrap().to_owned()),
            _ => drop(answer.refused(410, "bootstrap-token-spent")),
        }
    }
    assert_eq!(certificates.len(), 1);
    assert_eq!(agents().await, before + 1);
}

pub async fn a_flood_of_wrong_passwords_is_bounded_and_starves_nobody(federation: Arc<Federation>) {
    let known = federation.person(ADA).await;
    let in_region = federation.person_in(ADA, EU).await;
    let flood = (0..200).map(|n| {
        let global = federation.global();
        tokio::spawn(async move {
            let email = format!("nobody-{n}@flood.example");
            let body = json!({"email": email, "password": "not the password of anybody", "session": "token"});
            global.post("/v1/auth/sign-in", &body).await
        })
    });
    let flood = tokio::spawn(join_all(flood));
    // Who is in already notices nothing; who signs in is let in, if not at once then when told to come again.
    let account = federation.account(GRACE);
    let body = json!({"email": account.email, "password": account.password, "session": "token"});
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let asked = Instant::now();
        known.get("/v1/me").await.ok();
        in_region.get("/v1/me").await.ok();
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        tries += 1;
        let answer = federation.global().post("/v1/auth/sign-in", &body).await;
        if answer.status == 200 {
            break;
        }
        answer.refused(429, "too-many-requests");
        let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert!(
            tries < 9 && began.elapsed() < Duration::from_secs(60),
            "nobody gets in any more"
        );
    }
    let (mut looked_at, mut told_to_wait) = (0, 0);
    for answer in flood.await.unwrap() {
        let answer = answer.unwrap();
        match answer.status {
            401 => {
                answer.refused(401, "sign-in-refused");
                looked_at += 1;
            }
            _ => {
                answer.refused(429, "too-many-requests");
                told_to_wait += 1;
            }
        }
    }
    assert!(
        told_to_wait > 0 && looked_at > 0,
        "{looked_at} were looked at, {told_to_wait} told to wait"
    );
}

pub async fn of_two_hundred_wrong_passwords_of_one_account_few_are_looked_at(federation: Arc<Federation>) {
    /// In a minute for one account, as the servers are set.
    const LIMIT: u64 = 10;
    let ada = federation.person(ADA).await;
    let email = "flooded@acme.example";
    let person = json!({"email": email, "display_name": "Flooded", "roles": ["read-only"], "initial_password": true});
    let made = ada.post("/v1/users", &person).await.ok();
    let began = Instant::now();
    let flood = (0..200).map(|n| {
        let global = federation.global();
        tokio::spawn(async move {
            let body = json!({"email": email, "password": format!("a wrong password {n}"), "session": "token"});
            global.post("/v1/auth/sign-in", &body).await
        })
    });
    let mut looked_at = 0;
    for answer in join_all(flood).await {
        let answer = answer.unwrap();
        match answer.status {
            401 => {
                answer.refused(401, "sign-in-refused");
                looked_at += 1;
            }
            _ => drop(answer.refused(429, "too-many-requests")),
        }
    }
    // One more comes back every six seconds.
    let most = LIMIT + began.elapsed().as_secs().div_ceil(60 / LIMIT) + 1;
    assert!(
        (1..=most).contains(&looked_at),
        "{looked_at} were looked at, at most {most}"
    );
    // The right one does not help now, and is not told apart from a wrong one.
    let right = json!({"email": email, "password": made["initial_password"], "session": "token"});
    let answer = federation.global().post("/v1/auth/sign-in", &right).await;
    assert!([401, 429].contains(&answer.status), "{}", answer.text());
}
