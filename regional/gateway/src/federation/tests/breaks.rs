//! The wire to the region's own database breaks at each call of a join in turn, before the database has it and when its answer
//! is lost. The operator repeats the command, and the global, which knows the key, answers as before.
use super::{JoinError, join, joining, line, open, sealer};
use exarch_common_base::Ambient;
use exarch_common_pg::{AppPool, Login, PoolSettings};
use exarch_common_testkit::{
    cut::{Cut, Moment},
    db::TestDb,
};
use sqlx::PgConnection;
use std::time::Duration;

/// Whether the region is there, its keys, and what is kept of the one with which it asks for its certificate.
async fn kept(db: &mut PgConnection) -> (i64, i64, Option<Vec<u8>>) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM gw.region), (SELECT count(*) FROM gw.sealed_key),
                (SELECT sealed FROM gw.sealed_key WHERE purpose = 'region-tls')",
    )
    .fetch_one(db)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_breaks_off_leaves_its_key_and_is_repeated_with_it() {
    let (global, listening, db) = joining().await;
    let cut = Cut::to(&db.settings(Login::App)).await.unwrap();
    let (ambient, line) = (Ambient::system(), line(&listening, global.ca.pin()));
    let breaks = cut
        .at_each_call(async |at| {
            let db = TestDb::regional().await;
            let pool = AppPool::lazy(PoolSettings {
                acquire_timeout: Duration::from_secs(20),
                ..cut.through(db.settings(Login::App))
            });
            // Connected before it counts.
            pool.ping().await.unwrap();
            let mut all = db.superuser().await;
            let answer = cut.during(at, join(&ambient, &pool, &sealer(), &line)).await;
            let (region, keys, own) = kept(&mut all).await;
            assert!(
                matches!((region, keys), (0, 0 | 1) | (1, 6)),
                "{at:?}: by half: {region} {keys}"
            );
            match &answer {
                Ok(_) => assert_eq!(region, 1, "{at:?}"),
                // Whichever part of it needed the database.
                Err(e) => {
                    assert_eq!(e.to_string(), "the database is not available", "{at:?}");
                    assert!(region == 0 || at.moment == Moment::After, "{at:?}");
                }
            }
            let again = join(&ambient, &pool, &sealer(), &line).await;
            match again {
                Ok(joined) => assert_eq!((joined.id, region), (global.region, 0), "{at:?}"),
                Err(JoinError::Already { .. }) => assert_eq!(region, 1, "{at:?}"),
                Err(other) => panic!("{at:?}: {other}"),
            }
            let (region, keys, now) = kept(&mut all).await;
            assert_eq!((region, keys), (1, 6), "{at:?}");
            assert!(own.is_none() || own == now, "{at:?}: another key than it came with");
            // It is whole: a gateway opens on it.
            let dir = tempfile::tempdir().unwrap();
            let app = open(&ambient, &db, dir.path()).await;
            assert_eq!(app.secrets.service().up().kid, global.up.kid);
        })
        .await;
    assert!(breaks.calls > 16 && breaks.commits >= 2, "{breaks:?}");
}
