//! `DELETE /v1/roles/{name}`.
use super::{not_found, preset, presets, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_http::{Api, Path, Problem, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::role::Delete>(), routes!(handler))
}

/// Deletes a role of the tenant's own that nobody has and nobody is invited to. A binding in a region that still names it gives
/// nothing from then on.
#[utoipa::path(delete, path = "/v1/roles/{name}", operation_id = "deleteRole", tag = "roles",
    params(("name" = String, Path, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description = "Its name"),
           ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag")),
    responses((status = 204, description = "It is gone"),
              (status = 409, description = "It is a preset, or somebody has it"),
              (status = 412, description = "It was changed meanwhile: read it again")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::role::Delete>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let Some(role) = store::lock(&mut tx, &name).await? else {
        return Err(if presets().any(|role| role.slug() == name) {
            preset()
        } else {
            not_found()
        });
    };
    condition.check(role.version)?;
    let uses = store::uses(&mut tx, &name, app.ambient.now()).await?;
    if uses > 0 {
        return Err(Problem::conflict("role-in-use").detail(format!(
            "This role is given by {uses} memberships, invitations or API keys: take it away there first."
        )));
    }
    store::end(&mut tx, role.id, app.ambient.now()).await?;
    let entry = who.entry(&app, tenant, "role.delete", ("role", role.id));
    audit::record(&mut tx, &entry.before(role.recorded())).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(StatusCode::NO_CONTENT)
}
