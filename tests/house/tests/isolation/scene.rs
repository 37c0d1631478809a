//! A database with rows of two tenants, in two clusters each, in every table that belongs to tenants: the catalogue says which, so
//! that a new table is attacked without anybody thinking of it.
use exarch_common_pg::{Login, Schema};
use exarch_common_testkit::db::TestDb;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::{error::Error, fmt};

/// Tenants and clusters. What is somebody's carries their letter in every text.
pub const MINE: &str = "aaaaaaaa-0000-7000-8000-00000000000a";
pub const THEIRS: &str = "bbbbbbbb-0000-7000-8000-00000000000b";
pub const NOBODYS: &str = "cccccccc-0000-7000-8000-00000000000c";
/// What every text of the other tenant begins with.
pub const MARK_OF_THEIRS: &str = "of-b-";
/// What every text of my second cluster begins with.
pub const MARK_OF_SECOND: &str = "of-a-2";

/// A cluster of a tenant, first or second.
pub fn cluster(tenant: &str, n: u8) -> String {
    format!("{}-1111-7000-8000-{n:012}", &tenant[..8])
}

pub struct Column {
    pub name: String,
    kind: String,
}

impl Column {
    /// Another value than the one of a row, where there can be one.
    pub fn another(&self) -> String {
        let name = format!("{:?}", self.name);
        match (self.name.as_str(), self.kind.as_str()) {
            ("tenant_id" | "cluster_id", _) => name,
            (_, "uuid") => "gen_random_uuid()".to_owned(),
            (_, "text") => format!("{name} || 'x'"),
            (_, "bigint" | "integer") => format!("{name} + 1000"),
            (_, "bytea") => format!("{name} || '\\x00'"),
            _ => name,
        }
    }
}

/// A table that belongs to tenants.
pub struct Table {
    /// With its schema, as it is written in a statement.
    pub name: String,
    pub columns: Vec<Column>,
    /// How many each of the two tenants has: one where there can be no more.
    pub rows: usize,
}

impl Table {
    pub fn is_in_cluster(&self) -> bool {
        self.columns.iter().any(|column| column.name == "cluster_id")
    }

    pub fn names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| format!("{:?}", column.name)).collect();
        names.join(", ")
    }
}

/// What the database said instead of an answer.
#[derive(Debug)]
pub struct Refused {
    pub code: String,
    pub text: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        let report = error.as_database_error();
        let detail = report.and_then(|report| report.try_downcast_ref::<sqlx::postgres::PgDatabaseError>());
        Self {
            code: report.and_then(|report| report.code()).unwrap_or_default().into_owned(),
            text: format!("{error} {}", detail.and_then(|it| it.detail()).unwrap_or_default()),
        }
    }
}

impl Error for Refused {}

/// What a statement gave: the first column of each row as text, and how many rows it touched.
#[derive(Debug, Default)]
pub struct Given {
    pub rows: Vec<String>,
    pub touched: u64,
}

/// Runs statements as they stand.
pub async fn run(conn: &mut PgConnection, sql: impl Into<String>) -> Result<Given, Refused> {
    use futures_util::TryStreamExt;
    let sql: String = sql.into();
    let mut given = Given::default();
    let mut answers = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(conn);
    while let Some(answer) = answers.try_next().await? {
        match answer {
            sqlx::Either::Left(done) => given.touched = done.rows_affected(),
            sqlx::Either::Right(row) => given
                .rows
                .push(row.try_get_unchecked::<Option<String>, _>(0)?.unwrap_or_default()),
        }
    }
    Ok(given)
}

pub struct Scene {
    pub db: TestDb,
    pub schema: Schema,
    pub tables: Vec<Table>,
}

impl Scene {
    pub async fn new(schema: Schema) -> Self {
        let db = TestDb::new(schema).await;
        let mut scene = Self {
            tables: Vec::new(),
            schema,
            db,
        };
        scene.tables = scene.tables().await;
        scene.fill().await;
        scene
    }

    pub async fn login(&self, login: Login) -> PgConnection {
        PgConnection::connect_with(&self.db.settings(login).options)
            .await
            .unwrap()
    }

