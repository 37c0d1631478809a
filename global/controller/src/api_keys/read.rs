//! `GET /v1/api-keys/{id}`.
use super::{ApiKey, ApiKeyOut, list::told, not_found, store};
use crate::{
    app::App,
    gate::{Who, needs},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::KeyId;
use exarch_common_http::{Api, Path, Problem, Versioned};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::api_key::Read>(), routes!(handler))
}

/// One API key.
#[utoipa::path(get, path = "/v1/api-keys/{id}", operation_id = "readApiKey", tag = "api-keys",
    params(("id" = String, Path, pattern = "^key_[0-9a-f]{32}$", description = "Id of the key")),
    responses((status = 200, description = "The key", body = ApiKeyOut,
               headers(("ETag" = String, description = "Its version")))))]
async fn handler(State(app): State<App>, who: Who, Path(id): Path<KeyId>) -> Result<Versioned<ApiKeyOut>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::api_key::Read>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let key = store::find(&mut tx, id, app.ambient.now()).await?;
    let key = key.ok_or_else(not_found)?;
    let shown = versioned(&app, &mut tx, key).await?;
    tx.rollback().await?;
    Ok(shown)
}

/// One key, as it is told.
///
/// # Errors
/// The database.
pub(super) async fn versioned(app: &App, tx: &mut TenantTx, key: ApiKey) -> Result<Versioned<ApiKeyOut>, Problem> {
    let version = key.version;
    let body = told(app, tx, vec![key]).await?.pop().ok_or_else(not_found)?;
    Ok(Versioned { version, body })
}
