//! `DELETE /v1/bindings/{id}`.
use super::store;
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::BindingId;
use exarch_common_http::{Path, Problem};
use exarch_common_pg::TenantTx;
use serde_json::json;

/// Take a role in a cluster away, on every replica within a second.
#[utoipa::path(delete, path = "/v1/bindings/{id}", tag = "bindings", params(("id" = String, Path, pattern = "^bnd_[0-9a-f]{32}$")),
    responses((status = 204)))]
pub(super) async fn delete_binding(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<BindingId>,
) -> Result<StatusCode, Problem> {
    let permit = caller.check::<perm::role::Unassign>(Target::Tenant(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let found = store::lock(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let by = caller.principal().to_string();
    store::end(&mut tx, id, &by, app.ambient.now()).await?;
    let entry = audit::entry(&caller, &permit, "binding", id);
    let before = json!({ "user": found.user, "cluster_id": found.cluster, "role": found.role });
    audit::record(&mut tx, &entry.before(before)).await?;
    tx.commit().await?;
    if let Err(cause) = app.bindings.look(&app.app_pool, &app.sweep_pool).await {
        tracing::debug!(%cause, "the binding is still in force here");
    }
    Ok(StatusCode::NO_CONTENT)
}
