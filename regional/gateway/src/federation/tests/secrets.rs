//! Service secrets follow one another while requests go on in both directions.
use super::{Fixture, fixture};
use crate::{app::App, fake_global::open, federation::rotate::Rotate};
use axum::http::StatusCode;
use exarch_common_base::Ambient;
use exarch_common_runtime::Reconcile;
use exarch_common_wire::{
    federation::{Direction, paths},
    health::Probe,
    service::KEPT,
};
use serde_json::json;
use std::time::Duration;

async fn connected() -> Fixture {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    f
}

impl Fixture {
    /// As if all that there is had been made so long ago.
    async fn age(&self, seconds: i64) {
        let sql = "UPDATE gw.sealed_key SET created_at = created_at - make_interval(secs => $1)";
        let done = sqlx::query(sql).bind(seconds as f64);
        done.execute(&mut self.db.superuser().await).await.unwrap();
    }

    async fn rotate(&self, app: &App) -> anyhow::Result<u64> {
        let rotation = Duration::from_secs(30 * 86_400);
        let app = app.clone();
        Rotate { app, rotation }.pass().await
    }

    /// The secrets of both directions, newest first, as the global has them.
    fn newest(&self) -> (String, String) {
        let newest = |direction| self.global().secrets(direction)[0].kid.clone();
        (newest(Direction::Up), newest(Direction::Down))
    }

    /// Both directions work: the region is called and calls.
    async fn works(&self, what: &str) {
        let body = serde_json::to_vec(&probe()).unwrap();
        let (status, _) = self.listening.call(paths::PROBE, &body).await;
        assert_eq!(status, StatusCode::OK, "{what}");
        crate::federation::poll(&self.app)
            .await
            .unwrap_or_else(|e| panic!("{what}: {e}"));
    }
}

fn probe() -> Probe {
    serde_json::from_value(json!({ "challenge": "c", "database": null })).unwrap()
}

#[tokio::test]
async fn a_secret_follows_another_after_a_month_and_each_is_used_once_it_is_known() {
    let f = connected().await;
    let first = f.newest();
    f.rotate(&f.app).await.unwrap();
    assert_eq!(f.newest(), first, "it is young");
    f.age(30 * 86_400).await;
    f.rotate(&f.app).await.unwrap();
    let second = f.newest();
    assert!(second.0 != first.0 && second.1 != first.1);
    f.works("both directions on the new ones").await;
    let told = f.listening.told.borrow().signed_with.last().cloned();
    assert_eq!(told, Some(second.0));
    // the ones before are accepted for a day more, and no longer
    assert_eq!(f.app.secrets.service().many(Direction::Down), 2);
    assert!(f.app.secrets.service().down(&first.1).is_some());
    f.age(KEPT + 1).await;
    f.rotate(&f.app).await.unwrap();
    assert!(f.app.secrets.service().down(&first.1).is_none());
    f.works("after the old ones are gone").await;
    // and the newest are never retired, however old
    f.listening.told.send_modify(|told| told.swallows = true);
    f.age(300 * 86_400).await;
    let _ = f.rotate(&f.app).await;
    let _ = f.rotate(&f.app).await;
    assert_eq!(f.app.secrets.service().up().kid, f.newest_acknowledged());
}

impl Fixture {
    fn newest_acknowledged(&self) -> String {
        // the last that was handed over was never acknowledged
        self.global().secrets(Direction::Up)[1].kid.clone()
    }
}

/// The process dies after each step; whoever comes next goes on, and nothing is ever signed with what the other side does
/// not know.
#[tokio::test]
async fn a_stop_at_any_step_is_taken_up_where_it_was() {
    let f = connected().await;
    f.age(31 * 86_400).await;
    let first = f.newest();
    let restarted = async || open(&Ambient::system(), &f.db, f._dir.path()).await;
    let day = time::Duration::days(30);

    // planned, and not handed over
    let app = restarted().await;
    let planned = app
        .secrets
        .plan(&app.app_pool, &app.ambient, Direction::Up, day)
        .await
        .unwrap()
        .unwrap();
    f.works("planned").await;
    let app = restarted().await;
    let again = app.secrets.plan(&app.app_pool, &app.ambient, Direction::Up, day).await;
    assert_eq!(again.unwrap().unwrap().kid, planned.kid, "the same one goes on");
    assert_eq!(app.secrets.service().up().kid, first.0);

    // handed over, and the answer lost: the global has both from now on, and may sign with the new one
    f.listening.told.send_modify(|told| told.swallows = true);
    f.rotate(&f.app).await.unwrap_err();
    assert_eq!(f.newest().0, planned.kid);
    f.works("handed over").await;
    assert_eq!(f.app.secrets.service().up().kid, first.0, "not acknowledged, not used");
    let down = f
        .app
        .secrets
        .plan(&f.app.app_pool, &f.app.ambient, Direction::Down, day);
    let down = down.await.unwrap().unwrap();
    f.global().next.lock().unwrap().push((Direction::Down, down.clone()));
    f.works("the global signs with what it has just got").await;

    // acknowledged at last
    f.listening.told.send_modify(|told| told.swallows = false);
    f.rotate(&f.app).await.unwrap();
    f.works("acknowledged").await;
    assert_eq!(f.newest(), (planned.kid.clone(), down.kid.clone()));
    assert_eq!(f.app.secrets.service().up().kid, planned.kid);
    let app = restarted().await;
    assert_eq!(app.secrets.service().up().kid, planned.kid);
    assert!(app.secrets.service().down(&first.1).is_some() && app.secrets.service().down(&down.kid).is_some());
    // once more changes nothing
    f.rotate(&f.app).await.unwrap();
    assert_eq!(f.newest(), (planned.kid, down.kid));
}

