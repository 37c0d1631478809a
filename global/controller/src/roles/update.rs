//! `PATCH /v1/roles/{name}`.
use super::{RoleOut, holdable, names, not_found, preset, presets, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports,
};
use axum::extract::State;
use exarch_common_authz::{PermissionSet, Scope, Target, perm};
use exarch_common_http::{Api, Json, Path, Problem, Text, Versioned, conditions::IfMatch, patch::Patch};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::role::Update>(), routes!(handler))
}

/// What changes of a role. Its name and scope stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleChange {
    /// For people; `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Patch<Text<500>>,
    /// What it holds, in the place of what it held.
    #[schema(max_items = 256)]
    permissions: Option<Vec<String>>,
}

/// Changes a role of the tenant's own, for everybody who has it: here at once and in connected regions within a second. Who
/// changes it must hold what it held and what it will hold.
#[utoipa::path(patch, path = "/v1/roles/{name}", operation_id = "updateRole", tag = "roles",
    params(("name" = String, Path, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description = "Its name")),
    request_body = RoleChange,
    responses((status = 200, description = "The role", body = RoleOut,
               headers(("ETag" = String, description = "Its version"))),
              (status = 403, description = "You do not hold what it holds"),
              (status = 409, description = "It is a preset")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    condition: IfMatch,
    Json(input): Json<RoleChange>,
) -> Result<Versioned<RoleOut>, Problem> {
    let tenant = who.tenant_in_force()?;
    let permit = who.check::<perm::role::Update>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let Some(before) = store::lock(&mut tx, &name).await? else {
        return Err(if presets().any(|role| role.slug() == name) {
            preset()
        } else {
            not_found()
        });
    };
    condition.require(before.version)?;
    let held = permit.caller().tenant_wide();
    let mut after = before.clone();
    // a name that this build no longer knows gives nothing, and is nothing to be held
    let known: PermissionSet = before.permissions.iter().filter_map(|name| name.parse().ok()).collect();
    if let Some(lacking) = known.difference(held).iter().next() {
        return Err(Problem::forbidden("permission-not-held").detail(format!(
            "This role holds {lacking}, which you do not hold in this tenant."
        )));
    }
    if let Some(permissions) = input.permissions {
        let scope: Scope = before.scope.parse().map_err(|e| Problem::internal(&e))?;
        after.permissions = names(holdable(&permissions, scope, held)?);
    }
    let description = input.description.map(Text::into_inner).over(Some(after.description));
    after.description = description.unwrap_or_default();
    after.version = store::update(&mut tx, &after, app.ambient.now()).await?;
    let entry = who.entry(&app, tenant, "role.update", ("role", after.id));
    audit::record(&mut tx, &entry.before(before.recorded()).after(after.recorded())).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(Versioned {
        version: after.version,
        body: after.into(),
    })
}
