use std::collections::BTreeSet;

use exarch_common_pg::Schema;
use exarch_common_pg::rls::{Expected, Finding, Rule, audit};
use exarch_common_testkit::db::throwaway_cluster;
use sqlx::{Connection, PgConnection};

use crate::database;

const EXPECTED: Expected<'static> = Expected {
    schema: Schema::Regional,
    no_tenant: &["instance"],
    append_only: &["note"],
};

async fn findings(conn: &mut PgConnection) -> Vec<Finding> {
    audit(conn, EXPECTED).await.unwrap()
}

/// A violation: the statements that make it, the rule they break, what is named.
type Planted = (&'static str, Rule, &'static str);

const ONE_COLUMN: &str = "CREATE TABLE gw.planted (tenant_id uuid NOT NULL, cluster_id uuid NOT NULL);
                          SELECT gw.protect('gw.planted', 'select');
                          CREATE INDEX ON gw.planted (tenant_id);";

const PLANTED: &[Planted] = &[
    (
        "DROP TABLE gw.planted; CREATE TABLE gw.planted (id int)",
        Rule::Unlisted,
        "gw.planted",
    ),
    ("DROP TABLE gw.instance", Rule::ListedAbsent, "instance"),
    (
        "ALTER TABLE gw.instance ADD tenant_id uuid NOT NULL",
        Rule::ListedWithTenant,
        "gw.instance",
    ),
    (
        "ALTER TABLE gw.thing DISABLE ROW LEVEL SECURITY",
        Rule::NotEnabled,
        "gw.thing",
    ),
    (
        "ALTER TABLE gw.thing NO FORCE ROW LEVEL SECURITY",
        Rule::NotForced,
        "gw.thing",
    ),
    ("DROP POLICY thing_tenant ON gw.thing", Rule::TenantPolicy, "gw.thing"),
    (
        "ALTER POLICY thing_tenant ON gw.thing TO exarch_sweep",
        Rule::TenantPolicy,
        "gw.thing",
    ),
    (
        "ALTER POLICY thing_tenant ON gw.thing WITH CHECK (true)",
        Rule::TenantPolicy,
        "gw.thing",
    ),
    (
        "ALTER POLICY thing_tenant ON gw.thing USING (true)",
        Rule::TenantPolicy,
        "gw.thing",
    ),
    (
        "ALTER POLICY thing_tenant ON gw.thing USING (tenant_id = (SELECT gw.tenant_id()) OR name = 'open')",
        Rule::TenantPolicy,
        "gw.thing",
    ),
    (
        "DROP POLICY thing_tenant ON gw.thing;
         CREATE POLICY thing_tenant ON gw.thing FOR ALL TO exarch_app
           USING (tenant_id = (SELECT gw.tenant_id())) WITH CHECK (tenant_id = (SELECT gw.tenant_id()))",
        Rule::TenantPolicy,
        "gw.thing",
    ),
    (
        "DROP POLICY thing_tenant ON gw.thing;
         CREATE POLICY thing_tenant ON gw.thing AS RESTRICTIVE FOR SELECT TO exarch_app
           USING (tenant_id = (SELECT gw.tenant_id()))",
        Rule::TenantPolicy,
        "gw.thing",
    ),
    ("DROP POLICY thing_cluster ON gw.thing", Rule::ClusterPolicy, "gw.thing"),
    (
        "ALTER POLICY thing_cluster ON gw.thing USING (true)",
        Rule::ClusterPolicy,
        "gw.thing",
    ),
    (
        "ALTER TABLE gw.part ADD cluster_id uuid",
        Rule::ClusterPolicy,
        "gw.part",
    ),
    (
        "CREATE POLICY open ON gw.thing FOR SELECT USING (true)",
        Rule::PolicyForAll,
        "gw.thing",
    ),
    (
        "ALTER TABLE gw.planted ALTER tenant_id DROP NOT NULL",
        Rule::TenantColumn,
        "gw.planted",
    ),
    (
        "CREATE UNIQUE INDEX planted_key ON gw.thing (name)",
        Rule::Key,
        "gw.thing",
    ),
    (
        "ALTER TABLE gw.thing ADD UNIQUE (thing_id, tenant_id)",
        Rule::Key,
        "gw.thing",
    ),
    ("DROP INDEX gw.planted_tenant_id_idx", Rule::NoIndex, "gw.planted"),
    (
        "ALTER TABLE gw.thing ADD CONSTRAINT loose UNIQUE (thing_id);
         ALTER TABLE gw.part ADD FOREIGN KEY (thing_id) REFERENCES gw.thing (thing_id)",
        Rule::ForeignKey,
        "gw.part",
    ),
    (
        "ALTER TABLE gw.part ADD other uuid;
         ALTER TABLE gw.part ADD FOREIGN KEY (other, thing_id) REFERENCES gw.thing (tenant_id, thing_id)",
        Rule::ForeignKey,
        "gw.part",
    ),
    (
        "ALTER TABLE gw.instance ADD t uuid, ADD x uuid;
         ALTER TABLE gw.instance ADD FOREIGN KEY (t, x) REFERENCES gw.thing (tenant_id, thing_id)",
        Rule::ForeignKey,
        "gw.instance",
    ),
    (
        "CREATE VIEW gw.operator_thing AS SELECT thing_id FROM gw.thing",
        Rule::View,
        "gw.operator_thing",
    ),
    (
        "CREATE VIEW gw.operator_thing WITH (security_invoker = false) AS SELECT thing_id FROM gw.thing",
        Rule::View,
        "gw.operator_thing",
    ),
    (
        "CREATE MATERIALIZED VIEW gw.planted_view AS SELECT 1 AS n; GRANT SELECT (n) ON gw.planted_view TO exarch_app",
        Rule::MaterializedView,
        "gw.planted_view",
    ),
    (
        "CREATE FUNCTION gw.lifted() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
         COMMENT ON FUNCTION gw.lifted() IS 'a reason'",
        Rule::Definer,
        "gw.lifted()",
    ),
    (
        "CREATE FUNCTION gw.lifted() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'",
        Rule::Definer,
        "gw.lifted()",
    ),
    (
        "ALTER FUNCTION gw.tenant_id() IMMUTABLE",
        Rule::ContextFunction,
        "gw.tenant_id",
    ),
    (
        "ALTER FUNCTION gw.cluster_ids() VOLATILE",
        Rule::ContextFunction,
        "gw.cluster_ids",
    ),
    (
        "CREATE OR REPLACE FUNCTION gw.tenant_id() RETURNS uuid LANGUAGE sql STABLE
           AS $$ SELECT current_setting('gw.tenant_id', true)::uuid $$",
        Rule::ContextFunction,
        "gw.tenant_id",
    ),
    (
        "GRANT TRUNCATE ON gw.thing TO exarch_app",
        Rule::GrantedBeyond,
        "gw.thing",
    ),
    (
        "GRANT REFERENCES ON gw.thing TO exarch_sweep",
        Rule::GrantedBeyond,
        "gw.thing",
    ),
    (
        "GRANT TRIGGER ON gw.instance TO exarch_app",
        Rule::GrantedBeyond,
        "gw.instance",
    ),
    (
        "CREATE SEQUENCE gw.counter; GRANT UPDATE ON gw.counter TO exarch_app",
        Rule::GrantedBeyond,
        "gw.counter",
    ),
    (
        "GRANT SELECT ON gw.instance TO PUBLIC",
        Rule::GrantedToAll,
        "gw.instance",
    ),
    (
        "GRANT SELECT (name) ON gw.thing TO PUBLIC",
        Rule::GrantedToAll,
        "gw.thing",
    ),
    (
        "GRANT SELECT ON gw.thing TO exarch_sweep",
        Rule::GrantedWhole,
        "gw.thing",
    ),
    (
        "GRANT UPDATE ON gw.thing TO exarch_renew",
        Rule::GrantedWhole,
        "gw.thing",
    ),
    ("DROP TRIGGER rows_stay ON gw.note", Rule::RowsChange, "gw.note"),
    ("DROP TRIGGER table_stays ON gw.note", Rule::RowsChange, "gw.note"),
    (
        "ALTER TABLE gw.note DISABLE TRIGGER rows_stay",
        Rule::RowsChange,
        "gw.note",
    ),
    (
        "ALTER TABLE gw.note ENABLE TRIGGER table_stays",
        Rule::RowsChange,
        "gw.note",
    ),
    (
        "GRANT UPDATE (body) ON gw.note TO exarch_app",
        Rule::RowsChange,
        "gw.note",
    ),
    ("GRANT DELETE ON gw.note TO exarch_app", Rule::RowsChange, "gw.note"),
    (
        "GRANT CREATE ON SCHEMA gw TO exarch_app",
        Rule::LoginCreates,
        "exarch_app",
    ),
];

