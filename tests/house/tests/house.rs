//! The rules of the house, applied to this repository.
use exarch_common_authz::Permission;
use exarch_tests_house::{File, Repository, Violation, code, graph, imports, manifests, openapi, words};
use serde_json::Value;
use std::{collections::BTreeSet, io::Write, sync::LazyLock};

static HOUSE: LazyLock<Repository> = LazyLock::new(Repository::open);

fn keep(violations: impl IntoIterator<Item = Violation>) {
    let violations: Vec<Violation> = violations.into_iter().collect();
    assert!(violations.is_empty(), "\n  {}\n", violations.join("\n  "));
}

fn keep_in_rust(rule: fn(&File) -> Vec<Violation>) {
    keep(HOUSE.rust().flat_map(rule));
}

#[test]
fn only_stores_and_the_door_to_postgres_write_sql() {
    keep_in_rust(code::sql_outside_a_store);
}

#[test]
fn a_domain_file_names_neither_axum_nor_sqlx_nor_tokio() {
    keep_in_rust(code::io_in_the_domain);
    keep(code::domain_files_that_are_gone(
        code::FURTHER_DOMAIN_FILES,
        &HOUSE.files,
    ));
    keep(
        imports::crates(&HOUSE.root)
            .iter()
            .flat_map(imports::io_in_a_pure_crate),
    );
}

#[test]
fn one_crate_names_the_libraries_of_cryptography() {
    keep_in_rust(code::crypto_outside_its_crate);
    keep(
        imports::crates(&HOUSE.root)
            .iter()
            .flat_map(imports::crypto_in_a_manifest),
    );
}

#[test]
fn one_file_reads_the_clocks() {
    keep_in_rust(code::clocks);
}

#[test]
fn rooms_leave_each_others_stores_alone() {
    let rooms = code::rooms(&HOUSE.files);
    keep(HOUSE.rust().flat_map(|file| code::foreign_stores(file, &rooms)));
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    keep(HOUSE.files.iter().flat_map(code::too_long));
}

#[test]
fn imports_go_in_one_direction() {
    let crates = imports::crates(&HOUSE.root);
    assert!(crates.len() > 10, "the workspace has its crates");
    keep(crates.iter().flat_map(imports::direction));
    let below = |name: &&str| graph::below(name, &graph::built_for(&HOUSE.root, name));
    keep(graph::WITHOUT_A_DATABASE.iter().flat_map(below));
}

#[test]
fn no_crate_outgrows_the_others() {
    keep(imports::past_a_quarter(&imports::crates(&HOUSE.root), &HOUSE.files));
}

#[test]
fn versions_lints_and_reasons_stand_in_one_place() {
    let root = HOUSE.file("Cargo.toml").expect("the root manifest");
    keep(manifests::without_a_reason(&root.text));
    let members = HOUSE.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    keep(members.flat_map(manifests::of_its_own));
}

#[test]
fn nothing_banned_is_built_and_nothing_of_weight_twice() {
    let tree = graph::built(&HOUSE.root);
    keep(graph::banned(&tree));
    keep(graph::twice(&tree));
    let deny = HOUSE.file("deny.toml").expect("deny.toml is committed");
    keep(manifests::not_banned(&deny.text, graph::BANNED));
}

#[test]
fn the_project_speaks_of_itself_alone() {
    keep(HOUSE.files.iter().flat_map(words::of_one_machine));
}

#[test]
fn what_creates_can_be_repeated_and_what_lists_can_be_watched() {
    for path in openapi::DOCUMENTS {
        let file = HOUSE.file(path).expect("the description is committed");
        let document = serde_json::from_str(&file.text).expect("it is JSON");
        keep(openapi::conventions(path, &document));
    }
}

#[test]
fn every_operation_says_who_may_call_it_and_every_permission_has_a_route() {
    let table: BTreeSet<&str> = Permission::all().map(Permission::name).collect();
    let (mut documents, mut absent) = (Vec::new(), Vec::new());
    for path in openapi::DOCUMENTS {
        match HOUSE.file(path) {
            Some(file) => documents.push((path, serde_json::from_str::<Value>(&file.text).expect("it is JSON"))),
            None => absent.push(path),
        }
    }
    let (mut needed, mut found) = (BTreeSet::new(), Vec::new());
    for (path, document) in &documents {
        let (permissions, violations) = openapi::needs(path, document, &table);
        needed.extend(permissions);
        found.extend(violations);
        found.extend(openapi::dangling(path, document));
    }
    if absent.is_empty() {
        found.extend(openapi::without_a_route(&needed, &table));
    } else {
        // Straight to the stream: what a passing test prints is kept from sight.
        let told = format!(
            "NOT CHECKED: which permissions have a route, while there is no {}\n",
            absent.join(" and no ")
        );
        std::io::stderr()
            .write_all(told.as_bytes())
            .expect("standard error takes a line");
    }
    keep(found);
}
