use std::time::Duration;

use exarch_common_pg::embedded::StopMode;
use exarch_common_pg::{Login, Schema, Wakeups};
use exarch_common_testkit::db::throwaway_cluster;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_notification_wakes_those_of_its_channel_and_the_period_wakes_the_rest() {
    let db = crate::database().await;
    let wakeups = Wakeups::listen(&db.settings(Login::App), &["lease", "Passport"]);
    let (mut lease, mut passport) = (wakeups.of("lease"), wakeups.of("Passport"));
    // listening begins with a wake-up, for what was said before
    assert!(lease.next(LONG).await && passport.next(LONG).await);
    sqlx::query("SELECT pg_notify('Passport', '')")
        .execute(&mut db.superuser().await)
        .await
        .unwrap();
    assert!(passport.next(LONG).await);
    assert!(!lease.next(Duration::from_millis(20)).await);
}

#[tokio::test]
async fn listening_goes_on_after_the_database_was_away() {
    let mut cluster = throwaway_cluster().await.unwrap();
    let wakeups = Wakeups::listen(&cluster.settings_of(Login::App, Schema::Regional, "exarch"), &["lease"]);
    let mut lease = wakeups.of("lease");
    assert!(lease.next(LONG).await);
    cluster.stop(StopMode::Immediate).await.unwrap();
    cluster.start().await.unwrap();
    assert!(lease.next(LONG).await, "woken because something may have been missed");
    let mut superuser = cluster.superuser_conn("exarch").await.unwrap();
    sqlx::query("NOTIFY lease").execute(&mut superuser).await.unwrap();
    assert!(lease.next(LONG).await);
}
