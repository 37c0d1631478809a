//! Row-level security of both databases, as the catalogue has it after all migrations. A new table fails here until it is
//! protected, or named in `common/pg/src/rls/no_tenant.rs` as one that belongs to no tenant.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
use exarch_common_pg::{Schema, rls};
use exarch_common_testkit::db::TestDb;

async fn keeps_the_rules(db: &TestDb, schema: Schema) {
    let expected = rls::Expected::of(schema);
    let findings = rls::audit(&mut db.superuser().await, expected).await.unwrap();
    let told: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn the_globals_tables_break_no_rule() {
    keeps_the_rules(&TestDb::global().await, Schema::Global).await;
}

#[tokio::test]
async fn a_regions_tables_break_no_rule() {
    keeps_the_rules(&TestDb::regional().await, Schema::Regional).await;
}
