//! `POST /v1/api-keys/{id}/revoke`: for good.
use super::{not_found, store};
use crate::{
    app::App,
    audit::{self, Reason},
    gate::{Who, needs},
    passports,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::KeyId;
use exarch_common_http::{Api, Json, Path, Problem};
use exarch_common_pg::TenantTx;
use exarch_common_wire::audit::Outcome;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::api_key::Revoke>(), routes!(handler))
}

/// Ends an API key and what it opened, here at once and in connected regions within a second.
#[utoipa::path(post, path = "/v1/api-keys/{id}/revoke", operation_id = "revokeApiKey", tag = "api-keys",
    params(("id" = String, Path, pattern = "^key_[0-9a-f]{32}$", description = "Id of the key")), request_body = Reason,
    responses((status = 204, description = "It is over")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(id): Path<KeyId>,
    Json(input): Json<Reason>,
) -> Result<StatusCode, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::api_key::Revoke>(&app, Target::Tenant(tenant))?;
    let now = app.ambient.now();
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let key = store::lock(&mut tx, id, now).await?.ok_or_else(not_found)?;
    store::revoke(&mut tx, id, now).await?;
    let entry = who.entry(&app, tenant, "api_key.revoke", ("api-key", id));
    let entry = entry
        .before(key.recorded())
        .ended(Outcome::Ok, input.reason.into_inner());
    audit::record(&mut tx, &entry).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(StatusCode::NO_CONTENT)
}
