//! `PATCH /v1/tenants/{id}`: another name. A slug stays for ever.
use super::{Tenant, TenantKey, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports,
};
use axum::extract::State;
use exarch_common_authz::{Target, TenantState, perm};
use exarch_common_http::{Api, Json, Path, Problem, Text, Versioned, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use exarch_common_wire::audit::PROVIDER;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::tenant::Update>(), routes!(handler))
}

/// What changes of a tenant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantChange {
    /// For people.
    name: Option<Text<100>>,
}

/// Changes a tenant's name; a connected region learns of it within a second.
#[utoipa::path(patch, path = "/v1/tenants/{id}", operation_id = "updateTenant", tag = "tenants",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug")), request_body = TenantChange,
    responses((status = 200, description = "The tenant", body = Tenant,
               headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "It is being deleted")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    condition: IfMatch,
    Json(input): Json<TenantChange>,
) -> Result<Versioned<Tenant>, Problem> {
    let _permit = who.check::<perm::tenant::Update>(&app, Target::System)?;
    let id = key.registered(&app).await?.id;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(id)).await?;
    let mut tenant = store::lock(&mut tx).await?.ok_or_else(super::key::not_found)?;
    condition.require(tenant.version)?;
    if matches!(tenant.state, TenantState::Deleting | TenantState::Deleted) {
        return Err(Problem::conflict("tenant-deleting").detail("A tenant that is being deleted stays as it is."));
    }
    if let Some(name) = input.name {
        let before = std::mem::replace(&mut tenant.name, name.into_inner());
        tenant.version = store::set_name(&mut tx, &tenant.name, app.ambient.now()).await?;
        for ledger in [PROVIDER, id] {
            let entry = who.entry(&app, ledger, "tenant.update", ("tenant", id));
            let entry = entry
                .before(json!({ "name": before }))
                .after(json!({ "name": tenant.name }));
            audit::record(&mut tx, &entry).await?;
        }
        passports::touch_tenant(&app, &mut tx).await?;
        tx.commit().await?;
        passports::nudge(&app);
    }
    Ok(Versioned {
        version: tenant.version,
        body: tenant,
    })
}
