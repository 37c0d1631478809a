//! `POST /v1/roles`.
use super::{MOST, OwnRole, RoleOut, holdable, names, presets, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Role, Scope, Target, perm};
use exarch_common_base::Slug;
use exarch_common_http::{
    Api, Json, Problem, Text,
    repeats::{Kept, Once, Repeat},
};
use exarch_common_pg::{OnConstraint, TenantTx};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.creates(needs::<perm::role::Create>(), Repeat::Same, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateRole)]
struct Create {
    /// By which it is given from then on.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Slug,
    /// Where it will be bound.
    #[serde(default)]
    scope: BoundAt,
    /// For people.
    #[serde(default)]
    description: Option<Text<500>>,
    /// What it holds, by name; see `/v1/permissions`.
    #[schema(max_items = 256)]
    permissions: Vec<String>,
}

/// Where a role is bound.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RoleScope)]
enum BoundAt {
    /// In the whole tenant, by a membership.
    #[default]
    Tenant,
    /// In one cluster, by a binding in its region.
    Cluster,
}

impl From<BoundAt> for Scope {
    fn from(at: BoundAt) -> Self {
        match at {
            BoundAt::Tenant => Self::Tenant,
            BoundAt::Cluster => Self::Cluster,
        }
    }
}

/// Makes a role of the tenant's own, out of what you hold yourself.
#[utoipa::path(post, path = "/v1/roles", operation_id = "createRole", tag = "roles", request_body = Create,
    responses((status = 201, description = "The role", body = RoleOut),
              (status = 403, description = "You do not hold what it would hold"),
              (status = 409, description = "The name is taken, or the tenant has as many roles as it may")))]
async fn handler(State(app): State<App>, who: Who, once: Once, Json(input): Json<Create>) -> Result<Kept, Problem> {
    let tenant = who.tenant_in_force()?;
    let permit = who.check::<perm::role::Create>(&app, Target::Tenant(tenant))?;
    let scope = Scope::from(input.scope);
    let set = holdable(&input.permissions, scope, permit.caller().tenant_wide())?;
    let taken = || Problem::conflict("role-exists").detail("There is a role of this name: choose another one.");
    if presets()
        .map(Role::slug)
        .chain([
            "system-admin",
            "provider-operator",
            "regional-operator",
            "bg-read",
            "bg-write",
        ])
        .any(|name| name == input.name.as_str())
    {
        return Err(taken());
    }
    let role = OwnRole {
        id: app.ambient.id(),
        name: input.name.to_string(),
        scope: scope.as_str().to_owned(),
        description: input.description.map(Text::into_inner).unwrap_or_default(),
        permissions: names(set),
        version: 1,
        created_at: app.ambient.now(),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    if store::count(&mut tx).await? >= MOST {
        return Err(
            Problem::conflict("too-many-roles").detail(format!("A tenant has at most {MOST} roles of its own."))
        );
    }
    store::insert(&mut tx, &role, who.user())
        .await
        .on_constraint("role_name_key", taken)?;
    let entry = who.entry(&app, tenant, "role.create", ("role", role.id));
    audit::record(&mut tx, &entry.after(role.recorded())).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    let id = role.id;
    let kept = once
        .commit(tx, id, (StatusCode::CREATED, Json(RoleOut::from(role))))
        .await?;
    passports::nudge(&app);
    Ok(kept)
}