#[tokio::test]
async fn a_replica_that_slept_through_a_rotation_accepts_and_uses_the_new_secrets_at_once() {
    let f = connected().await;
    let first = f.newest();
    f.age(31 * 86_400).await;
    // another replica rotates: it plans and puts in force what this one has not read
    let other = open(&Ambient::system(), &f.db, f._dir.path()).await;
    for direction in Direction::ALL {
        let key = other
            .secrets
            .plan(&other.app_pool, &other.ambient, direction, time::Duration::days(30))
            .await
            .unwrap()
            .unwrap();
        f.global().next.lock().unwrap().push((direction, key.clone()));
        let switched = other.secrets.switch(&other.app_pool, &other.ambient, direction, &key);
        switched.await.unwrap();
    }
    assert_eq!(f.app.secrets.service().up().kid, first.0, "it has not read them");
    let body = serde_json::to_vec(&probe()).unwrap();
    let (status, _) = f.listening.call(paths::PROBE, &body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(f.app.secrets.service().up().kid, f.newest().0, "now it has");
}

#[tokio::test]
async fn a_call_with_a_secret_that_the_global_has_dropped_is_made_again_with_the_newest() {
    let f = connected().await;
    let first = f.newest();
    f.age(31 * 86_400).await;
    let other = open(&Ambient::system(), &f.db, f._dir.path()).await;
    let days = time::Duration::days(30);
    let key = other
        .secrets
        .plan(&other.app_pool, &other.ambient, Direction::Up, days)
        .await;
    let key = key.unwrap().unwrap();
    f.global().next.lock().unwrap().push((Direction::Up, key.clone()));
    let switched = other
        .secrets
        .switch(&other.app_pool, &other.ambient, Direction::Up, &key);
    switched.await.unwrap();
    f.listening.told.send_modify(|told| told.forgotten.push(first.0));
    crate::federation::poll(&f.app).await.unwrap();
    assert_eq!(f.listening.told.borrow().signed_with.last(), Some(&key.kid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_in_both_directions_no_request_is_lost_to_a_rotation() {
    let f = connected().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let client = f.listening.tunnel().await;
    let (done, mut told) = tokio::sync::watch::channel(0_u32);
    let work = async {
        while !stop.is_cancelled() {
            let body = serde_json::to_vec(&probe()).unwrap();
            let signed = f.listening.signed(&client, paths::PROBE, &body);
            let (token, jti) = signed.token();
            let answer = crate::fake_global::listener::send(&client, &signed, &token).await;
            assert_eq!(answer.0, StatusCode::OK);
            assert!(f.listening.is_signed(&signed, &jti, &answer));
            crate::federation::poll(&f.app).await.unwrap();
            done.send_modify(|n| *n += 1);
        }
    };
    // Two more: one that began before may be under way. So no request is older than one rotation, as in the month between two.
    let mut under_load = async || {
        let before = *told.borrow();
        told.wait_for(|now| *now >= before + 2).await.unwrap();
    };
    let rotate = async {
        for _ in 0..5 {
            under_load().await;
            f.age(31 * 86_400).await;
            // a replica of another process does it: this one hears nothing of it but by its requests
            let other = open(&Ambient::system(), &f.db, f._dir.path()).await;
            for direction in Direction::ALL {
                let plan = other
                    .secrets
                    .plan(&other.app_pool, &other.ambient, direction, time::Duration::days(30));
                let key = plan.await.unwrap().unwrap();
                f.global().next.lock().unwrap().push((direction, key.clone()));
                under_load().await;
                let switched = other.secrets.switch(&other.app_pool, &other.ambient, direction, &key);
                switched.await.unwrap();
            }
        }
        stop.cancel();
    };
    tokio::join!(work, rotate);
}
