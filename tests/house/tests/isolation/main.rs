//! Tenants are kept apart by the database and by nothing else: so everything is tried that its login could be made to send. On
//! both databases, on every table that the catalogue has; and on databases with one thing taken away, where the attacks succeed, so that
//! it is known that they would.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod attacks;
mod scene;

use attacks::Success;
use exarch_common_base::Outcome;
use exarch_common_pg::{Login, Schema, doctor, rls};
use exarch_common_testkit::db::TestDb;
use scene::{MINE, Scene, THEIRS, run};
use std::collections::BTreeSet;

const BOTH: [Schema; 2] = [Schema::Global, Schema::Regional];

fn told(found: &[Success]) -> Vec<String> {
    found.iter().map(|it| format!("{}: {}", it.on, it.what)).collect()
}

#[tokio::test]
async fn nothing_of_another_tenant_comes_out_of_any_table() {
    for schema in BOTH {
        let scene = Scene::new(schema).await;
        assert!(scene.tables.len() > 5, "{:?} has tables of tenants", schema);
        let found = attacks::all(&scene).await;
        assert!(found.is_empty(), "{:#?}", told(&found));
    }
}

#[tokio::test]
async fn doctor_names_what_breaks_a_rule_and_nothing_else() {
    for schema in BOTH {
        let db = TestDb::new(schema).await;
        let app = db.settings(Login::App);
        let found = doctor::row_security(schema, &app).await;
        assert_eq!(found.len(), 1);
        assert!(found[0].outcome == Outcome::Ok, "{found:?}");
        let planted = format!(
            "DROP POLICY audit_tenant ON {0}.audit; GRANT TRUNCATE ON {0}.audit_head TO exarch_app",
            schema.name()
        );
        run(&mut db.superuser().await, planted).await.unwrap();
        let found = doctor::row_security(schema, &app).await;
        let named = |what: &str| {
            found
                .iter()
                .any(|it| it.outcome == Outcome::Bad && it.symptom.contains(what))
        };
        assert!(
            found.len() == 2 && named(".audit ") && named(".audit_head "),
            "{found:?}"
        );
    }
}

/// What the servers are trusted for, said as a test: whoever has their login chooses the tenant.
#[tokio::test]
async fn the_context_is_the_servers_word() {
    for schema in BOTH {
        let scene = Scene::new(schema).await;
        let mut conn = scene.login(Login::App).await;
        let (name, first) = (schema.name(), &scene.tables[0]);
        let other = format!(
            "BEGIN; SELECT {name}.enter('{MINE}', true, '{{}}', 'attack');
             SELECT set_config('{name}.tenant_id', '{THEIRS}', true)"
        );
        run(&mut conn, other).await.unwrap();
        let given = run(&mut conn, format!("SELECT t::text FROM {} t", first.name))
            .await
            .unwrap();
        assert_eq!(given.rows.len(), first.rows);
        assert!(given.rows.iter().all(|row| row.contains(THEIRS)));
    }
}

/// Takes one thing away from all tables, and says on which of them an attack succeeds and the catalogue breaks a rule.
async fn without(schema: Schema, each: &str, only: &str) -> (Scene, BTreeSet<String>, Vec<rls::Finding>) {
    let script = format!(
        "DO $$ DECLARE t record; BEGIN
           FOR t IN SELECT c.oid, c.oid::regclass AS name, c.relname FROM pg_class c
                     WHERE c.relnamespace = '{}'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                       AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = '{only}') LOOP
             {each}
           END LOOP;
         END $$",
        schema.name()
    );
    after(schema, &script).await
}

async fn after(schema: Schema, script: &str) -> (Scene, BTreeSet<String>, Vec<rls::Finding>) {
    let scene = Scene::new(schema).await;
    let mut db = scene.db.superuser().await;
    run(&mut db, script).await.unwrap();
    let attacked = attacks::all(&scene).await.into_iter().map(|it| it.on).collect();
    let expected = rls::Expected {
        schema,
        no_tenant: &[],
        append_only: &[],
    };
    let found = rls::audit(&mut db, expected).await.unwrap();
    (scene, attacked, found)
}

