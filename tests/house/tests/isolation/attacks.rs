//! What somebody with the login of the servers could try by SQL, while a tenant is in force or none is, to learn of another one:
//! a row, how many there are, or that there is one. Each attack that succeeds is told.
//!
//! What this login can do, and what the servers are trusted for: it chooses the tenant in force (`the_context_is_the_servers_word`). And
//! three things of Postgres itself tell numbers, and no values, to any login that may send SQL, which callers never may: EXPLAIN and
//! the statistics of a whole table count rows of all tenants, and a session sees the statements of other sessions of its login.
use super::scene::{Given, MARK_OF_SECOND, MARK_OF_THEIRS, MINE, NOBODYS, Refused, Scene, THEIRS, Table, cluster, run};
use exarch_common_pg::Login;
use sqlx::PgConnection;

/// Refused by a missing right or by row security.
const DENIED: &str = "42501";
const UNIQUE: &str = "23505";
/// What the provider's people asked for, of which they have a list over all tenants.
const OF_THE_PROVIDER: &str = ".break_glass";
/// Postgres keeps one plan for all executions after the fifth.
const EXECUTIONS: usize = 8;

/// An attack that succeeded: on what, and what came of it.
#[derive(Debug)]
pub struct Success {
    pub on: String,
    pub what: String,
}

/// How a statement must end.
#[derive(Clone, Copy, Debug)]
enum Must {
    /// With so many rows, or refused for want of a right.
    Give(usize),
    /// Without touching a row, or refused for want of a right.
    TouchNothing,
    /// Refused for want of a right.
    BeDenied,
    /// In any way but by telling that the key is taken.
    NotBeTaken,
}

/// Who asks: the statement that says so.
struct Context {
    name: &'static str,
    enter: String,
    /// What must not be seen.
    hidden: Vec<String>,
}

/// A foreign key: its name, whose, to what, its columns here and there.
type Reference = (String, String, String, Vec<String>, Vec<String>);

struct Attack<'a> {
    scene: &'a Scene,
    conn: PgConnection,
    found: Vec<Success>,
}

/// All attacks on all tables.
pub async fn all(scene: &Scene) -> Vec<Success> {
    let mut attack = Attack {
        conn: scene.login(Login::App).await,
        found: Vec::new(),
        scene,
    };
    for table in &scene.tables {
        attack.without_a_tenant(table).await;
        attack.reads(table).await;
        attack.writes(table).await;
        attack.copies(table).await;
        attack.clusters(table).await;
        attack.prepared(table).await;
        attack.what_is_left(table).await;
    }
    attack.references().await;
    attack.views().await;
    attack.rights().await;
    attack.other_logins().await;
    attack.found
}

