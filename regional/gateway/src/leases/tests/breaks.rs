//! The wire to the database breaks at each call of a grant, a renewal and a release in turn, before the database has it and
//! when its answer is lost: what is told to be granted is, two are never, and whoever asks again is well.
use super::{Scene, ask, batch, granted, name_of};
use crate::{
    leases::{release, renew, request},
    testing::World,
};
use exarch_common_base::Fence;
use exarch_common_http::Problem;
use exarch_common_testkit::cut::{Break, Moment};
use exarch_common_wire::agent::Verdict;
use serde_json::Value;

/// The one refusal for want of a database.
fn away(problem: &Problem, at: Break) {
    let told = problem.document();
    assert_eq!((told.status, told.slug()), (503, "database-unavailable"), "{at:?}");
}

/// The leases of the volume that are in force.
async fn active(scene: &Scene<'_>) -> Vec<Value> {
    let mut leases = scene.leases().await;
    leases.retain(|lease| lease["state"] == "active");
    leases
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_granted_once_or_not_wherever_the_database_breaks_off() {
    let (world, cut) = World::breaking().await;
    let scene = Scene::new(&world).await;
    let mut highest = Fence::new(0, 0);
    let breaks = cut
        .at_each_call(async |at| {
            let answer = cut
                .during(at, request(scene.app(), &scene.one, &ask(scene.volume, 0)))
                .await
                .map_err(Problem::from);
            let kept = active(&scene).await;
            match &answer {
                Ok(granted) => assert_eq!(kept[0]["fence"], granted.fence.to_string(), "{at:?}"),
                Err(problem) => {
                    away(problem, at);
                    assert!(kept.is_empty() || at.moment == Moment::After, "{at:?}");
                }
            }
            assert!(kept.len() <= 1);
            // The same process asks again, and has what it had or what it did not get.
            let again = granted(scene.app(), &scene.one, scene.volume).await;
            if let Ok(first) = &answer {
                assert_eq!(again.fence, first.fence, "{at:?}");
            }
            assert!(again.fence > highest, "{at:?}: {:?} after {highest:?}", again.fence);
            highest = again.fence;
            assert_eq!(active(&scene).await.len(), 1);
            let named = batch([name_of(scene.volume, &again)]);
            release(scene.app(), &scene.one, named).await.unwrap();
        })
        .await;
    assert!(breaks.calls > 10 && breaks.commits >= 2, "{breaks:?}");
    // Each grant and each release is in the audit once: fences rise by one, and none is missing.
    let audit = scene.audit().await;
    let grants: Vec<&String> = audit
        .iter()
        .filter(|(a, _)| a == "lease.grant")
        .map(|(_, f)| f)
        .collect();
    let expected: Vec<String> = (1..=grants.len()).map(|n| format!("1.{n}")).collect();
    assert_eq!(grants, expected.iter().collect::<Vec<_>>());
    assert_eq!(audit.len(), 2 * grants.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_or_not_wherever_the_database_breaks_off() {
    let (world, cut) = World::breaking().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    let mut db = world.db.superuser().await;
    let mut seq = async || -> i64 {
        let sql = "SELECT seq FROM gw.lease";
        sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
    };
    let named = || batch([name_of(scene.volume, &lease)]);
    let breaks = cut
        .at_each_call(async |at| {
            let before = seq().await;
            let answer = cut.during(at, renew(scene.app(), &scene.one, named())).await;
            let moved = seq().await - before;
            match &answer {
                Ok(verdicts) => assert_eq!((verdicts.as_slice(), moved), (&[Verdict::Renewed][..], 1), "{at:?}"),
                Err(problem) => {
                    away(problem, at);
                    assert!(
                        moved == 0 || at.moment == Moment::After && moved == 1,
                        "{at:?}: {moved}"
                    );
                }
            }
            assert_eq!(
                renew(scene.app(), &scene.one, named()).await.unwrap(),
                [Verdict::Renewed],
                "{at:?}"
            );
        })
        .await;
    assert!(breaks.calls >= 2, "{breaks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_released_or_not_wherever_the_database_breaks_off() {
    let (world, cut) = World::breaking().await;
    let scene = Scene::new(&world).await;
    let breaks = cut
        .at_each_call(async |at| {
            let lease = granted(scene.app(), &scene.one, scene.volume).await;
            let named = || batch([name_of(scene.volume, &lease)]);
            let answer = cut.during(at, release(scene.app(), &scene.one, named())).await;
            let kept = active(&scene).await.len();
            match &answer {
                Ok(verdicts) => assert_eq!((verdicts.as_slice(), kept), (&[Verdict::Released][..], 0), "{at:?}"),
                Err(problem) => {
                    away(problem, at);
                    assert!(kept == 1 || at.moment == Moment::After, "{at:?}");
                }
            }
            // Once more: it is released, whether it was before or not.
            let again = release(scene.app(), &scene.one, named()).await.unwrap();
            let expected = if kept == 1 { Verdict::Released } else { again[0] };
            assert_eq!(again, [expected], "{at:?}");
            assert_eq!(active(&scene).await.len(), 0, "{at:?}");
        })
        .await;
    assert!(breaks.calls > 6 && breaks.commits >= 2, "{breaks:?}");
}