async fn two_see_it(each: &str, only: &str, but: &[&str]) {
    for schema in BOTH {
        let (scene, attacked, found) = without(schema, each, only).await;
        let broken: BTreeSet<_> = found.into_iter().map(|it| it.object).collect();
        for table in &scene.tables {
            let is_meant = table.columns.iter().any(|column| column.name == only);
            if is_meant && !but.iter().any(|name| table.name.ends_with(name)) {
                assert!(
                    attacked.contains(&table.name),
                    "{}: no attack succeeds without {each}",
                    table.name
                );
                assert!(
                    broken.contains(&table.name),
                    "{}: no rule is broken without {each}",
                    table.name
                );
            }
        }
    }
}

#[tokio::test]
async fn a_tenant_policy_that_is_gone_is_seen_by_an_attack_and_in_the_catalogue() {
    let drop = "EXECUTE format('DROP POLICY %I ON %s', t.relname || '_tenant', t.name);";
    two_see_it(drop, "tenant_id", &[]).await;
}

#[tokio::test]
async fn a_cluster_policy_that_is_gone_is_seen_by_an_attack_and_in_the_catalogue() {
    let drop = "EXECUTE format('DROP POLICY %I ON %s', t.relname || '_cluster', t.name);";
    two_see_it(drop, "cluster_id", &[]).await;
}

#[tokio::test]
async fn row_security_that_is_not_forced_or_off_is_seen_by_an_attack_and_in_the_catalogue() {
    two_see_it(
        "EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', t.name);",
        "tenant_id",
        &[],
    )
    .await;
    two_see_it(
        "EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', t.name);",
        "tenant_id",
        &[],
    )
    .await;
}

#[tokio::test]
async fn a_reference_without_the_tenant_is_seen_by_an_attack_and_in_the_catalogue() {
    for schema in BOTH {
        let script = format!(
            "DO $$ DECLARE f record; BEGIN
               FOR f IN
                 SELECT conname, conrelid::regclass AS child, confrelid::regclass AS parent,
                        string_agg(quote_ident(h.attname), ', ') AS here, string_agg(quote_ident(t.attname), ', ') AS there
                   FROM pg_constraint, unnest(conkey, confkey) AS pair (here, there)
                   JOIN pg_attribute h ON h.attnum = pair.here JOIN pg_attribute t ON t.attnum = pair.there
                  WHERE contype = 'f' AND conparentid = 0 AND connamespace = '{}'::regnamespace
                    AND h.attrelid = conrelid AND t.attrelid = confrelid AND h.attname <> 'tenant_id'
                    AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = confrelid AND a.attname = 'tenant_id')
                  GROUP BY 1, conrelid, confrelid LOOP
                 EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', f.child, f.conname);
                 EXECUTE format('CREATE UNIQUE INDEX ON %s (%s)', f.parent, f.there);
                 EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%s) REFERENCES %s (%s) NOT VALID',
                                f.child, f.conname, f.here, f.parent, f.there);
               END LOOP;
             END $$",
            schema.name()
        );
        let (_, attacked, found) = after(schema, &script).await;
        let references = found.into_iter().filter(|it| it.rule == rls::Rule::ForeignKey);
        let broken: BTreeSet<_> = references.map(|it| it.object).collect();
        assert!(
            !broken.is_empty(),
            "{schema:?} has references between tables of tenants"
        );
        assert!(
            !attacked.is_empty(),
            "no attack succeeds though {broken:?} refer to others' rows"
        );
    }
}

#[tokio::test]
async fn a_right_to_empty_a_table_is_seen_by_an_attack_and_in_the_catalogue() {
    two_see_it(
        "EXECUTE format('GRANT TRUNCATE ON %s TO exarch_app', t.name);",
        "tenant_id",
        &[".audit"],
    )
    .await;
}
