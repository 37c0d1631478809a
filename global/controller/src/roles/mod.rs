//! Roles: the presets that every tenant has, and those that it makes for itself. Nobody makes or changes a role into more than
//! they hold themselves, and one that somebody has is not deleted.
mod bound;
mod catalogue;
mod create;
mod delete;
mod list;
mod read;
mod store;
mod update;

pub use bound::{Stored, grantable, resolve, within};

use crate::app::App;
use exarch_common_authz::{Permission, PermissionSet, Role, Scope};
use exarch_common_base::RoleId;
use exarch_common_http::{Api, Problem};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Roles that a tenant may make for itself.
const MOST: i64 = 200;

/// A role of the tenant's own, as it is stored.
#[derive(Clone, Debug)]
struct OwnRole {
    id: RoleId,
    name: String,
    scope: String,
    description: String,
    permissions: Vec<String>,
    version: u64,
    created_at: OffsetDateTime,
}

impl OwnRole {
    /// As the audit has it.
    fn recorded(&self) -> serde_json::Value {
        json!({ "name": self.name, "scope": self.scope, "description": self.description, "permissions": self.permissions })
    }
}

/// A role as it is told.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Role)]
struct RoleOut {
    /// By which it is given.
    name: String,
    /// Of a role of the tenant's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^rol_[0-9a-f]{32}$")]
    id: Option<RoleId>,
    /// `preset`: the same in every tenant, and not to be changed; or `custom`.
    kind: &'static str,
    /// Where it is bound: `tenant` or `cluster`.
    scope: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// What it holds.
    permissions: Vec<String>,
    /// Absent for a preset.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    created_at: Option<OffsetDateTime>,
}

impl From<OwnRole> for RoleOut {
    fn from(role: OwnRole) -> Self {
        Self {
            name: role.name,
            id: Some(role.id),
            kind: "custom",
            scope: role.scope,
            description: role.description,
            permissions: role.permissions,
            created_at: Some(role.created_at),
        }
    }
}

impl From<Role> for RoleOut {
    fn from(role: Role) -> Self {
        Self {
            name: role.slug().to_owned(),
            id: None,
            kind: "preset",
            scope: role.scope().as_str().to_owned(),
            description: role.sentence().to_owned(),
            permissions: names(role.permissions()),
            created_at: None,
        }
    }
}

fn names(set: PermissionSet) -> Vec<String> {
    set.iter().map(|permission| permission.name().to_owned()).collect()
}

/// The presets that a tenant gives to its people.
fn presets() -> impl Iterator<Item = Role> {
    let mut all = Role::ALL.to_vec();
    all.retain(|role| matches!(role.scope(), Scope::Tenant | Scope::Cluster) && !role.is_break_glass());
    all.into_iter()
}

/// 404: neither a preset nor one of the tenant's own.
fn not_found() -> Problem {
    Problem::not_found("role-not-found").detail("The tenant has no role of this name.")
}

/// A preset is looked up by its name like any other role, and is not changed.
fn preset() -> Problem {
    Problem::conflict("role-preset").detail("This role is the same for every tenant: make one of your own instead.")
}

/// Reads the names that a role is to hold; `held` is what its maker holds in the whole tenant.
///
/// # Errors
/// 422 for a name that is none or that the scope does not cover, 403 `permission-not-held`.
fn holdable(asked: &[String], scope: Scope, held: PermissionSet) -> Result<PermissionSet, Problem> {
    let most = exarch_common_authz::CustomRole::most(scope);
    let refused = |at: usize, reason: String| {
        Problem::unprocessable("invalid-role")
            .detail("A value of the role cannot be accepted; see errors.")
            .error(format!("/permissions/{at}"), reason)
    };
    let mut set = PermissionSet::EMPTY;
    for (at, name) in asked.iter().enumerate() {
        let permission: Permission = name
            .parse()
            .map_err(|_| refused(at, "is no permission; see /v1/permissions".to_owned()))?;
        if !most.contains(permission) {
            return Err(refused(at, format!("cannot be held by a role of {scope} scope")));
        }
        if !held.contains(permission) {
            return Err(Problem::forbidden("permission-not-held").detail(format!(
                "You do not hold {permission} in this tenant, so you cannot give it."
            )));
        }
        set = set.with(permission);
    }
    if set.is_empty() {
        return Err(Problem::unprocessable("invalid-role")
            .detail("A value of the role cannot be accepted; see errors.")
            .error("/permissions", "is empty"));
    }
    Ok(set)
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    let api = catalogue::routes(api);
    let api = list::routes(api);
    let api = read::routes(api);
    let api = create::routes(api);
    let api = update::routes(api);
    delete::routes(api)
}
