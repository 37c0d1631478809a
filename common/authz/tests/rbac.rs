//! The golden table of roles and permissions.
use exarch_common_authz::{Permission, Role};
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

#[test]
fn the_roles_and_their_permissions_are_those_of_the_golden_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rbac.txt");
    let now = matrix();
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, &now).expect("the golden table can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("rbac.txt is committed");
    assert!(
        now == golden,
        "rbac.txt differs; if that is meant, regenerate it with REGENERATE=1. Now:\n{now}"
    );
}
