use exarch_common_pg::{AppPool, DbError, Login, OwnerPool, PoolSettings, Schema, SystemTx, UnfitLogin};
use exarch_common_testkit::db::{TestDb, throwaway_cluster};
use sqlx::Connection;

use crate::database;

fn app_as(db: &TestDb, login: Login) -> PoolSettings {
    db.settings(login)
}

#[tokio::test]
async fn a_pool_refuses_the_owner_and_any_login_but_its_own() {
    let db = database().await;
    let refused = AppPool::connect(app_as(&db, Login::Owner)).await.unwrap_err();
    assert!(
        matches!(refused, DbError::Unfit(UnfitLogin::Owns { .. })),
        "{refused:?}"
    );
    let refused = AppPool::connect(app_as(&db, Login::Sweep)).await.unwrap_err();
    assert!(
        matches!(refused, DbError::Unfit(UnfitLogin::Name { .. })),
        "{refused:?}"
    );
    let refused = OwnerPool::connect(app_as(&db, Login::App)).await.unwrap_err();
    assert!(
        matches!(refused, DbError::Unfit(UnfitLogin::Name { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_login_that_row_security_does_not_bind_is_refused_and_told_why() {
    // roles belong to the whole cluster, so this test has one of its own
    let cluster = throwaway_cluster().await.unwrap();
    let settings = || cluster.settings_of(Login::App, Schema::Regional, "exarch");
    let mut superuser = cluster.superuser_conn("exarch").await.unwrap();
    type Expected = fn(&UnfitLogin) -> bool;
    let cases: [(&'static str, &'static str, Expected); 5] = [
        (
            "ALTER ROLE exarch_app SUPERUSER",
            "ALTER ROLE exarch_app NOSUPERUSER",
            |u| matches!(u, UnfitLogin::Superuser(..)),
        ),
        (
            "ALTER ROLE exarch_app BYPASSRLS",
            "ALTER ROLE exarch_app NOBYPASSRLS",
            |u| matches!(u, UnfitLogin::BypassesRowSecurity(..)),
        ),
        (
            "GRANT exarch_owner TO exarch_app",
            "REVOKE exarch_owner FROM exarch_app",
            |u| matches!(u, UnfitLogin::Member { of, .. } if of == "exarch_owner"),
        ),
        ("CREATE SCHEMA gw AUTHORIZATION exarch_app", "DROP SCHEMA gw", |u| {
            matches!(u, UnfitLogin::Owns { .. })
        }),
        (
            "CREATE SCHEMA gw; CREATE TABLE gw.t (); ALTER TABLE gw.t OWNER TO exarch_app",
            "DROP SCHEMA gw CASCADE",
            |u| matches!(u, UnfitLogin::Owns { object, .. } if object == "gw.t"),
        ),
    ];
    for (spoil, mend, expected) in cases {
        sqlx::raw_sql(spoil).execute(&mut superuser).await.unwrap();
        let DbError::Unfit(unfit) = AppPool::connect(settings()).await.unwrap_err() else {
            panic!("{spoil}")
        };
        assert!(expected(&unfit), "{spoil}: {unfit:?}");
        // a pool that connects later refuses as well, with the same reason
        let lazy = AppPool::lazy(settings());
        let refused = SystemTx::begin(&lazy, "test").await.unwrap_err();
        assert!(
            matches!(&refused, DbError::Unfit(same) if *same == unfit),
            "{spoil}: {refused:?}"
        );
        sqlx::raw_sql(mend).execute(&mut superuser).await.unwrap();
        AppPool::connect(settings()).await.unwrap();
        // and serves once the login has been put right
        lazy.ping().await.unwrap();
    }
    superuser.close().await.unwrap();
}

#[tokio::test]
async fn the_logins_have_no_rights_beyond_what_was_granted() {
    let db = database().await;
    for login in [Login::App, Login::Sweep, Login::Renew, Login::Operator] {
        let mut conn = sqlx::PgConnection::connect_with(&db.cluster().options_of(login, db.name()))
            .await
            .unwrap();
        for forbidden in [
            "CREATE TABLE gw.mine ()",
            "CREATE TABLE public.mine ()",
            "CREATE TEMPORARY TABLE mine ()",
            "CREATE SCHEMA mine",
            "SET ROLE exarch_owner",
            "ALTER TABLE gw.thing DISABLE ROW LEVEL SECURITY",
            "TRUNCATE gw.thing",
            "COPY gw.thing TO PROGRAM 'true'",
            "SELECT gw.protect('gw.thing', 'select')",
            "SELECT gw.append_only('gw.thing')",
        ] {
            let refused = sqlx::query(forbidden).execute(&mut conn).await;
            assert!(refused.is_err(), "{}: {forbidden}", login.name());
        }
    }
}
