//! `GET /v1/clusters/{id}`.
use super::{Cluster, store};
use crate::{
    app::App,
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::ClusterId;
use exarch_common_http::{Path, Problem, Versioned};

/// Show a cluster.
#[utoipa::path(get, path = "/v1/clusters/{id}", tag = "clusters", params(("id" = String, Path, pattern = "^clu_[0-9a-f]{32}$")),
    responses((status = 200, body = Cluster)))]
pub(super) async fn get_cluster(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<ClusterId>,
) -> Result<Versioned<Cluster>, Problem> {
    let permit = caller.check::<perm::cluster::Read>(Target::Cluster(caller.tenant_id(), id))?;
    let found = store::find(&app.app_pool, &caller.within(&permit), id).await?;
    Ok(found.ok_or_else(nothing_here)?.versioned())
}
