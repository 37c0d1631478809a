//! Rules about what a source file may name.
use crate::{
    File, Violation,
    tokens::{Token, behind_braces, is, shipped, tokens},
};
use std::collections::BTreeSet;

/// Folders whose code no process runs: tests, benchmarks and what helps them.
const NOT_SHIPPED: &[&str] = &["tests/", "common/testkit/"];

/// Files that hold a domain's rules though neither their name nor an `enum …State` tells it. They are named here, so that
/// the rule follows them.
pub const FURTHER_DOMAIN_FILES: &[&str] = &[
    "global/controller/src/keys/ring.rs",
    "global/controller/src/sessions/family.rs",
    "global/controller/src/sign_in/attempts.rs",
    "global/controller/src/sign_in/password.rs",
];

/// Crates that are domain from end to end.
const PURE: &[&str] = &["common/base/", "common/authz/"];

/// The crates that only `common/crypto` names, as Rust spells them.
pub const CRYPTO: &[&str] = &["aws_lc_rs", "hmac", "sha2", "rcgen", "x509_parser", "coset"];

const LONGEST: usize = 700;

fn is_shipped(file: &File) -> bool {
    !NOT_SHIPPED.iter().any(|folder| file.path.starts_with(folder))
        && file
            .path
            .split_once("/src/")
            .is_some_and(|(_, inside)| !format!("/{inside}").contains("/tests/"))
        && !file.path.ends_with("/tests.rs")
}

/// The room a file stands in and the file's own name: `…/src/leases/lease.rs` is `lease` in `leases`.
fn room(file: &File) -> Option<(&str, &str)> {
    let (krate, inside) = file.path.split_once("/src/")?;
    if !krate.starts_with("global/") && !krate.starts_with("regional/") {
        return None;
    }
    let (room, rest) = inside.split_once('/')?;
    Some((room, rest.rsplit('/').next()?.strip_suffix(".rs")?))
}

/// Only `store.rs` files and `common/pg` write SQL.
pub fn sql_outside_a_store(file: &File) -> Vec<Violation> {
    if !is_shipped(file) || file.path.starts_with("common/pg/") || file.path.ends_with("/store.rs") {
        return Vec::new();
    }
    let all = tokens(&file.text);
    let code = shipped(&all);
    let mut found = Vec::new();
    for (at, token) in code.iter().enumerate() {
        let rest = &code[at..];
        let macro_call = is_query(token.text) && is(&rest[1..], &["!"]);
        let path = is(rest, &["sqlx", ":", ":"])
            && rest.get(3).is_some_and(|named| is_query(named.text))
            && !is(&rest[4..], &["!"]);
        let import = is(rest, &["sqlx", ":", ":", "{"])
            && code[at + 3..behind_braces(&code, at + 3)]
                .iter()
                .any(|named| is_query(named.text));
        if macro_call || path || import {
            found.push(format!(
                "{}:{}: SQL belongs in the room's store.rs",
                file.path, token.line
            ));
        }
    }
    found
}

fn is_query(name: &str) -> bool {
    matches!(name, "query" | "raw_sql" | "QueryBuilder" | "AssertSqlSafe")
        || [
            "query_as",
            "query_scalar",
            "query_file",
            "query_with",
            "query_unchecked",
        ]
        .iter()
        .any(|family| name.starts_with(family))
}

/// A domain file names neither axum, sqlx nor tokio. It is one if it is called like its room (`leases/lease.rs`), declares
/// an `enum …State`, is listed, or lies in a crate that is domain as a whole.
pub fn io_in_the_domain(file: &File) -> Vec<Violation> {
    let all = tokens(&file.text);
    if !is_domain(file, &all) {
        return Vec::new();
    }
    let libraries = all
        .iter()
        .filter(|token| matches!(token.text, "axum" | "sqlx" | "tokio" | "hyper" | "reqwest"));
    libraries
        .map(|token| {
            format!(
                "{}:{}: a domain file decides and names no {}; move that to the store or the endpoint",
                file.path, token.line, token.text
            )
        })
        .collect()
}

