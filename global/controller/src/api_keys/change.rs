//! `PATCH /v1/api-keys/{id}`: its name, from where and until when it is good. Role, kind and region stay: another key has others.
use super::{ApiKeyOut, ahead, create::may_give, not_found, ranges, read::versioned, store, taken};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::KeyId;
use exarch_common_http::{
    Api, Json, Path, Problem, Text, Versioned,
    conditions::IfMatch,
    patch::{Patch, Timestamp},
};
use exarch_common_pg::{OnConstraint, TenantTx};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::api_key::Create>(), routes!(handler))
}

/// What changes of a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApiKeyChange {
    /// For people.
    name: Option<Text<100>>,
    /// From where it may be used, in the place of what was; from anywhere when empty.
    #[schema(max_items = 32)]
    cidrs: Option<Vec<String>>,
    /// When it ends by itself; `null` for never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Patch<Timestamp>,
}

/// Changes an API key, here at once and in a connected region within a second. Who changes it must hold what its role holds.
#[utoipa::path(patch, path = "/v1/api-keys/{id}", operation_id = "updateApiKey", tag = "api-keys",
    params(("id" = String, Path, pattern = "^key_[0-9a-f]{32}$", description = "Id of the key")),
    request_body = ApiKeyChange,
    responses((status = 200, description = "The key", body = ApiKeyOut,
               headers(("ETag" = String, description = "Its version"))),
              (status = 403, description = "You do not hold what the role holds"),
              (status = 409, description = "The name is taken")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(id): Path<KeyId>,
    condition: IfMatch,
    Json(input): Json<ApiKeyChange>,
) -> Result<Versioned<ApiKeyOut>, Problem> {
    let tenant = who.tenant_in_force()?;
    let permit = who.check::<perm::api_key::Create>(&app, Target::Tenant(tenant))?;
    let now = app.ambient.now();
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let before = store::lock(&mut tx, id, now).await?.ok_or_else(not_found)?;
    condition.require(before.version)?;
    may_give(&mut tx, &before.role, permit.caller().tenant_wide()).await?;
    let mut after = before.clone();
    if let Some(name) = input.name {
        after.name = name.into_inner();
    }
    if let Some(cidrs) = &input.cidrs {
        after.cidrs = ranges(cidrs)?;
    }
    after.expires_at = input.expires_at.map(|at| at.0).over(after.expires_at);
    ahead(after.expires_at.filter(|_| after.expires_at != before.expires_at), now)?;
    after.version = store::update(&mut tx, &after)
        .await
        .on_constraint("api_key_name_key", taken)?;
    let entry = who.entry(&app, tenant, "api_key.update", ("api-key", id));
    let entry = entry.before(before.recorded()).after(after.recorded());
    let shown = versioned(&app, &mut tx, after).await?;
    audit::record(&mut tx, &entry).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(shown)
}
