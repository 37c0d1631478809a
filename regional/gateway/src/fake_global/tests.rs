//! The passport on its way into force, on a real database and a real disk.
use super::{FakeGlobal, open};
use crate::directory::{Directory, Offer, Refused, Taken};
use exarch_common_base::{Ambient, ManualClock};
use exarch_common_crypto::sign::{Algorithm, SigningKey};
use exarch_common_pg::SystemTx;
use exarch_common_testkit::db::TestDb;
use exarch_common_wire::{
    passport::{KEYS, Keys, Push, Refusal, Tier, UserKey, tenant_section},
    user_token::Version,
};
use std::{fs, time::Duration};
use tempfile::TempDir;
use time::macros::datetime;

mod starts;

const HOUR: Duration = Duration::from_secs(3600);

struct Fixture {
    ambient: Ambient,
    clock: ManualClock,
    global: FakeGlobal,
    db: TestDb,
    dir: TempDir,
}

async fn fixture() -> Fixture {
    exarch_common_crypto::init().unwrap();
    let (ambient, clock) = Ambient::manual(datetime!(2026-01-01 12:00 UTC), 1);
    let global = FakeGlobal::new(&ambient);
    let db = TestDb::regional().await;
    global.enlist(&db, "localhost:1").await;
    Fixture {
        ambient,
        clock,
        global,
        db,
        dir: tempfile::tempdir().unwrap(),
    }
}

impl Fixture {
    /// A replica of the region on this disk.
    async fn replica(&self, dir: &TempDir) -> crate::app::App {
        open(&self.ambient, &self.db, dir.path()).await
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&mut self.db.superuser().await).await.unwrap();
    }
}

fn version(directory: &Directory) -> Option<Version> {
    directory.current().as_ref().map(|index| index.version())
}

#[tokio::test]
async fn a_passport_is_applied_and_other_replicas_pick_it_up() {
    let f = fixture().await;
    let other_dir = tempfile::tempdir().unwrap();
    let (one, other) = (f.replica(&f.dir).await, f.replica(&other_dir).await);
    assert_eq!(one.directory.tier(), None);
    let person = f.global.tenant("acme", |_| {});
    let taken = one
        .directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    assert_eq!(taken, Taken::Applied(f.global.version()));
    assert_eq!(one.directory.tier(), Some(Tier::Fresh));
    assert_eq!(other.directory.tier(), None);
    other.directory.look().await.unwrap();
    let index = other.directory.current();
    let tenant = index.as_ref().unwrap().tenant(person.tenant).unwrap();
    assert_eq!((tenant.slug.as_str(), tenant.users.len()), ("acme", 1));

    // A change moves one section; the other replica reads only that.
    let before = f.global.version();
    f.global.revoke(person.session);
    let push = f.global.push(Some(before));
    assert_eq!(push.entries.len(), 1);
    let taken = one.directory.take(Offer::Changes(&push), Some("j1")).await.unwrap();
    assert_eq!(taken, Taken::Applied(f.global.version()));
    other.directory.look().await.unwrap();
    assert!(other.directory.current().as_ref().unwrap().revoked(person.session));

    // So does a newer statement, with the age.
    f.clock.advance(HOUR);
    let confirmed = f.global.restated(f.ambient.now().unix_timestamp());
    assert_eq!(
        one.directory.take(Offer::Changes(&confirmed), None).await.unwrap(),
        Taken::Confirmed
    );
    assert_eq!((one.directory.age(), other.directory.age()), (Some(0), Some(3600)));
    other.directory.look().await.unwrap();
    assert_eq!(other.directory.age(), Some(0));
}