fn is_domain(file: &File, all: &[Token<'_>]) -> bool {
    if PURE.iter().any(|folder| file.path.starts_with(folder)) || FURTHER_DOMAIN_FILES.contains(&file.path.as_str()) {
        return true;
    }
    let Some((room, name)) = room(file) else { return false };
    is_shipped(file)
        && name != "store"
        && (is_singular(name, room)
            || all
                .windows(2)
                .any(|pair| pair[0].text == "enum" && pair[1].text.ends_with("State")))
}

fn is_singular(name: &str, room: &str) -> bool {
    room.strip_suffix('s') == Some(name)
        || room
            .strip_suffix("ies")
            .is_some_and(|stem| name.strip_suffix('y') == Some(stem))
}

/// Listed domain files that are not there any more.
pub fn domain_files_that_are_gone(listed: &[&str], files: &[File]) -> Vec<Violation> {
    listed
        .iter()
        .filter(|path| !files.iter().any(|file| file.path == **path))
        .map(|path| format!("{path}: listed as a domain file and not there"))
        .collect()
}

/// Only `common/crypto` names the libraries of cryptography, by whatever re-export they could be reached.
pub fn crypto_outside_its_crate(file: &File) -> Vec<Violation> {
    if file.path.starts_with("common/crypto/") {
        return Vec::new();
    }
    let all = tokens(&file.text);
    let mut found = Vec::new();
    for (at, token) in all.iter().enumerate() {
        // hmac and sha2 are words that a module or a function may carry: they count where a path starts with them.
        let path_start = is(&all[at + 1..], &[":", ":"]) && (at == 0 || all[at - 1].text != ":");
        let ordinary_word = matches!(token.text, "hmac" | "sha2");
        if CRYPTO.contains(&token.text) && (path_start || !ordinary_word) {
            found.push(format!(
                "{}:{}: only common/crypto names {}",
                file.path, token.line, token.text
            ));
        }
    }
    found
}

/// One file reads the real clocks, and no lease is judged by `Instant`, which stops while a host is suspended.
pub fn clocks(file: &File) -> Vec<Violation> {
    const WALL: [[&str; 4]; 4] = [
        ["OffsetDateTime", ":", ":", "now_utc"],
        ["OffsetDateTime", ":", ":", "now_local"],
        ["SystemTime", ":", ":", "now"],
        ["UtcDateTime", ":", ":", "now"],
    ];
    if file.path == "common/base/src/clock.rs" {
        return Vec::new();
    }
    let all = tokens(&file.text);
    let judges_leases =
        is_shipped(file) && (file.path.contains("/leases/") || file.path.starts_with("regional/guard/"));
    let mut found = Vec::new();
    for (at, token) in all.iter().enumerate() {
        if WALL.iter().any(|words| is(&all[at..], words)) {
            found.push(format!(
                "{}:{}: time arrives as an argument; see Ambient",
                file.path, token.line
            ));
        }
        if judges_leases && token.text == "Instant" {
            found.push(format!(
                "{}:{}: Instant stops while a host is suspended; take BootTime",
                file.path, token.line
            ));
        }
    }
    found
}

/// Rooms call each other's use cases, never each other's stores.
pub fn foreign_stores(file: &File, rooms: &BTreeSet<&str>) -> Vec<Violation> {
    let own = room(file).map(|(room, _)| room);
    let all = tokens(&file.text);
    let mut found = Vec::new();
    for (at, token) in all.iter().enumerate() {
        if !rooms.contains(token.text) || Some(token.text) == own || !is(&all[at + 1..], &[":", ":"]) {
            continue;
        }
        let direct = is(&all[at + 3..], &["store"]);
        let listed = is(&all[at + 3..], &["{"])
            && all[at + 3..behind_braces(&all, at + 3)]
                .iter()
                .any(|named| named.text == "store");
        if is_shipped(file) && (direct || listed) {
            found.push(format!(
                "{}:{}: call a use case of `{}`, not its store",
                file.path, token.line, token.text
            ));
        }
    }
    found
}

/// The rooms of all crates that have a store.
pub fn rooms(files: &[File]) -> BTreeSet<&str> {
    files
        .iter()
        .filter_map(room)
        .filter(|(_, name)| *name == "store")
        .map(|(room, _)| room)
        .collect()
}

/// A file is read in one sitting.
pub fn too_long(file: &File) -> Vec<Violation> {
    let by_hand = ["rs", "ts", "tsx", "css", "sql", "sh"]
        .iter()
        .any(|extension| file.is(extension))
        || file.path == "dev";
    let generated = [".d.ts", ".gen.ts"].iter().any(|end| file.path.ends_with(end));
    let lines = file.text.lines().count();
    if by_hand && !generated && lines > LONGEST {
        return vec![format!(
            "{}: {lines} lines; above {LONGEST} it does a second thing",
            file.path
        )];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rule: fn(&File) -> Vec<Violation>, path: &str, text: &str) -> usize {
        rule(&File::new(path, text)).len()
    }

    const ENDPOINT: &str = "regional/gateway/src/leases/grant.rs";
    const STORE: &str = "regional/gateway/src/leases/store.rs";
    const DOMAIN: &str = "regional/gateway/src/leases/lease.rs";

    #[test]
    fn sql_in_an_endpoint_is_caught() {
        for planted in [
            "sqlx::query!(\"SELECT 1\")",
            "sqlx::query(\"SELECT 1\")",
            "use sqlx::{PgPool, query_as};",
            "query_scalar!(\"SELECT 1\")",
            "let q = sqlx::QueryBuilder::new(\"\");",
            "sqlx::raw_sql(text)",
        ] {
            assert_eq!(count(sql_outside_a_store, ENDPOINT, planted), 1, "{planted}");
            assert_eq!(count(sql_outside_a_store, STORE, planted), 0, "{planted}");
            assert_eq!(
                count(sql_outside_a_store, "common/pg/src/audit.rs", planted),
                0,
                "{planted}"
            );
            let test = format!("fn a() {{}} #[cfg(test)] mod tests {{ fn b() {{ {planted} }} }}");
            assert_eq!(count(sql_outside_a_store, ENDPOINT, &test), 0, "{planted}");
        }
        for fine in [
            "// sqlx::query(\"\")",
            "Query(page): Query<Page>",
            "uri.query()",
            "sqlx::Error::RowNotFound",
        ] {
            assert_eq!(count(sql_outside_a_store, ENDPOINT, fine), 0, "{fine}");
        }
        assert_eq!(
            count(
                sql_outside_a_store,
                "common/http/src/idempotency.rs",
                "sqlx::query(\"\")"
            ),
            1
        );
    }

    #[test]
    fn io_in_a_domain_file_is_caught() {
        for planted in ["use axum::Json;", "async fn f(p: &sqlx::PgPool) {}", "tokio::spawn(x)"] {
            assert_eq!(count(io_in_the_domain, DOMAIN, planted), 1, "{planted}");
            assert_eq!(count(io_in_the_domain, ENDPOINT, planted), 0, "{planted}");
            assert_eq!(
                count(io_in_the_domain, "common/authz/src/policy.rs", planted),
                1,
                "{planted}"
            );
            assert_eq!(
                count(io_in_the_domain, "common/base/src/page.rs", planted),
                1,
                "{planted}"
            );
            let declares = format!("{planted} pub enum AgentState {{ Active }}");
            assert_eq!(
                count(io_in_the_domain, "regional/gateway/src/agents/standing.rs", &declares),
                1,
                "{planted}"
            );
        }
        assert_eq!(count(io_in_the_domain, DOMAIN, "//! Neither axum, sqlx nor tokio."), 0);
        assert_eq!(
            count(io_in_the_domain, "global/controller/src/entities/entity.rs", "axum::x"),
            1
        );
    }

    #[test]
    fn a_listed_domain_file_that_is_gone_is_caught() {
        let files = [File::new(DOMAIN, "")];
        assert_eq!(
            domain_files_that_are_gone(&[DOMAIN, "regional/agent/src/leases/deadline.rs"], &files).len(),
            1
        );
    }

    #[test]
    fn cryptography_outside_its_crate_is_caught() {
        for planted in [
            "use aws_lc_rs::digest;",
            "rustls::crypto::aws_lc_rs::default_provider()",
            "hmac::Hmac::new(k)",
            "use sha2::Sha256;",
            "use coset::CoseSign1;",
        ] {
            assert_eq!(count(crypto_outside_its_crate, ENDPOINT, planted), 1, "{planted}");
            assert_eq!(
                count(crypto_outside_its_crate, "common/crypto/src/hash.rs", planted),
                0,
                "{planted}"
            );
        }
        for fine in [
            "exarch_common_crypto::hmac::sign(k, m)",
            "let hmac = 1;",
            "// aws_lc_rs",
        ] {
            assert_eq!(count(crypto_outside_its_crate, ENDPOINT, fine), 0, "{fine}");
        }
    }

    #[test]
    fn a_clock_read_outside_its_file_is_caught() {
        for planted in [
            "OffsetDateTime::now_utc()",
            "std::time::SystemTime::now()",
            "time::UtcDateTime::now()",
        ] {
            assert_eq!(count(clocks, ENDPOINT, planted), 1, "{planted}");
            assert_eq!(count(clocks, "tests/federation/tests/a.rs", planted), 1, "{planted}");
            assert_eq!(count(clocks, "common/base/src/clock.rs", planted), 0, "{planted}");
        }
        assert_eq!(
            count(clocks, "regional/agent/src/leases/renew.rs", "let t = Instant::now();"),
            1
        );
        assert_eq!(
            count(clocks, "regional/guard/src/run.rs", "use tokio::time::Instant;"),
            1
        );
        assert_eq!(count(clocks, "common/http/src/serve.rs", "let t = Instant::now();"), 0);
    }

    #[test]
    fn a_call_into_another_rooms_store_is_caught() {
        let rooms = BTreeSet::from(["leases", "agents"]);
        let found = |text| foreign_stores(&File::new("regional/gateway/src/leases/grant.rs", text), &rooms).len();
        assert_eq!(found("use crate::agents::store;"), 1);
        assert_eq!(found("use crate::agents::{agent, store as other};"), 1);
        assert_eq!(found("use crate::{agents::store::find, app};"), 1);
        assert_eq!(
            found("use crate::leases::store; use super::store; use crate::agents::revoke;"),
            0
        );
    }

    #[test]
    fn a_room_is_known_by_its_store() {
        let files = [
            File::new(STORE, ""),
            File::new("regional/gateway/src/http/serve.rs", ""),
            File::new("common/pg/src/a/store.rs", ""),
        ];
        assert_eq!(rooms(&files), BTreeSet::from(["leases"]));
    }

    #[test]
    fn a_file_that_is_too_long_is_caught() {
        assert_eq!(count(too_long, ENDPOINT, &"\n".repeat(701)), 1);
        assert_eq!(count(too_long, ENDPOINT, &"\n".repeat(700)), 0);
        assert_eq!(count(too_long, "dev", &"\n".repeat(701)), 1);
        assert_eq!(
            count(too_long, "global/dashboard/src/api/schema.d.ts", &"\n".repeat(7000)),
            0
        );
    }
}