    async fn tables(&self) -> Vec<Table> {
        let mut db = self.db.superuser().await;
        let rows = sqlx::query(
            "SELECT format('%I.%I', n.nspname, c.relname) AS of, a.attname::text AS name, format_type(a.atttypid, NULL) AS kind
               FROM pg_class c
               JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id')
              ORDER BY c.relname, a.attnum",
        )
        .bind(self.schema.name())
        .fetch_all(&mut db)
        .await
        .unwrap();
        let mut tables: Vec<Table> = Vec::new();
        for row in rows {
            let name: String = row.get("of");
            if tables.last().is_none_or(|last| last.name != name) {
                let (columns, rows) = (Vec::new(), 0);
                tables.push(Table { name, columns, rows });
            }
            let column = Column {
                name: row.get("name"),
                kind: row.get("kind"),
            };
            tables.last_mut().unwrap().columns.push(column);
        }
        tables
    }

    /// As a superuser, past keys, checks and triggers: what stands in a row does not matter here, whose it is does.
    async fn fill(&mut self) {
        let mut db = self.db.superuser().await;
        let checks = format!(
            "DO $$ DECLARE c record; BEGIN
               FOR c IN SELECT conrelid::regclass AS of, conname FROM pg_constraint
                         WHERE contype = 'c' AND coninhcount = 0 AND connamespace = '{}'::regnamespace LOOP
                 EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.of, c.conname);
               END LOOP;
             END $$; SET session_replication_role = replica",
            self.schema.name()
        );
        run(&mut db, checks).await.unwrap();
        let mut n = 0;
        for table in &mut self.tables {
            for (tenant, letter) in [(MINE, 'a'), (THEIRS, 'b')] {
                for of in [1, 2] {
                    n += 1;
                    let values: Vec<_> = table
                        .columns
                        .iter()
                        .map(|it| value(it, tenant, letter, of, n))
                        .collect();
                    let insert = format!(
                        "INSERT INTO {} ({}) VALUES ({})",
                        table.name,
                        table.names(),
                        values.join(", ")
                    );
                    match run(&mut db, insert).await {
                        Ok(_) => table.rows += usize::from(letter == 'a'),
                        Err(taken) if of == 2 && taken.code == "23505" => {}
                        Err(why) => panic!("{}: {why}", table.name),
                    }
                }
            }
        }
        run(&mut db, "ANALYZE").await.unwrap();
    }

    /// A row of somebody's, as it stands in the table, with another tenant if one is given: the values of an INSERT.
    pub async fn row(&self, table: &Table, of: &str, tenant: &str) -> String {
        let mut db = self.db.superuser().await;
        let literals: Vec<_> = table
            .columns
            .iter()
            .map(|column| match column.name.as_str() {
                "tenant_id" => format!("quote_literal('{tenant}')"),
                name => format!("quote_nullable({name:?})"),
            })
            .collect();
        let sql = format!(
            "SELECT concat_ws(', ', {}) FROM {} WHERE tenant_id = '{of}' LIMIT 1",
            literals.join(", "),
            table.name
        );
        run(&mut db, sql).await.unwrap().rows.remove(0)
    }
}

fn value(column: &Column, tenant: &str, letter: char, of: u8, n: u32) -> String {
    match (column.name.as_str(), column.kind.as_str()) {
        ("tenant_id", _) => format!("'{tenant}'"),
        ("cluster_id", _) => format!("'{}'", cluster(tenant, of)),
        (_, "uuid") => format!("'{}-2222-7000-8000-{n:012}'", &tenant[..8]),
        (_, "text" | "character varying") => format!("'of-{letter}-{of}-{n}'"),
        (_, "bytea") => format!("'of-{letter}-{of}-{n}'::bytea"),
        (_, "jsonb" | "json") => format!("'{{\"of\": \"of-{letter}-{of}-{n}\"}}'"),
        (_, "boolean") => "true".to_owned(),
        (_, "timestamp with time zone" | "date") => "now()".to_owned(),
        (_, "interval") => "'1 hour'".to_owned(),
        (_, "inet" | "cidr") => "'192.0.2.1'".to_owned(),
        (_, kind) if kind.ends_with("[]") => "'{}'".to_owned(),
        (_, _) => n.to_string(),
    }
}
