//! Who may import whom.
use crate::{File, Violation, code::CRYPTO};
use cargo_metadata::{Dependency, DependencyKind, MetadataCommand};
use std::path::Path;

/// One crate of the workspace and what it names in its manifest.
#[derive(Debug, Clone)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, from the root.
    pub folder: String,
    /// What it is built from.
    pub imports: Vec<String>,
    /// What it is built from only where a feature asks for it.
    pub options: Vec<String>,
    /// What its tests are built from besides.
    pub in_tests: Vec<String>,
}

/// Whom a crate may import, of our own. A crate that is not here has no place in the house yet.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("exarch-common-base", &[]),
    ("exarch-common-crypto", &[BASE]),
    ("exarch-common-authz", &[BASE]),
    ("exarch-common-wire", &[BASE, CRYPTO_CRATE]),
    ("exarch-common-pg", LOWER),
    ("exarch-common-http", LOWER),
    ("exarch-common-runtime", LOWER),
    ("exarch-common-cli", &[BASE, CRYPTO_CRATE, WIRE, AUTHZ, HTTP, RUNTIME]),
    ("exarch-common-testkit", SERVER),
    ("exarch-global-controller", SERVER),
    ("exarch-regional-state", &[BASE, CRYPTO_CRATE, WIRE, AUTHZ, PG]),
    (
        "exarch-regional-gateway",
        &[
            BASE,
            CRYPTO_CRATE,
            WIRE,
            AUTHZ,
            PG,
            HTTP,
            RUNTIME,
            "exarch-regional-state",
        ],
    ),
    (
        "exarch-regional-agent",
        &[BASE, CRYPTO_CRATE, WIRE, AUTHZ, HTTP, RUNTIME, "exarch-regional-guard"],
    ),
    ("exarch-regional-guard", &[BASE, CRYPTO_CRATE, WIRE]),
    ("exarch-tests-bench", EVERYTHING),
    ("exarch-tests-chaos", EVERYTHING),
    ("exarch-tests-federation", EVERYTHING),
    ("exarch-tests-house", &[BASE, AUTHZ, PG, TESTKIT]),
    ("exarch-tests-public", EVERYTHING),
];

/// What a crate may know only as an option, and why. Who must not have it at all is held to that by
/// [`crate::graph::below`].
const AS_AN_OPTION: &[(&str, &str)] = &[
    // database errors become problems in one place; the trait and the type belong to these two crates
    (HTTP, PG),
];

const BASE: &str = "exarch-common-base";
const CRYPTO_CRATE: &str = "exarch-common-crypto";
const WIRE: &str = "exarch-common-wire";
const AUTHZ: &str = "exarch-common-authz";
const HTTP: &str = "exarch-common-http";
const RUNTIME: &str = "exarch-common-runtime";
const PG: &str = "exarch-common-pg";
const LOWER: &[&str] = &[BASE, CRYPTO_CRATE, WIRE, AUTHZ];
const SERVER: &[&str] = &[BASE, CRYPTO_CRATE, WIRE, AUTHZ, PG, HTTP, RUNTIME];
const TESTKIT: &str = "exarch-common-testkit";
const EVERYTHING: &[&str] = &[
    BASE,
    CRYPTO_CRATE,
    WIRE,
    AUTHZ,
    PG,
    HTTP,
    RUNTIME,
    TESTKIT,
    "exarch-common-cli",
    "exarch-global-controller",
    "exarch-regional-state",
    "exarch-regional-gateway",
    "exarch-regional-agent",
    "exarch-regional-guard",
];

/// Reads the manifests of the workspace.
pub fn crates(root: &Path) -> Vec<Crate> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo reads the manifests");
    let read = |package: &cargo_metadata::Package| {
        let named = |wanted: fn(&Dependency) -> bool| {
            let dependencies = package.dependencies.iter().filter(|dependency| wanted(dependency));
            dependencies.map(|dependency| dependency.name.clone()).collect()
        };
        let folder = package
            .manifest_path
            .parent()
            .and_then(|folder| folder.strip_prefix(root).ok());
        Crate {
            name: package.name.to_string(),
            folder: folder.map(ToString::to_string).unwrap_or_default(),
            imports: named(|dependency| dependency.kind != DependencyKind::Development && !dependency.optional),
            options: named(|dependency| dependency.kind != DependencyKind::Development && dependency.optional),
            in_tests: named(|dependency| dependency.kind == DependencyKind::Development),
        }
    };
    metadata.packages.iter().map(read).collect()
}

/// Dependencies point from the rooms to what is common, and never between the two sides of the federation.
pub fn direction(krate: &Crate) -> Vec<Violation> {
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == krate.name) else {
        return vec![format!(
            "{}: has no place in the table of who may import whom",
            krate.name
        )];
    };
    let ours = |name: &&String| name.starts_with("exarch-");
    let known = |name: &str| allowed.contains(&name);
    let option = |name: &str| known(name) || AS_AN_OPTION.contains(&(krate.name.as_str(), name));
    let built = krate.imports.iter().filter(|name| !known(name));
    let asked = krate.options.iter().filter(|name| !option(name));
    let tested = krate.in_tests.iter().filter(|name| *name != TESTKIT && !known(name));
    let expected = format!("exarch-{}", krate.folder.replace('/', "-"));
    let named = (krate.name != expected).then(|| format!("{}: a crate's name is its path: {expected}", krate.name));
    let told = |name: &String| format!("{} imports {name}, which it may not know", krate.name);
    built
        .chain(asked)
        .chain(tested)
        .filter(ours)
        .map(told)
        .chain(named)
        .collect()
}