/// Violations that take a superuser, tried in a cluster of their own because roles belong to all databases of it.
const PLANTED_BY_SUPERUSER: &[Planted] = &[
    ("ALTER TABLE gw.thing OWNER TO exarch_app", Rule::LoginOwns, "gw.thing"),
    (
        "ALTER FUNCTION gw.actor() OWNER TO exarch_operator",
        Rule::LoginOwns,
        "gw.actor()",
    ),
    ("ALTER SCHEMA gw OWNER TO exarch_sweep", Rule::LoginOwns, "schema gw"),
    ("ALTER ROLE exarch_app SUPERUSER", Rule::LoginUnbound, "exarch_app"),
    ("ALTER ROLE exarch_sweep BYPASSRLS", Rule::LoginUnbound, "exarch_sweep"),
    ("ALTER ROLE exarch_renew INHERIT", Rule::LoginUnbound, "exarch_renew"),
    (
        "GRANT exarch_owner TO exarch_operator",
        Rule::LoginMember,
        "exarch_operator",
    ),
    (
        "ALTER ROLE exarch_operator RENAME TO somebody",
        Rule::LoginAbsent,
        "exarch_operator",
    ),
    ("ALTER SCHEMA gw RENAME TO elsewhere", Rule::SchemaAbsent, "gw"),
    (
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
         CREATE FOREIGN TABLE gw.far (tenant_id uuid NOT NULL) SERVER s",
        Rule::ForeignTable,
        "gw.far",
    ),
];

