//! Service secrets follow one another.
use crate::{
    federation::retire::RetireSecrets,
    tests::{Gateway, Up, World, until},
};
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, ExposeSecret};
use exarch_common_runtime::Reconcile;
use exarch_common_wire::{
    federation::{HandedSecret, paths},
    service::{KEPT, ServiceKey},
};
use serde_json::{Value, json};

fn made() -> HandedSecret {
    let key = ServiceKey::generate(&Ambient::system());
    HandedSecret {
        secret: B64.encode(key.secret.expose_secret()),
        kid: key.kid,
    }
}

fn message(direction: &str, secret: &HandedSecret) -> Value {
    json!({"direction": direction, "secret": {"kid": secret.kid, "secret": secret.secret}})
}

impl Gateway {
    fn signing_with(&self, secret: &HandedSecret) -> Self {
        self.with_secrets(|joined| joined.up = secret.clone())
    }
}

impl World {
    /// As if all that there is had been made and used so long ago.
    async fn age_secrets(&self, seconds: i64) {
        let sql = "UPDATE gc.service_secret SET created_at = created_at - make_interval(secs => $1),
                                                first_used_at = first_used_at - make_interval(secs => $1)";
        let done = sqlx::query(sql).bind(seconds as f64);
        done.execute(&mut self.superuser().await).await.unwrap();
    }

    async fn retire(&self) -> u64 {
        RetireSecrets(self.app.clone()).pass().await.unwrap()
    }
}

async fn accepted(gateway: &Gateway) -> bool {
    let up = gateway.up().await;
    let (token, jti) = up.token(&axum::http::Method::GET, paths::PASSPORT, b"");
    let jti = Some(jti.as_str());
    let answer = up
        .ask_with(axum::http::Method::GET, paths::PASSPORT, b"", &token, jti)
        .await;
    answer.status == StatusCode::OK
}

#[tokio::test]
async fn a_secret_that_was_handed_over_is_accepted_beside_the_one_before_it() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let (up, next) = (gateway.up().await, made());
    let later = gateway.signing_with(&next);
    assert!(!accepted(&later).await, "nobody knows it yet");
    // the answer may be lost: the same again is no change
    for _ in 0..2 {
        let answer = up.post(paths::SERVICE_SECRET, &message("up", &next)).await;
        assert_eq!((answer.status, answer.signed), (StatusCode::NO_CONTENT, true));
    }
    assert_eq!(world.audit("region.rotate-secret").await.len(), 1);
    assert!(accepted(&gateway).await && accepted(&later).await);
    let stored = world.secrets_as_stored().await;
    let plain = B64.decode(&next.secret).unwrap();
    assert!(
        stored.iter().all(|kept| !kept.windows(32).any(|part| part == plain)),
        "it lies sealed"
    );
    // it is this region's and this direction's alone
    let other = world.region("us-east").await.signing_with(&next);
    assert!(!accepted(&other).await);
}

#[tokio::test]
async fn what_is_no_secret_or_another_one_of_the_same_name_is_refused_and_so_is_a_flood() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let up = gateway.up().await;
    let mut short = made();
    short.secret.truncate(20);
    let mut named = made();
    named.kid = "a b".to_owned();
    for bad in [&short, &named] {
        let answer = up.post(paths::SERVICE_SECRET, &message("up", bad)).await;
        assert_eq!(answer.problem(), "not-a-secret");
    }
    let answer = up.post(paths::SERVICE_SECRET, &message("sideways", &made())).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let mut same = made();
    same.kid.clone_from(&gateway.joined.up.kid);
    let answer = up.post(paths::SERVICE_SECRET, &message("up", &same)).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (StatusCode::CONFLICT, "another-secret")
    );
    for _ in 0..3 {
        let answer = up.post(paths::SERVICE_SECRET, &message("up", &made())).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    let answer = up.post(paths::SERVICE_SECRET, &message("up", &made())).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (StatusCode::CONFLICT, "too-many-secrets")
    );
    assert!(accepted(&gateway).await);
}

#[tokio::test]
async fn the_one_before_goes_a_day_after_its_follower_was_first_used_and_not_before() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let next = made();
    let later = gateway.signing_with(&next);
    gateway
        .up()
        .await
        .post(paths::SERVICE_SECRET, &message("up", &next))
        .await;
    // a region that never got the answer goes on with the old one, for however long
    world.age_secrets(400 * 86_400).await;
    assert_eq!(world.retire().await, 0);
    assert!(accepted(&gateway).await);

    assert!(accepted(&later).await);
    world.age_secrets(KEPT - 60).await;
    assert_eq!(world.retire().await, 0);
    assert!(accepted(&gateway).await);
    world.age_secrets(61).await;
    assert_eq!((world.retire().await, world.retire().await), (1, 0));
    assert!(!accepted(&gateway).await && accepted(&later).await);
    assert_eq!(world.audit("region.retire-secret").await.len(), 1);
    // the newest stays, however old it is, and a retired one does not come back
    world.age_secrets(4000 * 86_400).await;
    assert_eq!(world.retire().await, 0);
    assert!(accepted(&later).await);
    let back = later
        .up()
        .await
        .post(paths::SERVICE_SECRET, &message("up", &gateway.joined.up))
        .await;
    assert_eq!(
        (back.status, back.problem().as_str()),
        (StatusCode::CONFLICT, "another-secret")
    );
}

#[tokio::test]
async fn the_global_signs_with_what_a_region_has_handed_over() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let next = made();
    let up = gateway.up().await;
    let answer = up.post(paths::SERVICE_SECRET, &message("down", &next)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    // this gateway knows the new one alone: it refuses what is signed with another
    let later = gateway.with_secrets(|joined| joined.down = next.clone());
    let _down = later.down().await;
    until("it is connected", || async {
        world.app.federation.tunnels.of(gateway.id).len() == 1
    })
    .await;
    up.acknowledge(up.version(&up.poll(None).await)).await;
    until("it was probed well", || async {
        world
            .probes(gateway.id)
            .await
            .last()
            .is_some_and(|probe| probe.0 == "good")
    })
    .await;
    world.age_secrets(KEPT + 1).await;
    assert_eq!(
        world.retire().await,
        1,
        "the gateway has both, so the old one is of no use here"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_is_lost_to_a_rotation() {
    let world = World::new().await;
    let mut gateway = world.region("eu-north").await;
    for _ in 0..3 {
        let next = made();
        let later = gateway.signing_with(&next);
        let (old, new) = (gateway.up().await, later.up().await);
        let polls = async |up: &Up, many: usize| {
            let all = (0..many).map(|_| up.get(paths::PASSPORT));
            futures_util::future::join_all(all).await
        };
        let handing = message("up", &next);
        let (before, handed) = tokio::join!(polls(&old, 20), old.post(paths::SERVICE_SECRET, &handing));
        assert_eq!(handed.status, StatusCode::NO_CONTENT);
        let (by_old, by_new) = tokio::join!(polls(&old, 20), polls(&new, 20));
        let all = before.iter().chain(&by_old).chain(&by_new);
        assert!(
            all.clone()
                .all(|answer| answer.status == StatusCode::OK && answer.signed)
        );
        world.age_secrets(KEPT + 1).await;
        world.retire().await;
        gateway = later;
    }
}
