//! The golden table of roles and permissions, and the page for people made from the same.
use exarch_common_authz::{Access, Permission, Role, Scope};
use std::{fmt::Write, path::Path};

/// One line a permission: name, scope, and a mark for each role that holds it.
fn matrix() -> String {
    let width = Permission::all()
        .map(|permission| permission.name().len())
        .max()
        .unwrap_or(0);
    let mut out = format!("{:width$}  scope  ", "permission");
    for role in Role::ALL {
        write!(out, "  {role}").expect("a string takes everything");
    }
    for permission in Permission::all() {
        write!(out, "\n{:width$}  {:7}", permission.name(), permission.scope().as_str())
            .expect("a string takes everything");
        for role in Role::ALL {
            let mark = if role.permissions().contains(permission) {
                "x"
            } else {
                "."
            };
            write!(out, "  {mark:^0$}", role.slug().len()).expect("a string takes everything");
        }
        out.truncate(out.trim_end().len());
    }
    out + "\n"
}

/// The same for people who make roles: what each permission lets one do.
fn reference() -> String {
    let mut out = String::from(
        "# Permissions\n\nMade from the table in `common/authz/src/permission.rs`; `REGENERATE=1 cargo test --workspace --test rbac` \
         writes it anew.\nA role of a tenant's own holds permissions of the tenant's scope and of its clusters, by name.\n\n## Preset roles\n\n\
         | role | bound at | what for |\n| --- | --- | --- |\n",
    );
    for role in Role::ALL {
        let (scope, sentence) = (role.scope(), role.sentence());
        writeln!(out, "| `{role}` | {scope} | {sentence} |").expect("a string takes everything");
    }
    for scope in Scope::ALL {
        let (title, about) = match scope {
            Scope::System => ("System", "The provider's federation; held by its staff."),
            Scope::Tenant => ("Tenant", "One customer as a whole, in all regions it is entitled to."),
            Scope::Region => ("Region", "One region's own affairs; held by its local operators."),
            Scope::Cluster => (
                "Cluster",
                "What is in clusters: in all of a tenant's, or in the one in which the role is bound.",
            ),
        };
        let mut rows = Permission::all()
            .filter(|permission| permission.scope() == scope)
            .peekable();
        if rows.peek().is_none() {
            continue;
        }
        write!(out, "\n## {title}\n\n{about}\n\n| permission | what it lets one do | kind | roles |\n| --- | --- | --- | --- |\n")
            .expect("a string takes everything");
        for permission in rows {
            let kind = match permission.access() {
                Access::Read => "read",
                Access::Export => "export",
                Access::Write => "write",
            };
            let roles: Vec<_> = Role::holding(permission).map(|role| format!("`{role}`")).collect();
            let (sentence, roles) = (permission.sentence(), roles.join(" "));
            writeln!(out, "| `{permission}` | {sentence} | {kind} | {roles} |").expect("a string takes everything");
        }
    }
    out
}

/// What is made from the table is committed, so that its difference is read by whoever reviews a change.
fn committed(path: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, now).expect("what is generated can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        now == golden,
        "{} differs; if that is meant, regenerate it with REGENERATE=1. Now:\n{now}",
        path.display()
    );
}

#[test]
fn the_roles_and_their_permissions_are_those_of_the_golden_table() {
    committed("rbac.txt", &matrix());
}

#[test]
fn the_reference_of_permissions_is_that_of_the_table() {
    committed("../../deploy/reference/permissions.md", &reference());
}
