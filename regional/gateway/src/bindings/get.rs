//! `GET /v1/bindings/{id}`.
use super::{Binding, store};
use crate::{
    app::App,
    gate::{UserCaller, nothing_here, unauthenticated},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::BindingId;
use exarch_common_http::{Json, Path, Problem};
use exarch_common_pg::TenantTx;

/// Show a binding.
#[utoipa::path(get, path = "/v1/bindings/{id}", tag = "bindings", params(("id" = String, Path, pattern = "^bnd_[0-9a-f]{32}$")),
    responses((status = 200, body = Binding)))]
pub(super) async fn get_binding(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<BindingId>,
) -> Result<Json<Binding>, Problem> {
    let permit = caller.check::<perm::role::Read>(Target::Tenant(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let found = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    tx.commit().await?;
    let index = app.directory.current();
    let tenant = index.as_ref().and_then(|index| index.tenant(caller.tenant_id()));
    let tenant = tenant.ok_or_else(unauthenticated)?;
    Ok(Json(found.out(tenant, app.ambient.now())))
}
