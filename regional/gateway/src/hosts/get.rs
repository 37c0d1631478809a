//! `GET /v1/hosts/{id}`.
use super::{Host, store};
use crate::{
    app::App,
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::HostId;
use exarch_common_http::{Path, Problem, Versioned};
use exarch_common_pg::TenantTx;

/// Show a host.
#[utoipa::path(get, path = "/v1/hosts/{id}", tag = "hosts", params(("id" = String, Path, pattern = "^hst_[0-9a-f]{32}$")),
    responses((status = 200, body = Host)))]
pub(super) async fn get_host(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<HostId>,
) -> Result<Versioned<Host>, Problem> {
    let permit = caller.check::<perm::host::Read>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let host = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    tx.commit().await?;
    Ok(host.versioned())
}
