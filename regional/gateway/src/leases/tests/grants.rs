use super::{Scene, ask, batch, granted, held, name_of, volume};
use crate::{
    agents::{
        AgentCaller,
        testing::{agent_row, process},
    },
    leases::{GrantError, never_given, release, renew, request},
    testing::{Limits, World},
};
use exarch_common_base::Fence;
use exarch_common_http::Problem;
use exarch_common_pg::TenantTx;
use exarch_common_wire::{
    agent::{GrantVerdict, RequestLease, Verdict},
    grant::{self, Action},
};
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn of_two_hundred_who_ask_at_once_one_is_granted_and_the_others_are_told_by_whom() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let mut agents = Vec::new();
    for n in 0..200 {
        let id = agent_row(&world, scene.tenant, scene.cluster, &format!("host-{n}")).await;
        agents.push(process(scene.tenant, scene.cluster, id, 1));
    }
    let race = agents.iter().map(|agent| {
        let (app, agent, volume) = (world.app.clone(), agent.clone(), scene.volume);
        tokio::spawn(async move { request(&app, &agent, &ask(volume, 0)).await })
    });
    let (mut winners, mut losers) = (Vec::new(), Vec::new());
    for outcome in join_all(race).await {
        match outcome.unwrap() {
            Ok(granted) => winners.push(granted),
            Err(error) => losers.push(Problem::from(error)),
        }
    }
    assert_eq!((winners.len(), losers.len()), (1, 199));
    let holder = scene.leases().await.remove(0);
    for problem in losers {
        let told = problem.document();
        assert_eq!((told.status, told.slug()), (409, "lease-held"));
        assert_eq!(told.members["holder"], holder["agent"]);
        assert_eq!(told.members["holder_id"], holder["agent_id"]);
        assert_eq!(told.members["remaining_ms"], 30_600);
        let sentence = format!(
            "Held by agent {} for another 31 s",
            told.members["holder"].as_str().unwrap()
        );
        assert!(told.detail.as_ref().unwrap().starts_with(&sentence), "{told:?}");
    }
    assert_eq!(scene.leases().await.len(), 1);
    assert_eq!(scene.audit().await, [("lease.grant".to_owned(), "1.1".to_owned())]);
}

#[tokio::test]
async fn a_grant_says_to_the_guard_who_may_do_what_under_which_fence() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let ask = RequestLease {
        actions: vec![Action::Start, Action::Attach, Action::Start],
        nonce: "nonce of this request".to_owned(),
        ..ask(scene.volume, 0)
    };
    let granted = request(scene.app(), &scene.one, &ask).await.unwrap();
    let key = world.app.secrets.grant_key();
    let claims = grant::verify(&granted.grant, |kid| (kid == key.kid).then(|| key.key.public())).unwrap();
    assert_eq!(
        (claims.region, claims.tenant, claims.resource),
        (world.app.region.id, scene.tenant, scene.volume)
    );
    assert_eq!(
        (claims.agent, &claims.incarnation),
        (scene.one.id, &scene.one.incarnation)
    );
    assert_eq!((claims.fence, claims.lease), (granted.fence, granted.lease));
    assert_eq!(claims.actions, [Action::Start, Action::Attach]);
    assert_eq!(
        (claims.nonce.as_str(), claims.ttl_ms),
        ("nonce of this request", 30_000)
    );
    assert_eq!((granted.verdict, granted.seq), (GrantVerdict::Granted, 1));
}

#[tokio::test]
async fn the_same_process_is_answered_again_and_another_of_the_same_agent_is_not() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let first = granted(scene.app(), &scene.one, scene.volume).await;
    let again = RequestLease {
        actions: vec![Action::Attach],
        nonce: "other".to_owned(),
        ..ask(scene.volume, 0)
    };
    let second = request(scene.app(), &scene.one, &again).await.unwrap();
    assert_eq!(second.verdict, GrantVerdict::AlreadyHeld);
    assert_eq!((second.fence, second.lease, second.seq), (first.fence, first.lease, 2));
    let key = world.app.secrets.grant_key();
    let claims = grant::verify(&second.grant, |_| Some(key.key.public())).unwrap();
    assert_eq!(
        (claims.nonce.as_str(), claims.actions),
        ("other", vec![Action::Start, Action::Attach])
    );
    let restarted = process(scene.tenant, scene.cluster, scene.one.id, 2);
    assert_eq!(held(scene.app(), &restarted, scene.volume).await.agent, scene.one.id);
    let rows = [("lease.grant", "1.1"), ("lease.widen", "1.1")];
    assert_eq!(scene.audit().await, rows.map(|(a, f)| (a.to_owned(), f.to_owned())));
}