impl Attack<'_> {
    fn enter(&self, tenant: &str, clusters: Option<&str>) -> String {
        let schema = self.scene.schema.name();
        match clusters {
            None => format!("SELECT {schema}.enter({tenant}, true, '{{}}', 'attack')"),
            Some(clusters) => format!("SELECT {schema}.enter({tenant}, false, '{{{clusters}}}', 'attack')"),
        }
    }

    fn mine(&self) -> Context {
        Context {
            name: "as its own tenant",
            enter: self.enter(&format!("'{MINE}'"), None),
            hidden: vec![THEIRS.into(), MARK_OF_THEIRS.into(), cluster(THEIRS, 1)],
        }
    }

    fn succeeded(&mut self, on: &str, what: String) {
        self.found.push(Success {
            on: on.to_owned(),
            what,
        });
    }

    /// One statement in a transaction of its own, rolled back.
    async fn ask(&mut self, context: &Context, sql: &str) -> Result<Given, Refused> {
        run(&mut self.conn, format!("BEGIN; {}", context.enter)).await.unwrap();
        let given = run(&mut self.conn, sql).await;
        run(&mut self.conn, "ROLLBACK").await.unwrap();
        given
    }

    async fn must(&mut self, context: &Context, on: &str, sql: String, must: Must) {
        let given = self.ask(context, &sql).await;
        let hidden = |text: &String| context.hidden.iter().any(|hidden| text.contains(hidden));
        let wrong = match (&given, must) {
            (Ok(given), _) if given.rows.iter().any(hidden) => true,
            (Ok(given), Must::Give(rows)) => given.rows.len() != rows,
            (Ok(given), Must::TouchNothing) => given.touched != 0 || !given.rows.is_empty(),
            (Ok(_), Must::BeDenied) => true,
            (Ok(_), Must::NotBeTaken) => false,
            (Err(refused), Must::NotBeTaken) => refused.code == UNIQUE,
            (Err(refused), _) => refused.code != DENIED || hidden(&refused.text),
        };
        if wrong {
            self.succeeded(on, format!("{}, {must:?}: {sql}: {given:?}", context.name));
        }
    }

    async fn without_a_tenant(&mut self, table: &Table) {
        let row = self.scene.row(table, MINE, MINE).await;
        let (of, names) = (&table.name, table.names());
        let contexts = [
            ("without a context", "SELECT 1".to_owned()),
            ("with an empty context", self.enter("NULL", Some(""))),
            (
                "with clusters and no tenant",
                self.enter("NULL", Some(&cluster(MINE, 1))),
            ),
            ("with all clusters and no tenant", self.enter("NULL", None)),
        ];
        for (name, enter) in contexts {
            let context = Context {
                name,
                enter,
                hidden: Vec::new(),
            };
            let reads = format!("SELECT t::text FROM {of} t");
            self.must(&context, of, reads, Must::Give(0)).await;
            let insert = format!("INSERT INTO {of} ({names}) VALUES ({row})");
            self.must(&context, of, insert, Must::BeDenied).await;
            for change in [
                format!("UPDATE {of} SET tenant_id = tenant_id"),
                format!("DELETE FROM {of}"),
            ] {
                self.must(&context, of, change, Must::TouchNothing).await;
            }
        }
    }

    async fn reads(&mut self, table: &Table) {
        let (mine, of) = (self.mine(), &table.name);
        // Conditions that fail on a row of the other tenant, if they ever get to see one.
        let by_division = format!("1 / (CASE WHEN tenant_id = '{THEIRS}' THEN 0 ELSE 1 END) = 1");
        let by_cast = format!("(CASE WHEN tenant_id = '{THEIRS}' THEN 'theirs' ELSE '1' END)::int = 1");
        for condition in ["true".to_owned(), by_division, by_cast] {
            let reads = format!("SELECT t::text FROM {of} t WHERE {condition}");
            self.must(&mine, of, reads, Must::Give(table.rows)).await;
        }
        let joined = format!("SELECT b::text FROM {of} a JOIN {of} b ON b.tenant_id <> a.tenant_id");
        self.must(&mine, of, joined, Must::Give(0)).await;
        for only in [
            format!("SELECT t::text FROM {of} t WHERE tenant_id = '{THEIRS}'"),
            format!("SELECT t::text FROM {of} t WHERE tenant_id = '{THEIRS}' FOR UPDATE"),
            format!("SELECT 'there is one' WHERE EXISTS (SELECT FROM {of} WHERE tenant_id = '{THEIRS}')"),
            format!("SELECT max(tenant_id::text) FROM {of} HAVING max(tenant_id::text) > '{MINE}'"),
        ] {
            self.must(&mine, of, only, Must::Give(0)).await;
        }
        let (schema, short) = of.split_once('.').unwrap();
        for view in ["pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"] {
            let short = short.trim_matches('"');
            let told = format!("SELECT s::text FROM {view} s WHERE schemaname = '{schema}' AND tablename = '{short}'");
            self.must(&mine, of, told, Must::Give(0)).await;
        }
    }

    async fn writes(&mut self, table: &Table) {
        let (mine, of, names) = (self.mine(), &table.name, table.names());
        let theirs = self.scene.row(table, THEIRS, THEIRS).await;
        // what one would name who knows their ids
        let like_theirs = self.scene.row(table, THEIRS, MINE).await;
        for (insert, must) in [
            (format!("({theirs})"), Must::BeDenied),
            (format!("({theirs}) ON CONFLICT DO NOTHING"), Must::BeDenied),
            (format!("({like_theirs})"), Must::NotBeTaken),
        ] {
            // where a tenant has one row, it is one's own that is in the way
            if table.rows == 1 && matches!(must, Must::NotBeTaken) {
                continue;
            }
            let insert = format!("INSERT INTO {of} ({names}) VALUES {insert}");
            self.must(&mine, of, insert, must).await;
        }
        let given_away = format!("UPDATE {of} SET tenant_id = '{THEIRS}'");
        self.must(&mine, of, given_away, Must::BeDenied).await;
        let merge = format!(
            "MERGE INTO {of} t USING (SELECT '{THEIRS}'::uuid AS id) s ON t.tenant_id = s.id WHEN MATCHED THEN"
        );
        for change in [
            format!("UPDATE {of} SET tenant_id = tenant_id WHERE tenant_id = '{THEIRS}'"),
            format!("UPDATE {of} SET tenant_id = '{MINE}' WHERE tenant_id = '{THEIRS}'"),
            format!("DELETE FROM {of} WHERE tenant_id = '{THEIRS}'"),
            format!("{merge} DELETE"),
            format!("{merge} UPDATE SET tenant_id = '{MINE}'"),
        ] {
            self.must(&mine, of, change, Must::TouchNothing).await;
        }
        for forbidden in [format!("TRUNCATE {of}"), format!("TRUNCATE {of} CASCADE")] {
            self.must(&mine, of, forbidden, Must::BeDenied).await;
        }
    }

    async fn copies(&mut self, table: &Table) {
        use futures_util::TryStreamExt;
        let (mine, of) = (self.mine(), &table.name);
        for out in [
            format!("COPY {of} TO STDOUT"),
            format!("COPY (SELECT * FROM {of}) TO STDOUT"),
        ] {
            run(&mut self.conn, format!("BEGIN; {}", mine.enter)).await.unwrap();
            let copied = match self.conn.copy_out_raw(&out).await {
                Ok(stream) => stream.map_ok(|bytes| bytes.to_vec()).try_collect::<Vec<_>>().await,
                Err(refused) => Err(refused),
            };
            run(&mut self.conn, "ROLLBACK").await.unwrap();
            let text = String::from_utf8_lossy(&copied.unwrap_or_default().concat()).into_owned();
            if mine.hidden.iter().any(|hidden| text.contains(hidden)) {
                self.succeeded(of, format!("{out}: {text}"));
            }
        }
        run(&mut self.conn, format!("BEGIN; {}", mine.enter)).await.unwrap();
        let into = format!("COPY {of} FROM STDIN");
        let taken = match self.conn.copy_in_raw(&into).await {
            Ok(copy) => copy.finish().await.is_ok(),
            Err(_) => false,
        };
        run(&mut self.conn, "ROLLBACK").await.unwrap();
        if taken {
            self.succeeded(of, into);
        }
    }

    /// Who may see one cluster, and what is in the other one of the same tenant.
    async fn clusters(&mut self, table: &Table) {
        if !table.is_in_cluster() {
            return;
        }
        let (of, names) = (&table.name, table.names());
        let second = cluster(MINE, 2);
        let first_only = Context {
            name: "in its first cluster alone",
            enter: self.enter(&format!("'{MINE}'"), Some(&cluster(MINE, 1))),
            hidden: vec![
                THEIRS.into(),
                MARK_OF_THEIRS.into(),
                MARK_OF_SECOND.into(),
                second.clone(),
            ],
        };
        let in_none = Context {
            name: "in no cluster",
            enter: self.enter(&format!("'{MINE}'"), Some("")),
            hidden: vec![MINE.into()],
        };
        let all = format!("SELECT t::text FROM {of} t");
        self.must(&in_none, of, all.clone(), Must::Give(0)).await;
        self.must(&first_only, of, all, Must::Give(1)).await;
        let leaky =
            format!("SELECT t::text FROM {of} t WHERE 1 / (CASE WHEN cluster_id = '{second}' THEN 0 ELSE 1 END) = 1");
        self.must(&first_only, of, leaky, Must::Give(1)).await;
        for change in [
            format!("UPDATE {of} SET tenant_id = tenant_id WHERE cluster_id = '{second}'"),
            format!("DELETE FROM {of} WHERE cluster_id = '{second}'"),
        ] {
            self.must(&first_only, of, change, Must::TouchNothing).await;
        }
        let moved = format!("UPDATE {of} SET cluster_id = '{second}'");
        self.must(&first_only, of, moved, Must::BeDenied).await;
        let elsewhere = self.scene.row(table, MINE, MINE).await;
        let elsewhere = elsewhere.replace(&cluster(MINE, 1), &second);
        let insert = format!("INSERT INTO {of} ({names}) VALUES ({elsewhere})");
        self.must(&first_only, of, insert, Must::BeDenied).await;
    }

    /// A statement that is prepared once and executed for one tenant and another.
    async fn prepared(&mut self, table: &Table) {
        let of = &table.name;
        let prepare = format!("PREPARE attack AS SELECT t::text FROM {of} t");
        if run(&mut self.conn, prepare).await.is_err() {
            return;
        }
        for n in 0..2 * EXECUTIONS {
            let (tenant, hidden) = if n % 2 == 0 { (MINE, THEIRS) } else { (THEIRS, MINE) };
            let context = Context {
                name: "by a prepared statement",
                enter: self.enter(&format!("'{tenant}'"), None),
                hidden: vec![hidden.into()],
            };
            self.must(&context, of, "EXECUTE attack".into(), Must::Give(table.rows))
                .await;
        }
        run(&mut self.conn, "DEALLOCATE attack").await.unwrap();
    }

    /// The next transaction on the connection, however the one before ended.
    async fn what_is_left(&mut self, table: &Table) {
        let (enter, of) = (self.mine().enter, &table.name);
        let nobody = self.enter("NULL", Some(""));
        for before in [
            format!("BEGIN; {enter}; COMMIT"),
            format!("BEGIN; {enter}; ROLLBACK"),
            format!("BEGIN; {enter}; SELECT 1 / 0"),
            enter.clone(),
            format!("BEGIN; {nobody}; SAVEPOINT s; {enter}; ROLLBACK TO s; COMMIT"),
        ] {
            // one of them is to fail
            let _ = run(&mut self.conn, before.clone()).await;
            run(&mut self.conn, "ROLLBACK").await.unwrap();
            match run(&mut self.conn, format!("SELECT t::text FROM {of} t")).await {
                Ok(given) if given.rows.is_empty() => {}
                Err(refused) if refused.code == DENIED => {}
                given => self.succeeded(of, format!("after {before}: {given:?}")),
            }
        }
    }

    /// A reference to a row of another tenant is refused as one to a row that nobody has.
    async fn references(&mut self) {
        let mut db = self.scene.db.superuser().await;
        let keys: Vec<Reference> = sqlx::query_as(
            "SELECT f.conname::text, format('%I.%I', n.nspname, c.relname), format('%I.%I', n.nspname, p.relname),
                    (SELECT array_agg(a.attname::text ORDER BY k.nr) FROM unnest(f.conkey) WITH ORDINALITY k (num, nr)
                       JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num),
                    (SELECT array_agg(a.attname::text ORDER BY k.nr) FROM unnest(f.confkey) WITH ORDINALITY k (num, nr)
                       JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num)
               FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
               JOIN pg_namespace n ON n.oid = f.connamespace AND n.nspname = $1
              WHERE f.contype = 'f' AND f.conparentid = 0",
        )
        .bind(self.scene.schema.name())
        .fetch_all(&mut db)
        .await
        .unwrap();
        let mine = self.mine();
        for (name, child, parent, here, there) in keys {
            let of_tenants = |name: &String| self.scene.tables.iter().any(|table| table.name == *name);
            if !of_tenants(&child) || !of_tenants(&parent) {
                continue;
            }
            let pairs: Vec<_> = here
                .iter()
                .zip(&there)
                .filter(|(here, _)| *here != "tenant_id")
                .collect();
            let columns: Vec<_> = pairs
                .iter()
                .map(|(_, there)| format!("quote_nullable({there:?})"))
                .collect();
            let read = format!(
                "SELECT concat_ws(', ', {}) FROM {parent} WHERE tenant_id = '{THEIRS}' LIMIT 1",
                columns.join(", ")
            );
            let Some(theirs) = run(&mut db, read).await.unwrap().rows.pop() else {
                continue;
            };
            let nobodys = theirs
                .replace(&THEIRS[..8], &NOBODYS[..8])
                .replace(MARK_OF_THEIRS, "of-c-");
            let set: Vec<_> = pairs.iter().map(|(here, _)| format!("{here:?}")).collect();
            let row = if pairs.len() == 1 { "" } else { "ROW" };
            let update = |values: &str| {
                let first = format!("SELECT ctid FROM {child} LIMIT 1");
                format!(
                    "UPDATE {child} SET ({}) = {row}({values}) WHERE ctid = ({first})",
                    set.join(", ")
                )
            };
            let table = self.scene.tables.iter().find(|table| table.name == child).unwrap();
            let insert = |values: &str| {
                let mut values = values.split(", ");
                let other = table.columns.iter().map(|column| match here.contains(&column.name) {
                    true if column.name != "tenant_id" => values.next().unwrap_or("NULL").to_owned(),
                    _ => column.another(),
                });
                let other: Vec<_> = other.collect();
                format!(
                    "INSERT INTO {child} ({}) SELECT {} FROM {child} LIMIT 1",
                    table.names(),
                    other.join(", ")
                )
            };
            let code = |given: Result<Given, Refused>| given.err().map(|refused| refused.code);
            for (theirs, nobodys) in [(update(&theirs), update(&nobodys)), (insert(&theirs), insert(&nobodys))] {
                let to_theirs = code(self.ask(&mine, &theirs).await);
                let to_nobodys = code(self.ask(&mine, &nobodys).await);
                if to_theirs.is_none() || to_theirs != to_nobodys {
                    self.succeeded(
                        &child,
                        format!("{name}: {to_theirs:?} for {theirs}, {to_nobodys:?} for nobody's"),
                    );
                }
            }
        }
    }

    async fn views(&mut self) {
        let mut db = self.scene.db.superuser().await;
        let views = run(
            &mut db,
            format!(
                "SELECT format('%I.%I', schemaname, viewname) FROM pg_views WHERE schemaname = '{}'",
                self.scene.schema.name()
            ),
        );
        let mine = self.mine();
        for view in views.await.unwrap().rows {
            let given = self.ask(&mine, &format!("SELECT v::text FROM {view} v")).await;
            let text = given.map(|given| given.rows.join("\n")).unwrap_or_default();
            if mine.hidden.iter().any(|hidden| text.contains(hidden)) {
                self.succeeded(&view, text);
            }
        }
    }

    /// Ways around row security that a login could be given.
    async fn rights(&mut self) {
        let (mine, schema) = (self.mine(), self.scene.schema.name());
        let of = self.scene.tables[0].name.clone();
        for forbidden in [
            "SET ROLE exarch_owner".to_owned(),
            "SET ROLE exarch_sweep".to_owned(),
            "SET SESSION AUTHORIZATION exarch_owner".to_owned(),
            "SET session_replication_role = replica".to_owned(),
            format!("SET LOCAL row_security = off; SELECT count(*) FROM {of}"),
            "CREATE TEMP TABLE attack (n int)".to_owned(),
            format!("CREATE TABLE {schema}.attack (n int)"),
            format!("CREATE VIEW {schema}.attack AS SELECT * FROM {of}"),
            format!("CREATE FUNCTION {schema}.attack() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
            format!("ALTER TABLE {of} DISABLE ROW LEVEL SECURITY"),
            format!("ALTER TABLE {of} NO FORCE ROW LEVEL SECURITY"),
            format!("CREATE POLICY attack ON {of} FOR SELECT USING (true)"),
            format!("ALTER TABLE {of} ALTER tenant_id DROP NOT NULL"),
            "SELECT starelid FROM pg_statistic".to_owned(),
            "SELECT usename FROM pg_shadow".to_owned(),
            "SELECT pg_read_file('PG_VERSION')".to_owned(),
            "COPY (SELECT 1) TO PROGRAM 'true'".to_owned(),
        ] {
            self.must(&mine, schema, forbidden, Must::BeDenied).await;
        }
    }

    /// The owner is bound too, and the logins for single purposes read no table whole.
    async fn other_logins(&mut self) {
        let mut owner = self.scene.login(Login::Owner).await;
        for table in &self.scene.tables {
            let of = &table.name;
            let given = run(&mut owner, format!("SELECT t::text FROM {of} t")).await.unwrap();
            if !given.rows.is_empty() {
                self.succeeded(of, format!("as its owner: {given:?}"));
            }
        }
        for login in [Login::Sweep, Login::Renew, Login::Operator] {
            let mut conn = self.scene.login(login).await;
            for table in &self.scene.tables {
                let of = &table.name;
                let whole = run(&mut conn, format!("SELECT t::text FROM {of} t")).await;
                if whole.is_ok() && !of.ends_with(OF_THE_PROVIDER) {
                    self.succeeded(of, format!("{login:?} reads it whole"));
                }
            }
        }
    }
}