/// Only `common/crypto` has a library of cryptography among its dependencies.
pub fn crypto_in_a_manifest(krate: &Crate) -> Vec<Violation> {
    if krate.name == CRYPTO_CRATE {
        return Vec::new();
    }
    let all = krate.imports.iter().chain(&krate.options).chain(&krate.in_tests);
    all.filter(|name| CRYPTO.contains(&name.replace('-', "_").as_str()))
        .map(|name| format!("{} depends on {name}; only {CRYPTO_CRATE} may", krate.name))
        .collect()
}

/// What is pure has nothing to do I/O with.
pub fn io_in_a_pure_crate(krate: &Crate) -> Vec<Violation> {
    const IO: &[&str] = &["axum", "hyper", "reqwest", "sqlx", "tokio", "tower"];
    if ![BASE, AUTHZ].contains(&krate.name.as_str()) {
        return Vec::new();
    }
    let all = krate.imports.iter().chain(&krate.options).chain(&krate.in_tests);
    all.filter(|name| IO.contains(&name.as_str()))
        .map(|name| format!("{} is pure and depends on {name}", krate.name))
        .collect()
}

/// A crate that grows past a quarter of the workspace is split. While it is small enough to be read in a day it is not worth
/// splitting, however small its neighbours are.
pub fn past_a_quarter(crates: &[Crate], files: &[File]) -> Vec<Violation> {
    const SMALL: usize = 20_000;
    let lines = |folder: &str| -> usize {
        let inside = files
            .iter()
            .filter(|file| file.is("rs") && file.path.starts_with(folder));
        inside.map(|file| file.text.lines().count()).sum()
    };
    let all = lines("");
    let sizes = crates.iter().map(|krate| (krate, lines(&format!("{}/", krate.folder))));
    sizes
        .filter(|&(_, size)| size > SMALL && size * 4 > all)
        .map(|(krate, size)| format!("{}: {size} of {all} lines; split it", krate.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, imports: &[&str], in_tests: &[&str]) -> Crate {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let folder = name.trim_start_matches("exarch-").replacen('-', "/", 1);
        Crate {
            name: name.to_owned(),
            folder,
            imports: owned(imports),
            options: Vec::new(),
            in_tests: owned(in_tests),
        }
    }

    #[test]
    fn an_import_against_the_direction_is_caught() {
        for (name, import) in [
            (BASE, WIRE),
            (AUTHZ, WIRE),
            (WIRE, PG),
            (HTTP, PG),
            ("exarch-global-controller", "exarch-regional-gateway"),
            ("exarch-regional-gateway", "exarch-global-controller"),
            ("exarch-regional-gateway", TESTKIT),
            ("exarch-regional-agent", PG),
            ("exarch-regional-agent", "exarch-regional-gateway"),
            ("exarch-regional-guard", "exarch-regional-agent"),
            (TESTKIT, "exarch-tests-federation"),
        ] {
            assert_eq!(direction(&named(name, &[import], &[])).len(), 1, "{name} -> {import}");
        }
        assert_eq!(
            direction(&named("exarch-regional-gateway", &[], &["exarch-global-controller"])).len(),
            1
        );
        assert_eq!(
            direction(&named("exarch-regional-gateway", &[PG, "tokio"], &[TESTKIT])).len(),
            0
        );
    }

    #[test]
    fn what_is_allowed_as_an_option_is_caught_as_a_rule_and_elsewhere() {
        let optional = |name, option: &str| Crate {
            options: vec![option.to_owned()],
            ..named(name, &[], &[])
        };
        assert_eq!(direction(&optional(HTTP, PG)).len(), 0);
        assert_eq!(direction(&named(HTTP, &[PG], &[])).len(), 1);
        assert_eq!(direction(&named(HTTP, &[], &[PG])).len(), 1);
        assert_eq!(direction(&optional("exarch-regional-agent", PG)).len(), 1);
        assert_eq!(crypto_in_a_manifest(&optional(WIRE, "sha2")).len(), 1);
    }

    #[test]
    fn a_crate_without_a_place_or_with_a_wrong_name_is_caught() {
        assert_eq!(direction(&named("exarch-common-util", &[], &[])).len(), 1);
        let misnamed = Crate {
            folder: "common/policy".to_owned(),
            ..named(AUTHZ, &[], &[])
        };
        assert_eq!(direction(&misnamed).len(), 1);
    }

    #[test]
    fn cryptography_in_another_manifest_is_caught() {
        assert_eq!(
            crypto_in_a_manifest(&named(WIRE, &["coset", "sha2"], &["x509-parser"])).len(),
            3
        );
        assert_eq!(crypto_in_a_manifest(&named(CRYPTO_CRATE, &["aws-lc-rs"], &[])).len(), 0);
    }

    #[test]
    fn io_in_a_pure_manifest_is_caught() {
        assert_eq!(io_in_a_pure_crate(&named(AUTHZ, &["tokio"], &["sqlx"])).len(), 2);
        assert_eq!(io_in_a_pure_crate(&named(PG, &["tokio"], &[])).len(), 0);
    }

    #[test]
    fn a_crate_that_outgrew_the_others_is_caught() {
        let crates = [named(WIRE, &[], &[])];
        let sized = |wire: usize, others: usize| {
            let files = [
                File::new("common/wire/src/lib.rs", &"\n".repeat(wire)),
                File::new("common/wireless/src/lib.rs", &"\n".repeat(others)),
            ];
            past_a_quarter(&crates, &files).len()
        };
        assert_eq!(sized(20_004, 60_011), 1);
        assert_eq!(sized(20_004, 60_012), 0);
        assert_eq!(sized(19_999, 1), 0);
    }
}