#[tokio::test]
async fn a_sound_schema_has_no_finding_whoever_asks() {
    let db = database().await;
    crate::as_owner(&db, ONE_COLUMN).await;
    for login in exarch_common_pg::Login::ALL {
        let mut conn = PgConnection::connect_with(&db.cluster().options_of(login, db.name()))
            .await
            .unwrap();
        assert_eq!(findings(&mut conn).await, [], "{}", login.name());
    }
}

#[tokio::test]
async fn every_planted_violation_is_found_and_named() {
    let db = database().await;
    crate::as_owner(&db, ONE_COLUMN).await;
    let mut conn = crate::owner_conn(&db).await;
    let mut tried = tried(&mut conn, PLANTED).await;

    let cluster = throwaway_cluster().await.unwrap();
    let mut superuser = cluster.superuser_conn("exarch").await.unwrap();
    for sql in [
        include_str!("../../../../migrations/regional/0001_context.sql"),
        crate::TABLES,
    ] {
        sqlx::raw_sql("SET ROLE exarch_owner")
            .execute(&mut superuser)
            .await
            .unwrap();
        sqlx::raw_sql(sql).execute(&mut superuser).await.unwrap();
    }
    sqlx::raw_sql("RESET ROLE").execute(&mut superuser).await.unwrap();
    assert_eq!(findings(&mut superuser).await, []);
    tried.extend(self::tried(&mut superuser, PLANTED_BY_SUPERUSER).await);

    let untried: Vec<&Rule> = Rule::ALL.iter().filter(|rule| !tried.contains(rule)).collect();
    assert!(untried.is_empty(), "no violation is planted of {untried:?}");
}

/// Plants each violation in a transaction of its own, and answers the rules that were found broken.
async fn tried(conn: &mut PgConnection, planted: &[Planted]) -> BTreeSet<Rule> {
    for (sql, rule, object) in planted {
        let mut tx = conn.begin().await.unwrap();
        sqlx::raw_sql(*sql)
            .execute(&mut *tx)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
        let found = findings(&mut tx).await;
        let hit = found.iter().find(|f| f.rule == *rule && f.object == *object);
        let hit = hit.unwrap_or_else(|| panic!("{sql}: {rule:?} of {object} is not among {found:#?}"));
        let said = hit.to_string();
        assert!(said.contains(object) && said.contains(rule.remedy()), "{said}");
        tx.rollback().await.unwrap();
    }
    planted.iter().map(|(_, rule, _)| *rule).collect()
}

#[tokio::test]
async fn a_partition_is_held_to_the_rules_of_its_table() {
    let db = database().await;
    let mut conn = crate::owner_conn(&db).await;
    let parent = "CREATE TABLE gw.log (tenant_id uuid NOT NULL, seq bigint NOT NULL, day date NOT NULL,
                    PRIMARY KEY (tenant_id, seq, day)) PARTITION BY RANGE (day);
                  SELECT gw.protect('gw.log', 'select', 'insert');
                  SELECT gw.append_only('gw.log');
                  CREATE TABLE gw.log_1 PARTITION OF gw.log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')";
    sqlx::raw_sql(parent).execute(&mut conn).await.unwrap();
    let expected = Expected {
        no_tenant: &[],
        append_only: &["log"],
        ..EXPECTED
    };
    let of_partition = async |conn: &mut PgConnection| {
        let all = audit(conn, expected).await.unwrap();
        all.into_iter()
            .filter(|f| f.object == "gw.log_1")
            .map(|f| f.rule)
            .collect::<Vec<_>>()
    };
    let broken = of_partition(&mut conn).await;
    for rule in [Rule::NotEnabled, Rule::NotForced, Rule::TenantPolicy, Rule::RowsChange] {
        assert!(broken.contains(&rule), "{rule:?} in {broken:?}");
    }
    let mended = "SELECT gw.protect('gw.log_1'); SELECT gw.append_only('gw.log_1')";
    sqlx::raw_sql(mended).execute(&mut conn).await.unwrap();
    assert_eq!(of_partition(&mut conn).await, []);
}
