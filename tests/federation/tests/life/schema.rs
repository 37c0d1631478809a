//! A database that is ahead of the program.
use super::{SERVERS, Said};
use exarch_tests_federation::Federation;
use sqlx::AssertSqlSafe;
use std::sync::Arc;

pub async fn a_database_that_a_newer_program_migrated_is_refused_by_name(federation: Arc<Federation>) {
    for (place, schema) in SERVERS.into_iter().zip(["gc", "gw"]) {
        let process = federation.process(place, 2);
        process.stop().await.unwrap();
        let mut db = federation.database(place).await;
        let newer = format!(
            "INSERT INTO {schema}.schema_migration (version, description, success, checksum, execution_time)
             VALUES (9999, 'of another day', true, '\\x00', 0)"
        );
        sqlx::query(AssertSqlSafe(newer)).execute(&mut db).await.unwrap();
        let said = Said::from_now(&federation, place, 2);
        let program = federation.layout().bin.join(match place {
            "global" => "exarch-global",
            _ => "exarch-gateway",
        });
        let settings = federation.replica(place, 2).settings();
        process
            .start(&program, &["serve", "--config", settings.to_str().unwrap()])
            .unwrap();
        let line = said.line(&["9999", "run the newer program"]).await;
        assert!(line.contains(schema), "{line}");
        federation
            .until(super::PATIENCE, "it ends", async || process.pid().is_none())
            .await;
        // The one that was there before goes on: it is stopped by whoever deploys, not by a row.
        assert!(federation.ready(place).await, "{place}");
        let undo = format!("DELETE FROM {schema}.schema_migration WHERE version = 9999");
        sqlx::query(AssertSqlSafe(undo)).execute(&mut db).await.unwrap();
    }
    federation.up().await.unwrap();
}
