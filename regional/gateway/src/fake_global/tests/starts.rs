//! What a start finds, without the global and after disk, database or clock were set back.
use super::*;

/// Killed between the steps of applying: after the database, before the disk; and the other way round, a database that lost
/// what the disk has.
#[tokio::test]
async fn a_start_finds_the_passport_in_the_database_or_on_the_disk_without_the_global() {
    let f = fixture().await;
    let app = f.replica(&f.dir).await;
    let person = f.global.tenant("acme", |_| {});
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    let applied = f.global.version();
    drop(app);

    let empty = tempfile::tempdir().unwrap();
    let app = f.replica(&empty).await;
    assert_eq!(version(&app.directory), Some(applied));
    assert!(
        app.directory
            .current()
            .as_ref()
            .unwrap()
            .tenant(person.tenant)
            .is_some()
    );
    drop(app);

    f.execute("DELETE FROM gw.passport").await;
    f.execute("DELETE FROM gw.passport_section").await;
    let app = f.replica(&empty).await;
    assert_eq!(
        version(&app.directory),
        Some(applied),
        "from the disk that the start before wrote"
    );
    drop(app);
    let app = f.replica(&tempfile::tempdir().unwrap()).await;
    assert_eq!(
        version(&app.directory),
        Some(applied),
        "and from the database that the disk restored"
    );
}

#[tokio::test]
async fn a_disk_or_database_that_was_set_back_brings_nothing_back() {
    let f = fixture().await;
    let app = f.replica(&f.dir).await;
    let person = f.global.tenant("acme", |_| {});
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    let old: Vec<_> = fs::read_dir(f.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "cbor"))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    f.global.revoke(person.session);
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    drop(app);
    f.execute("DELETE FROM gw.passport WHERE version = (SELECT max(version) FROM gw.passport)")
        .await;
    for entry in fs::read_dir(f.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "cbor") {
            fs::remove_file(path).unwrap();
        }
    }
    for (path, bytes) in &old {
        fs::write(path, bytes).unwrap();
    }
    let app = f.replica(&f.dir).await;
    assert_eq!(
        app.directory.tier(),
        None,
        "the mark of the disk and of the database is above it"
    );
    // The global's answer mends it.
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    assert_eq!(version(&app.directory), Some(f.global.version()));

    // The database alone is set back, mark and all: the disk knows better.
    drop(app);
    f.execute("DELETE FROM gw.passport WHERE version = (SELECT max(version) FROM gw.passport)")
        .await;
    f.execute("UPDATE gw.region_state SET high_generation = 0, high_version = 0")
        .await;
    let app = f.replica(&f.dir).await;
    assert_eq!(version(&app.directory), Some(f.global.version()));
}

#[tokio::test]
async fn a_restart_and_a_clock_set_back_leave_a_passport_as_old_as_it_is() {
    let f = fixture().await;
    let app = f.replica(&f.dir).await;
    app.directory
        .take(Offer::Whole(&f.global.push(None)), None)
        .await
        .unwrap();
    f.clock.advance(10 * HOUR);
    app.directory.keep_time().await;
    drop(app);
    f.clock.step_wall(time::Duration::hours(-9));
    let app = f.replica(&f.dir).await;
    assert_eq!(app.directory.age(), Some(10 * 3600));
    assert_eq!(app.directory.tier(), Some(Tier::Stale));
    f.clock.advance(63 * HOUR);
    assert_eq!(app.directory.tier(), Some(Tier::Expired));
}
