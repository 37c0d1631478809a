//! `GET /v1/resources/{id}`.
use super::{Resource, store};
use crate::{
    app::App,
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::ResourceId;
use exarch_common_http::{Path, Problem, Versioned};
use exarch_common_pg::TenantTx;

/// Show a resource.
#[utoipa::path(get, path = "/v1/resources/{id}", tag = "resources", params(("id" = String, Path)),
    responses((status = 200, body = Resource)))]
pub(super) async fn get_resource(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<ResourceId>,
) -> Result<Versioned<Resource>, Problem> {
    let permit = caller.check::<perm::resource::Read>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let resource = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    tx.commit().await?;
    Ok(Versioned {
        version: resource.version,
        body: resource,
    })
}
