//! The wire to the database breaks at each call of a join in turn, before the database has it and when its answer is lost.
use crate::{federation::join, tests::World};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_crypto::{
    pki,
    sign::{Algorithm, SigningKey},
};
use exarch_common_http::RequestContext;
use exarch_common_testkit::cut::Moment;
use exarch_common_wire::{audit::Source, federation::Join};

#[tokio::test(flavor = "multi_thread")]
async fn a_region_joins_or_stays_as_it_was_wherever_the_database_breaks_off() {
    let (world, cut) = World::breaking().await;
    let mut db = world.superuser().await;
    let mut n = 0;
    let breaks = cut
        .at_each_call(async |at| {
            n += 1;
            let (region, token) = world.register(&format!("region-{n}")).await;
            let key = SigningKey::generate(Algorithm::Es384).unwrap();
            let input = Join {
                token,
                csr: B64.encode(pki::request(&key).unwrap()),
                protocol: 1,
            };
            let context = RequestContext {
                request_id: world.app.ambient.id(),
                trace_id: 1,
                span_id: 1,
            };
            let source = || Source {
                address: Some("192.0.2.7".to_owned()),
                user_agent: None,
            };
            let answer = cut.during(at, join::run(&world.app, &input, &context, source())).await;
            let kept: Vec<i64> = sqlx::query_scalar(
                "SELECT unnest(ARRAY[
                   (SELECT count(*) FROM gc.region WHERE id = $1 AND lifecycle = 'joining'),
                   (SELECT count(*) FROM gc.join_token WHERE region_id = $1 AND used_at IS NOT NULL),
                   (SELECT count(*) FROM gc.region_certificate WHERE region_id = $1),
                   (SELECT count(*) FROM gc.service_secret WHERE region_id = $1) / 2,
                   (SELECT count(*) FROM gc.audit WHERE action = 'region.join' AND target_id = $2)])",
            )
            .bind(region.uuid())
            .bind(region.to_string())
            .fetch_all(&mut db)
            .await
            .unwrap();
            assert!(kept.iter().all(|each| *each == kept[0]), "{at:?}: by half: {kept:?}");
            match &answer {
                Ok(_) => assert_eq!(kept[0], 1, "{at:?}"),
                Err(problem) => {
                    let told = problem.document();
                    assert_eq!((told.status, told.slug()), (503, "database-unavailable"), "{at:?}");
                    assert!(kept[0] == 0 || at.moment == Moment::After, "{at:?}");
                }
            }
            // The gateway asks once more, as its operator is told to.
            let again = join::run(&world.app, &input, &context, source()).await.unwrap();
            assert_eq!(again.region, region);
            if let Ok(first) = answer {
                assert_eq!(again.up.secret, first.up.secret);
            }
            assert_eq!(world.lifecycle(region).await, "joining");
        })
        .await;
    assert!(breaks.calls > 14 && breaks.commits >= 2, "{breaks:?}");
}
