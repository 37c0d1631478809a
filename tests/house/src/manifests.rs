//! Rules about manifests: one place for versions, lints and reasons.
use crate::{File, Violation};
use toml::{Table, Value};

/// Every dependency of the root manifest has a reason: a comment above it, or above the group it stands in. A blank line
/// ends a group.
pub fn without_a_reason(root_manifest: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    let (mut inside, mut reason) = (false, false);
    for line in root_manifest.lines() {
        if line.starts_with('[') {
            inside = line.starts_with("[workspace.dependencies");
            reason = false;
        } else if line.trim().is_empty() {
            reason = false;
        } else if line.starts_with('#') {
            reason = true;
        } else if inside
            && !reason
            && let Some((name, _)) = line.split_once('=')
        {
            found.push(format!("Cargo.toml: say above {} what it is for", name.trim()));
        }
    }
    found
}

/// A crate takes versions and lints from the workspace.
pub fn of_its_own(manifest: &File) -> Vec<Violation> {
    let Ok(table) = manifest.text.parse::<Table>() else {
        return vec![format!("{}: is not TOML", manifest.path)];
    };
    let inherits = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
    let mut found = Vec::new();
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let per_target = table
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::values);
    let places = per_target.filter_map(Value::as_table).chain([&table]);
    for section in places.flat_map(|place| kinds.iter().filter_map(|kind| place.get(*kind)?.as_table())) {
        for (name, value) in section {
            if !inherits(value) {
                found.push(format!(
                    "{}: {name} takes its version from the root manifest",
                    manifest.path
                ));
            }
        }
    }
    if !table.get("lints").is_some_and(inherits) {
        found.push(format!("{}: lints are those of the workspace", manifest.path));
    }
    found
}

/// `deny.toml` bans what the graph may not reach.
pub fn not_banned(deny: &str, banned: &[&str]) -> Vec<Violation> {
    let Ok(table) = deny.parse::<Table>() else {
        return vec!["deny.toml: is not TOML".to_owned()];
    };
    let listed = table
        .get("bans")
        .and_then(|bans| bans.get("deny"))
        .and_then(Value::as_array);
    let entries: Vec<&Value> = listed.into_iter().flatten().collect();
    // An entry with wrappers or a version lets some of it through.
    let whole = |entry: &&Value| {
        entry
            .as_table()
            .is_none_or(|table| table.keys().all(|key| key == "crate" || key == "reason"))
    };
    let names: Vec<&str> = entries
        .into_iter()
        .filter(whole)
        .filter_map(|entry| entry.as_str().or_else(|| entry.get("crate")?.as_str()))
        .collect();
    banned
        .iter()
        .filter(|name| !names.contains(name))
        .map(|name| format!("deny.toml: does not ban {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_is_caught() {
        let good = "[workspace.dependencies]\n# the runtime\ntokio = \"1\"\ntokio-util = \"0.7\"\n";
        assert_eq!(without_a_reason(good).len(), 0);
        assert_eq!(without_a_reason(&format!("{good}\nleft-pad = \"1\"\n")).len(), 1);
        assert_eq!(
            without_a_reason("# above\n[workspace.dependencies]\nleft-pad = \"1\"\n").len(),
            1
        );
        assert_eq!(
            without_a_reason(&format!("{good}[profile.dev]\ndebug = false\n")).len(),
            0
        );
    }

    #[test]
    fn a_version_or_lints_of_its_own_are_caught() {
        let found = |text: &str| of_its_own(&File::new("common/x/Cargo.toml", text)).len();
        assert_eq!(
            found("[lints]\nworkspace = true\n[dependencies]\na = { workspace = true, features = [\"x\"] }"),
            0
        );
        assert_eq!(found("[lints]\nworkspace = true\n[dependencies]\na = \"1\""), 1);
        assert_eq!(
            found("[lints]\nworkspace = true\n[dev-dependencies]\na = { path = \"../a\" }"),
            1
        );
        assert_eq!(
            found("[lints]\nworkspace = true\n[target.'cfg(unix)'.build-dependencies]\na = \"1\""),
            1
        );
        assert_eq!(found("[dependencies]"), 1);
        assert_eq!(found("not toml"), 1);
    }

    #[test]
    fn a_ban_that_is_missing_or_leaks_is_caught() {
        let deny = "[bans]\ndeny = [\"ring\", { crate = \"openssl\" }, { crate = \"rsa\", wrappers = [\"x\"] }]";
        assert_eq!(not_banned(deny, &["ring", "openssl"]).len(), 0);
        assert_eq!(not_banned(deny, &["native-tls", "rsa"]).len(), 2);
    }
}
