//! Rules about everything that is built: nothing banned in it, and nothing of weight twice.
use crate::Violation;
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::Path,
    process::Command,
};

/// What no build of ours reaches, with any feature: a second cryptography, or one that is linked from the system.
pub const BANNED: &[&str] = &["openssl", "openssl-sys", "native-tls", "ring"];

/// What may be there in one major version only: two of them do not understand each other's types or keys.
const ONCE: &[&str] = &["rustls", "aws-lc-rs", "tokio", "hyper", "sqlx", "exarch-common-base"];

/// What runs beside other people's workloads or on other people's machines, and so has neither the database nor a server in it.
pub const WITHOUT_A_DATABASE: &[&str] = &["exarch-regional-agent", "exarch-regional-guard", "exarch-common-cli"];

/// Everything that is built with all features on this machine, tests too.
pub fn built(root: &Path) -> String {
    tree(root, &["--workspace", "--edges", "normal,build,dev"])
}

/// Everything that one package is built from.
pub fn built_for(root: &Path, package: &str) -> String {
    tree(root, &["--package", package, "--edges", "normal,build"])
}

/// From `cargo tree`, one `name vX.Y.Z` a line. Neither the lock file nor `cargo metadata` can tell: both list packages that
/// weak features name and nobody turns on (ring, through the TLS library's verifier).
fn tree(root: &Path, of: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args([
            "tree",
            "--all-features",
            "--locked",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .args(of)
        .current_dir(root)
        .output()
        .expect("cargo can be started");
    assert!(
        out.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).expect("cargo writes UTF-8")
}

fn packages(tree: &str) -> BTreeSet<(&str, &str)> {
    let package = |line: &'_ str| -> Option<(usize, usize)> {
        let (name, rest) = line.split_once(" v")?;
        Some((name.len(), rest.find(' ').unwrap_or(rest.len())))
    };
    tree.lines()
        .filter_map(|line| package(line).map(|(name, version)| (&line[..name], &line[name + 2..name + 2 + version])))
        .collect()
}

/// Banned packages in the tree, and a tree in which the rule cannot be trusted.
pub fn banned(tree: &str) -> Vec<Violation> {
    let packages = packages(tree);
    // A format that changed would otherwise pass as a clean tree.
    let blind = ONCE
        .iter()
        .filter(|name| !packages.iter().any(|(found, _)| found == *name));
    let blind = blind.map(|name| format!("{name} is not in the tree; the rule does not see it"));
    let reached = packages.iter().filter(|(name, _)| BANNED.contains(name));
    reached
        .map(|(name, version)| format!("{name} {version} is built; find out with `cargo tree -e all -i {name}`"))
        .chain(blind)
        .collect()
}

/// What a package must not have below it, by whatever path: the database and the servers.
pub fn below(package: &str, tree: &str) -> Vec<Violation> {
    const NEVER: &[&str] = &[
        "sqlx",
        "sqlx-core",
        "exarch-common-pg",
        "exarch-global-controller",
        "exarch-regional-gateway",
    ];
    let packages = packages(tree);
    let blind = (!packages.iter().any(|(name, _)| *name == package))
        .then(|| format!("{package} is not in its own tree; the rule does not see it"));
    let reached = packages.iter().filter(|(name, _)| NEVER.contains(name));
    reached
        .map(|(name, _)| format!("{package} is built with {name}"))
        .chain(blind)
        .collect()
}

/// Packages of weight that are there in two versions which are not compatible.
pub fn twice(tree: &str) -> Vec<Violation> {
    let mut majors: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in packages(tree) {
        if ONCE.contains(&name) {
            majors.entry(name).or_default().insert(compatible(version));
        }
    }
    let double = majors.into_iter().filter(|(_, versions)| versions.len() > 1);
    double
        .map(|(name, versions)| format!("{name} is built in versions {versions:?}; one must go"))
        .collect()
}

/// The part of a version that compatible versions share: `1` of `1.54.1`, `0.23` of `0.23.46`.
fn compatible(version: &str) -> &str {
    let parts = if version.starts_with("0.") { 2 } else { 1 };
    version
        .match_indices('.')
        .nth(parts - 1)
        .map_or(version, |(at, _)| &version[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "exarch-common-base v0.1.0 (/somewhere/common/base)\ntokio v1.54.1\nrustls v0.23.46 (*)\nhyper v1.12.0\n\
        aws-lc-rs v1.19.0\nsqlx v0.9.0\nthiserror-impl v2.0.1 (proc-macro)\n";

    #[test]
    fn a_banned_package_in_the_tree_is_caught() {
        assert_eq!(banned(TREE), Vec::<String>::new());
        for name in BANNED {
            assert_eq!(banned(&format!("{TREE}{name} v0.17.14\n")).len(), 1, "{name}");
        }
        assert_eq!(banned(&format!("{TREE}string v0.3.0\n")).len(), 0);
    }

    #[test]
    fn a_tree_that_cannot_be_read_is_not_taken_for_a_clean_one() {
        assert_eq!(banned("").len(), ONCE.len());
        assert_eq!(banned(&TREE.replace(" v", "@")).len(), ONCE.len());
    }

    #[test]
    fn a_database_below_the_agent_is_caught_by_whatever_path() {
        let agent = "exarch-regional-agent v0.1.0 (/somewhere)\nexarch-common-http v0.1.0 (/somewhere)\n";
        assert_eq!(below("exarch-regional-agent", agent).len(), 0);
        assert_eq!(
            below("exarch-regional-agent", &format!("{agent}sqlx v0.9.0 (*)\n")).len(),
            1
        );
        assert_eq!(below("exarch-regional-agent", "").len(), 1);
    }

    #[test]
    fn a_second_major_version_is_caught_and_a_second_patch_is_not() {
        assert_eq!(twice(TREE).len(), 0);
        assert_eq!(twice(&format!("{TREE}rustls v0.21.12\n")).len(), 1);
        assert_eq!(twice(&format!("{TREE}tokio v2.0.0\nhyper v0.14.32\n")).len(), 2);
        assert_eq!(twice(&format!("{TREE}tokio v1.60.0\n")).len(), 0);
        assert_eq!(twice(&format!("{TREE}thiserror-impl v1.0.0\n")).len(), 0);
    }
}
