//! The crate's promises, held against a real server.
#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod context;
mod embedded;
mod errors;
mod logins;
mod migrations;
mod outages;
mod pooler;
mod read;
mod row_security;
mod wakeups;

use exarch_common_base::{ClusterId, TenantId};
use exarch_common_pg::{Clusters, Login, TenantContext};
use exarch_common_testkit::db::TestDb;
use sqlx::{AssertSqlSafe, PgConnection};

/// Tables of tenants and of none, as a room would make them.
const TABLES: &str = "
    CREATE TABLE gw.thing (
        tenant_id uuid NOT NULL, thing_id uuid NOT NULL, cluster_id uuid NOT NULL, name text NOT NULL,
        CONSTRAINT thing_pkey PRIMARY KEY (tenant_id, thing_id),
        CONSTRAINT thing_name_key UNIQUE (tenant_id, name) DEFERRABLE,
        CONSTRAINT thing_name_check CHECK (name <> ''));
    SELECT gw.protect('gw.thing', 'select', 'insert', 'update', 'delete');
    CREATE TABLE gw.part (
        tenant_id uuid NOT NULL, part_id uuid NOT NULL, thing_id uuid NOT NULL,
        CONSTRAINT part_pkey PRIMARY KEY (tenant_id, part_id),
        CONSTRAINT part_thing_fkey FOREIGN KEY (tenant_id, thing_id) REFERENCES gw.thing (tenant_id, thing_id));
    SELECT gw.protect('gw.part', 'select', 'insert');
    CREATE TABLE gw.note (
        tenant_id uuid NOT NULL, seq bigint NOT NULL, body text NOT NULL,
        CONSTRAINT note_pkey PRIMARY KEY (tenant_id, seq));
    SELECT gw.protect('gw.note', 'select', 'insert');
    SELECT gw.append_only('gw.note');
    CREATE TABLE gw.instance (instance_id uuid PRIMARY KEY, name text NOT NULL);
    GRANT SELECT, INSERT ON gw.instance TO exarch_app;
    CREATE POLICY thing_sweep ON gw.thing FOR SELECT TO exarch_sweep USING (true);
    GRANT SELECT (tenant_id, thing_id) ON gw.thing TO exarch_sweep;
    CREATE POLICY thing_renew ON gw.thing FOR SELECT TO exarch_renew USING (true);
    GRANT SELECT (thing_id) ON gw.thing TO exarch_renew;
";

/// The first migration alone: what this crate promises does not hang on the rooms' tables.
const CONTEXT: &str = include_str!("../../../../migrations/regional/0001_context.sql");

async fn database() -> TestDb {
    let db = TestDb::regional().await;
    for sql in ["DROP SCHEMA gw CASCADE", CONTEXT, TABLES] {
        as_owner(&db, sql).await;
    }
    db
}

/// Runs statements as the owner, as a migration would.
async fn as_owner(db: &TestDb, sql: &'static str) {
    let mut conn = owner_conn(db).await;
    sqlx::raw_sql(sql)
        .execute(&mut conn)
        .await
        .expect("the owner's statements");
}

async fn owner_conn(db: &TestDb) -> PgConnection {
    use sqlx::Connection;
    PgConnection::connect_with(&db.cluster().options_of(Login::Owner, db.name()))
        .await
        .expect("the owner's connection")
}

fn tenant(n: u128) -> TenantContext {
    TenantContext {
        tenant: id::<TenantId>(n),
        clusters: Clusters::All,
        actor: format!("usr_{n}"),
    }
}

fn id<I: exarch_common_base::Id>(n: u128) -> I {
    I::from(uuid::Uuid::from_u128(n))
}

fn cluster(n: u128) -> ClusterId {
    id(n)
}

async fn count(conn: &mut PgConnection, table: &'static str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM gw.{table}"));
    sqlx::query_scalar(sql).fetch_one(conn).await.expect("a count")
}

async fn add_thing(
    conn: &mut PgConnection,
    of: TenantId,
    thing: u128,
    at: ClusterId,
    name: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO gw.thing (tenant_id, thing_id, cluster_id, name) VALUES ($1, $2, $3, $4)")
        .bind(of.uuid())
        .bind(uuid::Uuid::from_u128(thing))
        .bind(at.uuid())
        .bind(name)
        .execute(conn)
        .await
        .map(|_| ())
}

/// One thing of tenant 1 in cluster 1, one in cluster 2; one of tenant 2.
async fn filled() -> TestDb {
    use exarch_common_pg::TenantTx;
    let db = database().await;
    let app = db.app().await;
    for (of, thing, at) in [(1, 11, 1), (1, 12, 2), (2, 21, 3)] {
        let mut tx = TenantTx::begin(&app, &tenant(of)).await.expect("a transaction");
        let of = tx.tenant();
        add_thing(tx.conn(), of, thing, cluster(at), &format!("thing {thing}"))
            .await
            .expect("a thing");
        tx.commit().await.expect("its commit");
    }
    app.close().await;
    db
}
