//! Joining: once, sealed, and with nobody else than who was meant.
use super::*;

#[tokio::test]
async fn a_region_joins_once_and_keeps_what_it_was_given_sealed() {
    let (global, listening, db) = joining().await;
    let (ambient, pool) = (Ambient::system(), db.app().await);
    let line = line(&listening, global.ca.pin());
    let region = join(&ambient, &pool, &sealer(), &line).await.unwrap();
    assert_eq!((region.id, region.slug.as_str()), (global.region, "eu-north"));
    let again = join(&ambient, &pool, &sealer(), &line).await.unwrap_err();
    assert!(matches!(again, JoinError::Already { .. }), "{again}");
    assert!(again.to_string().contains("eu-north"), "{again}");

    let dir = tempfile::tempdir().unwrap();
    let app = open(&ambient, &db, dir.path()).await;
    assert_eq!(app.secrets.service().up().kid, global.up.kid);
    assert!(app.secrets.service().down(&global.down.kid).is_some());
    let certificate = Peer::read(&app.secrets.certificate()).unwrap();
    assert_eq!(certificate.identity(), Some(names::region_uri(global.region).as_str()));
    assert_ne!(app.secrets.agent_ca().pin(), global.ca.pin());

    // What lies in the database opens under the right master key, in its own row, and nowhere else.
    let mut all = db.superuser().await;
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("SELECT purpose, sealed FROM gw.sealed_key ORDER BY purpose")
        .fetch_all(&mut all)
        .await
        .unwrap();
    assert_eq!(rows.len(), 6);
    let other = exarch_common_crypto::seal::Sealer::new(&vec![8; 32].into()).unwrap();
    let locked = App::open(
        ambient.clone(),
        crate::fake_global::settings(dir.path()),
        &Arc::new(other),
        pools(&db).await,
    )
    .await;
    assert!(locked.err().unwrap().to_string().contains("cannot be opened"));
    sqlx::query("UPDATE gw.sealed_key SET sealed = (SELECT sealed FROM gw.sealed_key WHERE purpose = 'service-up') WHERE purpose = 'service-down'")
        .execute(&mut all)
        .await
        .unwrap();
    let moved = App::open(
        ambient,
        crate::fake_global::settings(dir.path()),
        &Arc::new(sealer()),
        pools(&db).await,
    )
    .await;
    assert!(moved.err().unwrap().to_string().contains("service-down"));
}

#[tokio::test]
async fn a_refused_join_tells_the_story_and_changes_nothing() {
    let (global, listening, db) = joining().await;
    let (ambient, pool) = (Ambient::system(), db.app().await);
    let line_with = |pin| line(&listening, pin);
    let stories = [
        (
            409,
            "join-token-used",
            "This join token was used at 12:00 from 10.0.0.7.",
        ),
        (
            410,
            "join-token-expired",
            "This join token expired at 12:00; ask for a new one.",
        ),
    ];
    for (status, slug, detail) in stories {
        listening.refuse_join(status, slug, detail);
        let refused = join(&ambient, &pool, &sealer(), &line_with(global.ca.pin()))
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(detail), "{refused}");
        assert!(!refused.to_string().contains("exj_secret"), "{refused}");
    }
    let wrong = join(&ambient, &pool, &sealer(), &line_with(Pin([7; 32])))
        .await
        .unwrap_err();
    assert!(matches!(wrong, JoinError::Pin { .. }), "{wrong}");
    for address in [
        "http://localhost:1",
        "localhost:8441",
        "https://localhost",
        "https://:1",
    ] {
        let line = Joining {
            global: address.to_owned(),
            ..line_with(global.ca.pin())
        };
        let refused = join(&ambient, &pool, &sealer(), &line).await.unwrap_err();
        assert!(matches!(refused, JoinError::Address(_)), "{address}: {refused}");
    }
    let mut all = db.superuser().await;
    let (regions, keys): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM gw.region), (SELECT count(*) FROM gw.sealed_key)")
            .fetch_one(&mut all)
            .await
            .unwrap();
    assert_eq!((regions, keys), (0, 1), "only the region's own key, for the next try");
}

#[tokio::test]
async fn a_global_that_answers_for_another_key_is_not_joined() {
    let (global, _listening, db) = joining().await;
    let pool = db.app().await;
    let mut tx = SystemTx::begin(&pool, "test").await.unwrap();
    let stranger =
        exarch_common_crypto::sign::SigningKey::generate(exarch_common_crypto::sign::Algorithm::Es384).unwrap();
    let csr = exarch_common_crypto::pki::request(&stranger).unwrap();
    let refused = crate::federation::enlist(&mut tx, &Ambient::system(), &sealer(), "localhost:1", |_| {
        global.joined(&csr)
    })
    .await;
    assert!(matches!(refused, Err(JoinError::Answer(_))), "{:?}", refused.err());
}