#[tokio::test]
async fn fences_rise_strictly_whether_a_lease_was_given_back_or_ran_out() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let mut last = Fence::default();
    let mut expected = Vec::new();
    for round in 0..6 {
        let agent = if round % 2 == 0 { &scene.one } else { &scene.two };
        let lease = granted(scene.app(), agent, scene.volume).await;
        assert!(lease.fence > last);
        last = lease.fence;
        expected.push(("lease.grant".to_owned(), last.to_string()));
        if round % 3 == 0 {
            let verdicts = release(scene.app(), agent, batch([name_of(scene.volume, &lease)]))
                .await
                .unwrap();
            assert_eq!(verdicts, [Verdict::Released]);
            expected.push(("lease.release".to_owned(), last.to_string()));
        } else {
            let other = if round % 2 == 0 { &scene.two } else { &scene.one };
            assert_eq!(
                held(scene.app(), other, scene.volume).await.remaining.as_millis(),
                30_600
            );
            world.clock.advance(Duration::from_millis(30_599));
            assert_eq!(held(scene.app(), other, scene.volume).await.remaining.as_millis(), 1);
            world.clock.advance(Duration::from_millis(1));
            expected.push(("lease.expire".to_owned(), last.to_string()));
        }
    }
    assert_eq!(last, Fence::new(1, 6));
    // the last one is still held as far as anybody has decided
    expected.pop();
    assert_eq!(scene.audit().await, expected);
}

#[tokio::test]
async fn a_renewal_starts_the_observation_anew() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    held(scene.app(), &scene.two, scene.volume).await;
    world.clock.advance(Duration::from_secs(30));
    let named = batch([name_of(scene.volume, &lease)]);
    assert_eq!(renew(scene.app(), &scene.one, named).await.unwrap(), [Verdict::Renewed]);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(
        held(scene.app(), &scene.two, scene.volume).await.remaining.as_millis(),
        30_600
    );
}

/// The wall clock of this gateway says whatever it likes.
#[tokio::test]
async fn a_wall_clock_moved_by_hours_neither_frees_a_resource_nor_holds_it() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    granted(scene.app(), &scene.one, scene.volume).await;
    held(scene.app(), &scene.two, scene.volume).await;
    world.clock.step_wall(time::Duration::hours(3));
    held(scene.app(), &scene.two, scene.volume).await;
    world.clock.step_wall(time::Duration::hours(-6));
    held(scene.app(), &scene.two, scene.volume).await;
    world.clock.advance(Duration::from_millis(30_600));
    assert_eq!(
        granted(scene.app(), &scene.two, scene.volume).await.fence,
        Fence::new(1, 2)
    );
}

#[tokio::test]
async fn a_resource_of_another_tenant_or_cluster_does_not_exist() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let limits = Limits {
        leases: Some(10),
        ..Limits::default()
    };
    for other in [
        Scene::of(&world, "b", Limits::default()).await,
        // with a limit the count goes over all of the tenant's clusters, and the look-up still does not
        Scene::of(&world, "c", limits).await,
    ] {
        let second = other.admin.cluster("second").await;
        let elsewhere = volume(&other.admin, second, "v2", 30_000).await;
        for resource in [scene.volume, elsewhere, world.app.ambient.id()] {
            let refused = request(&world.app, &other.one, &ask(resource, 0)).await.unwrap_err();
            assert_eq!(Problem::from(refused).document().status, 404);
        }
        granted(&world.app, &scene.one, scene.volume).await;
        let refused = request(&world.app, &other.one, &ask(scene.volume, 0))
            .await
            .unwrap_err();
        assert!(matches!(refused, GrantError::NoResource), "{refused:?}");
    }
}

#[tokio::test]
async fn an_agent_that_was_put_out_a_moment_ago_is_granted_nothing() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let path = format!("/v1/agents/{}/revoke", scene.one.id);
    scene.admin.post(&path, json!({})).await.expect(200);
    let refused = request(&world.app, &scene.one, &ask(scene.volume, 0))
        .await
        .unwrap_err();
    assert!(matches!(refused, GrantError::NotActive), "{refused:?}");
}