/// Each offer is refused for its reason, and changes nothing but what is reported.
#[tokio::test]
async fn what_does_not_hold_is_refused_reported_and_kept_aside_and_the_last_good_one_stays() {
    let f = fixture().await;
    let app = f.replica(&f.dir).await;
    let person = f.global.tenant("acme", |_| {});
    let first = f.global.push(None);
    app.directory.take(Offer::Whole(&first), None).await.unwrap();
    let good = f.global.version();
    f.global.tenant("globex", |_| {});
    app.directory
        .take(Offer::Changes(&f.global.push(Some(good))), None)
        .await
        .unwrap();
    let good = f.global.version();
    f.global.revoke(person.session);
    let next = f.global.push(None);
    let with = |change: &dyn Fn(&mut Push)| {
        let mut push = next.clone();
        change(&mut push);
        push
    };
    fn flip(bytes: &mut [u8]) {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    let section = tenant_section(person.tenant);
    let signature = |offer: &Refused| matches!(offer, Refused::Invalid(Refusal::Signature(..)));
    type Is = dyn Fn(&Refused) -> bool;
    let cases: Vec<(&str, Push, Box<Is>)> = vec![
        (
            "a flipped byte in the manifest",
            with(&|p| flip(&mut p.manifest)),
            Box::new(signature),
        ),
        (
            "a flipped byte in the statement",
            with(&|p| flip(&mut p.statement)),
            Box::new(signature),
        ),
        (
            "a flipped byte in a section",
            with(&|p| flip(&mut p.sections.get_mut(&section).unwrap().0)),
            Box::new(|r| matches!(r, Refused::Invalid(Refusal::Section(_)))),
        ),
        (
            "a section that is not in the list",
            with(&|p| p.entries.retain(|e| e.id != section)),
            Box::new(|r| *r == Refused::Invalid(Refusal::Entries)),
        ),
        (
            "the version before",
            first.clone(),
            Box::new(|r| matches!(r, Refused::Invalid(Refusal::Lower(..)))),
        ),
        (
            "another region's",
            f.global.push_for(f.ambient.id(), None),
            Box::new(|r| *r == Refused::Invalid(Refusal::OtherRegion)),
        ),
        (
            "the statement about another",
            with(&|p| p.statement.clone_from(&first.statement)),
            Box::new(|r| *r == Refused::Invalid(Refusal::OtherManifest)),
        ),
    ];
    for (n, (what, push, is)) in cases.iter().enumerate() {
        f.clock.advance(Duration::from_secs(1));
        let taken = app.directory.take(Offer::Whole(push), Some(what)).await.unwrap();
        assert!(
            matches!(&taken, Taken::Refused(cause) if is(cause)),
            "{what}: {taken:?}"
        );
        assert_eq!(version(&app.directory), Some(good), "{what}");
        assert!(
            !app.directory.current().as_ref().unwrap().revoked(person.session),
            "{what}"
        );
        let told = app.directory.refused().expect("to be reported");
        app.directory.told(&told);
        assert_eq!(app.directory.refused(), None);
        assert_eq!(
            fs::read_dir(f.dir.path().join("refused")).unwrap().count(),
            n + 1,
            "{what}"
        );
    }

    // A section of a kind that this version must know and does not.
    f.global.put_as("quorum", &"?", true);
    let taken = app
        .directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    assert_eq!(
        taken,
        Taken::Refused(Refusal::UnknownCritical("quorum".to_owned()).into())
    );
    // One that it need not know.
    f.global.put_as("quorum", &"?", false);
    let taken = app
        .directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    assert_eq!(taken, Taken::Applied(f.global.version()));
    let good = f.global.version();

    // One that verifies and cannot be laid out.
    let keys = Keys {
        issuer: "x".to_owned(),
        keys: vec![UserKey {
            kid: "k".to_owned(),
            public: "AAAA".to_owned(),
        }],
    };
    f.global.put(KEYS, &keys);
    let taken = app
        .directory
        .take(Offer::Changes(&f.global.push(Some(good))), None)
        .await
        .unwrap();
    assert!(matches!(taken, Taken::Refused(Refused::Unusable(_))), "{taken:?}");
    assert_eq!(version(&app.directory), Some(good));

    // After a restart the last good one is still the one in force.
    drop(app);
    assert_eq!(version(&f.replica(&f.dir).await.directory), Some(good));
}

#[tokio::test]
async fn another_passport_of_the_same_number_is_refused() {
    let f = fixture().await;
    let app = f.replica(&f.dir).await;
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    let have = version(&app.directory);
    // The same key signs another manifest under the same number.
    let (ambient, _) = Ambient::manual(f.ambient.now(), 77);
    let mut twin = FakeGlobal::new(&ambient);
    twin.region = f.global.region;
    drop(
        twin.switch(
            f.global
                .switch(("gone".into(), SigningKey::generate(Algorithm::Ed25519).unwrap())),
        ),
    );
    assert_eq!(Some(twin.version()), have);
    let taken = app.directory.take(Offer::Whole(&twin.push(None)), None).await.unwrap();
    assert!(
        matches!(taken, Taken::Refused(Refused::Invalid(Refusal::OtherManifest))),
        "{taken:?}"
    );
}

#[tokio::test]
async fn changes_of_something_else_are_asked_for_anew_and_what_is_missing_is_named() {
    let f = fixture().await;
    let app = f.replica(&f.dir).await;
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    f.global.tenant("acme", |_| {});
    let between = f.global.version();
    let person = f.global.tenant("globex", |_| {});
    let taken = app
        .directory
        .take(Offer::Changes(&f.global.push(Some(between))), None)
        .await
        .unwrap();
    assert_eq!(taken, Taken::OutOfStep);
    let mut push = f.global.push(version(&app.directory));
    push.sections.remove(&tenant_section(person.tenant));
    let taken = app.directory.take(Offer::Changes(&push), None).await.unwrap();
    assert!(
        matches!(&taken, Taken::Needs(entries) if entries.len() == 1),
        "{taken:?}"
    );
    assert_eq!(app.directory.refused(), None);
}

#[tokio::test]
async fn the_number_of_a_request_is_used_up_with_its_effect_on_every_replica() {
    let f = fixture().await;
    let other_dir = tempfile::tempdir().unwrap();
    let (one, other) = (f.replica(&f.dir).await, f.replica(&other_dir).await);
    one.directory
        .take(Offer::Whole(&f.global.push(None)), Some("j"))
        .await
        .unwrap();
    f.global.tenant("acme", |_| {});
    let push = f.global.push(None);
    for directory in [&one.directory, &other.directory] {
        let replayed = directory.take(Offer::Whole(&push), Some("j")).await;
        assert!(replayed.is_err(), "{replayed:?}");
        assert_ne!(version(directory), Some(f.global.version()));
    }
    assert!(one.directory.take(Offer::Whole(&push), Some("k")).await.is_ok());
}

#[tokio::test]
async fn two_replicas_that_apply_at_once_end_with_the_newest() {
    let f = fixture().await;
    let other_dir = tempfile::tempdir().unwrap();
    let (one, other) = (f.replica(&f.dir).await, f.replica(&other_dir).await);
    let first = f.global.push(None);
    f.global.tenant("acme", |_| {});
    let second = f.global.push(None);
    let (a, b) = tokio::join!(
        one.directory.take(Offer::Whole(&first), None),
        other.directory.take(Offer::Whole(&second), None)
    );
    assert!(a.is_ok(), "{a:?}");
    assert_eq!(b.unwrap(), Taken::Applied(f.global.version()));
    one.directory.look().await.unwrap();
    assert_eq!(version(&one.directory), Some(f.global.version()));
}

#[tokio::test]
async fn only_a_newer_statement_about_the_passport_in_force_makes_it_younger() {
    let f = fixture().await;
    let app = f.replica(&f.dir).await;
    let start = f.ambient.now().unix_timestamp();
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    let replayed = f.global.restated(start + 60);
    f.clock.advance(HOUR);
    app.directory
        .take(Offer::Changes(&f.global.restated(start + 3600)), None)
        .await
        .unwrap();
    assert_eq!(app.directory.age(), Some(0));
    f.clock.advance(HOUR);
    assert_eq!(
        app.directory.take(Offer::Changes(&replayed), None).await.unwrap(),
        Taken::Known
    );
    assert_eq!(app.directory.age(), Some(3600));
    let mut forged = f.global.restated(start + 7200);
    let middle = forged.statement.len() / 2;
    forged.statement[middle] ^= 1;
    let taken = app.directory.take(Offer::Changes(&forged), None).await.unwrap();
    assert!(matches!(taken, Taken::Refused(_)), "{taken:?}");
    assert_eq!(app.directory.age(), Some(3600));
    // What was kept is the newest statement, not the one that came with the passport.
    drop(app);
    assert_eq!(f.replica(&f.dir).await.directory.as_of(), Some(start + 3600));
}

#[tokio::test]
async fn the_next_authority_signs_after_it_was_announced_and_the_old_one_no_more_after_it_was_taken_out() {
    let f = fixture().await;
    let app = f.replica(&f.dir).await;
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    let next = || ("a2".to_owned(), SigningKey::generate(Algorithm::Ed25519).unwrap());
    let stranger = f.global.switch(next());
    let unannounced = f.global.push(None);
    let have = version(&app.directory);
    let second = f.global.switch(stranger);
    f.global.announce(Some(&second));
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    let first = f.global.switch(second);
    f.global.announce(None);
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    assert!(version(&app.directory) > have);
    // Also after a restart.
    drop(app);
    let app = f.replica(&f.dir).await;
    assert_eq!(version(&app.directory), Some(f.global.version()));
    let second = f.global.switch(first);
    f.global.tenant("acme", |_| {});
    for push in [f.global.push(None), unannounced] {
        let taken = app.directory.take(Offer::Whole(&push), None).await.unwrap();
        assert!(matches!(taken, Taken::Refused(_)), "{taken:?}");
    }
    f.global.switch(second);
    let taken = app
        .directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    assert!(matches!(taken, Taken::Applied(_)), "{taken:?}");
}

#[tokio::test]
async fn the_database_keeps_the_last_two_passports_and_no_contents_that_neither_needs() {
    let f = fixture().await;
    let app = f.replica(&f.dir).await;
    let person = f.global.tenant("acme", |_| {});
    for _ in 0..4 {
        app.directory
            .take(Offer::Whole(&f.global.push(None)), None)
            .await
            .unwrap();
        f.global.change_tenant(person, "acme", |_| {});
    }
    let mut tx = SystemTx::begin(&app.app_pool, "test").await.unwrap();
    let count = |sql: &'static str| sqlx::query_scalar::<_, i64>(sql);
    let passports = count("SELECT count(*) FROM gw.passport")
        .fetch_one(tx.conn())
        .await
        .unwrap();
    let sections = count("SELECT count(*) FROM gw.passport_section")
        .fetch_one(tx.conn())
        .await
        .unwrap();
    // keys, authority, revocations, and the tenant in two versions
    assert_eq!((passports, sections), (2, 5));
}
