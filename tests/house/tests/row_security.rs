//! Row-level security of both databases, as the catalogue has it after all migrations. A new table fails here until it is
//! protected, or named as one that belongs to no tenant.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
use exarch_common_pg::{Schema, rls};
use exarch_common_testkit::db::TestDb;

const OF_NO_TENANT_AT_THE_GLOBAL: &[&str] = &[
    "device_grant",
    "installation",
    "instance",
    "join_token",
    "leader",
    "mail",
    "mail_limit",
    "mail_token",
    "passport",
    "passport_section",
    "probe",
    "refresh_family",
    "recovery_code",
    "region",
    "region_certificate",
    "region_health",
    "region_request",
    "sealed_key",
    "service_jti",
    "service_secret",
    "session",
    "sign_in_attempt",
    "sign_in_ticket",
    "staff_binding",
    "tenant",
    "totp",
    "totp_used_step",
    "tunnel",
    "user",
];

const OF_NO_TENANT_IN_A_REGION: &[&str] = &[
    "authority_key",
    "instance",
    "local_version",
    "next_secret",
    "passport",
    "passport_section",
    "region",
    "region_state",
    "sealed_key",
    "service_jti",
];

async fn keeps_the_rules(db: &TestDb, schema: Schema, no_tenant: &[&str]) {
    let expected = rls::Expected {
        schema,
        no_tenant,
        append_only: &["audit"],
    };
    let findings = rls::audit(&mut db.superuser().await, expected).await.unwrap();
    let told: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn the_globals_tables_break_no_rule() {
    keeps_the_rules(&TestDb::global().await, Schema::Global, OF_NO_TENANT_AT_THE_GLOBAL).await;
}

#[tokio::test]
async fn a_regions_tables_break_no_rule() {
    keeps_the_rules(&TestDb::regional().await, Schema::Regional, OF_NO_TENANT_IN_A_REGION).await;
}
