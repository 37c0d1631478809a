//! `GET /v1/resources/{id}`.
use super::{Resource, store};
use crate::{
    app::App,
    gate::{UserCaller, nothing_here},
    leases,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{Fence, ResourceId};
use exarch_common_http::{Path, Problem, Versioned};
use exarch_common_pg::TenantTx;
use serde::Serialize;
use utoipa::ToSchema;

/// A resource, and what is known of it only when it is asked for alone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shown {
    #[serde(flatten)]
    resource: Resource,
    /// The highest fence ever given for it, `epoch.generation`; absent before the first lease.
    #[schema(value_type = Option<String>, example = "1.42")]
    #[serde(skip_serializing_if = "Option::is_none")]
    fence: Option<Fence>,
}

/// Show a resource and the highest fence given for it.
#[utoipa::path(get, path = "/v1/resources/{id}", tag = "resources", params(("id" = String, Path, pattern = "^res_[0-9a-f]{32}$")),
    responses((status = 200, body = Shown)))]
pub(super) async fn get_resource(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<ResourceId>,
) -> Result<Versioned<Shown>, Problem> {
    let permit = caller.check::<perm::resource::Read>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let resource = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let fence = leases::highest_fence(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Versioned {
        version: resource.version,
        body: Shown { resource, fence },
    })
}