#[tokio::test]
async fn each_state_of_a_tenant_leaves_what_the_table_says() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    let fresh = volume(&scene.admin, scene.cluster, "v2", 30_000).await;
    for (state, goes_on, new) in [
        ("active", true, true),
        ("suspended(billing)", true, false),
        ("suspended(hold)", true, true),
        ("suspended(incident)", false, false),
        ("deleting", false, false),
        ("deleted", false, false),
        ("of a newer version", false, false),
    ] {
        world.alter(scene.tenant, |t| t.state = state.to_owned());
        let held = batch([name_of(scene.volume, &lease)]);
        let renewed = renew(scene.app(), &scene.one, held).await;
        assert_eq!(
            renewed.is_ok_and(|v| v == [Verdict::Renewed]),
            goes_on,
            "{state}: renewal"
        );
        let again = request(scene.app(), &scene.one, &ask(scene.volume, 0)).await;
        assert_eq!(again.is_ok(), goes_on, "{state}: what exists");
        let granted = request(scene.app(), &scene.two, &ask(fresh, 0)).await;
        assert_eq!(granted.is_ok(), new, "{state}: a resource never leased");
        if let Ok(granted) = granted {
            // made as if it had never been
            release(scene.app(), &scene.two, batch([name_of(fresh, &granted)]))
                .await
                .unwrap();
            let mut db = world.db.superuser().await;
            sqlx::query("DELETE FROM gw.lease WHERE id = $1")
                .bind(granted.lease.uuid())
                .execute(&mut db)
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn after_its_entitlement_a_tenant_is_drained_for_a_day() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let end = world.app.ambient.now().unix_timestamp();
    world.alter(scene.tenant, |t| t.entitlement.until = Some(end));
    granted(scene.app(), &scene.one, scene.volume).await;
    world.clock.advance(Duration::from_secs(24 * 3600 + 1));
    let refused = request(scene.app(), &scene.one, &ask(scene.volume, 0))
        .await
        .unwrap_err();
    assert!(matches!(refused, GrantError::Suspended), "{refused:?}");
}

#[tokio::test]
async fn a_tenant_holds_no_more_leases_than_it_is_entitled_to_even_when_all_ask_at_once() {
    let world = World::new().await;
    let limits = Limits {
        leases: Some(3),
        ..Limits::default()
    };
    let scene = Scene::of(&world, "a", limits).await;
    let second = scene.admin.cluster("second").await;
    let agent = agent_row(&world, scene.tenant, second, "other").await;
    let mut asks: Vec<(AgentCaller, _)> = Vec::new();
    for n in 0..6 {
        let cluster = if n % 2 == 0 { scene.cluster } else { second };
        let volume = volume(&scene.admin, cluster, &format!("x{n}"), 30_000).await;
        let agent = match n % 2 {
            0 => scene.one.clone(),
            _ => process(scene.tenant, second, agent, 1),
        };
        asks.push((agent, volume));
    }
    let race = asks.iter().cloned().map(|(agent, volume)| {
        let app = world.app.clone();
        tokio::spawn(async move { (agent.clone(), volume, request(&app, &agent, &ask(volume, 0)).await) })
    });
    let outcomes: Vec<_> = join_all(race).await.into_iter().map(Result::unwrap).collect();
    let (good, bad): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(_, _, outcome)| outcome.is_ok());
    assert_eq!((good.len(), bad.len()), (3, 3));
    for (_, _, outcome) in &bad {
        assert!(matches!(outcome, Err(GrantError::Limit(3))), "{outcome:?}");
    }
    let (agent, volume, outcome) = &good[0];
    let first = name_of(*volume, outcome.as_ref().unwrap());
    release(&world.app, agent, batch([first])).await.unwrap();
    let (agent, volume, _) = &bad[0];
    granted(&world.app, agent, *volume).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let good = ask(scene.volume, 0);
    for bad in [
        RequestLease {
            wait_ms: 30_001,
            ..good.clone()
        },
        RequestLease {
            actions: Vec::new(),
            ..good.clone()
        },
        RequestLease {
            nonce: String::new(),
            ..good.clone()
        },
        RequestLease {
            nonce: "n".repeat(129),
            ..good.clone()
        },
    ] {
        let refused = request(scene.app(), &scene.one, &bad).await.unwrap_err();
        assert_eq!(Problem::from(refused).document().status, 422);
    }
}

#[tokio::test]
async fn a_fence_that_was_never_given_is_noticed() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    let mut tx = TenantTx::begin(&world.app.app_pool, &scene.one).await.unwrap();
    let above = (scene.volume, Fence::new(1, 2));
    for (seen, ahead) in [
        (vec![(scene.volume, lease.fence)], vec![]),
        (vec![above], vec![above]),
        (
            vec![(scene.volume, Fence::new(2, 1))],
            vec![(scene.volume, Fence::new(2, 1))],
        ),
        // not this agent's to say anything about
        (vec![(world.app.ambient.id(), Fence::new(9, 9))], vec![]),
    ] {
        assert_eq!(never_given(&mut tx, &seen).await.unwrap(), ahead);
    }
}
