use exarch_common_pg::migrate::{SchemaError, StepState};
use exarch_common_pg::{AppPool, Login, Migrations, OwnerPool, Schema};
use exarch_common_testkit::db::{TestDb, throwaway_cluster};
use sqlx::Connection;

#[tokio::test]
async fn both_schemas_live_in_one_database_and_a_second_run_does_nothing() {
    let cluster = throwaway_cluster().await.unwrap();
    for schema in [Schema::Global, Schema::Regional] {
        let settings = cluster.settings_of(Login::Owner, schema, "exarch");
        let owner = OwnerPool::connect(settings).await.unwrap();
        let app = AppPool::connect(cluster.settings_of(Login::App, schema, "exarch"))
            .await
            .unwrap();
        let migrations = Migrations::of(schema);
        let refused = migrations.refuse_newer_schema(&app).await.unwrap_err();
        assert!(
            matches!(refused, SchemaError::Pending { version: 1, .. }),
            "{refused:?}"
        );
        let (one, other) = tokio::join!(migrations.up(&owner), migrations.up(&owner));
        assert!(one.unwrap() > 0);
        other.unwrap();
        assert_eq!(migrations.up(&owner).await.unwrap(), 0);
        migrations.refuse_newer_schema(&app).await.unwrap();
        let steps = migrations.status(&app).await.unwrap();
        assert!(steps.iter().all(|step| matches!(step.state, StepState::Applied(_))));
    }
}

#[tokio::test]
async fn a_newer_and_a_changed_schema_are_refused_by_name() {
    let db = TestDb::regional().await;
    let (app, owner) = (db.app().await, db.owner().await);
    let migrations = Migrations::regional();
    migrations.refuse_newer_schema(&app).await.unwrap();
    crate::as_owner(&db, "UPDATE gw.schema_migration SET checksum = 'x' WHERE version = 1").await;
    let refused = migrations.refuse_newer_schema(&app).await.unwrap_err();
    assert!(
        matches!(refused, SchemaError::Changed { version: 1, .. }),
        "{refused:?}"
    );
    assert!(matches!(migrations.up(&owner).await, Err(SchemaError::Changed { .. })));
    let newer = "INSERT INTO gw.schema_migration SELECT 9999, 'from the future', now(), true, 'x', 0";
    crate::as_owner(&db, newer).await;
    let refused = migrations.refuse_newer_schema(&app).await.unwrap_err();
    assert!(matches!(refused, SchemaError::Newer { found: 9999, .. }), "{refused:?}");
    assert!(matches!(migrations.up(&owner).await, Err(SchemaError::Newer { .. })));
}

#[tokio::test]
async fn the_schema_is_refused_to_anybody_but_its_owner() {
    let cluster = throwaway_cluster().await.unwrap();
    let mut superuser = cluster.superuser_conn("exarch").await.unwrap();
    let refused = sqlx::raw_sql(crate::CONTEXT).execute(&mut superuser).await.unwrap_err();
    assert!(refused.to_string().contains("exarch_owner"), "{refused}");
    superuser.close().await.unwrap();
}
