//! `PATCH /v1/clusters/{id}`.
use super::{Cluster, create::name_taken, store};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{ClusterId, Slug};
use exarch_common_http::{Json, Path, Problem, Versioned, conditions::IfMatch};
use exarch_common_pg::{OnConstraint, TenantTx};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// What changes; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterChange {
    /// 1 to 63 lower-case letters, digits or inner hyphens; unique in the tenant.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    #[serde(default)]
    name: Option<Slug>,
}

/// Change a cluster.
#[utoipa::path(patch, path = "/v1/clusters/{id}", tag = "clusters", params(("id" = String, Path, pattern = "^clu_[0-9a-f]{32}$")),
    request_body = ClusterChange, responses(
    (status = 200, body = Cluster),
    (status = 409, description = "`cluster-name-taken`")))]
pub(super) async fn update_cluster(
    State(app): State<App>,
    caller: UserCaller,
    condition: IfMatch,
    Path(id): Path<ClusterId>,
    Json(input): Json<ClusterChange>,
) -> Result<Versioned<Cluster>, Problem> {
    let permit = caller.check::<perm::cluster::Update>(Target::Cluster(caller.tenant_id(), id))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let before = store::lock(&mut tx, id).await?.ok_or_else(nothing_here)?;
    condition.require(before.version)?;
    let Some(name) = input.name.filter(|name| name.as_str() != before.name) else {
        return Ok(before.versioned());
    };
    let after = store::rename(&mut tx, id, &name)
        .await
        .on_constraint("cluster_name_key", name_taken)?;
    let entry = audit::entry(&caller, &permit, "cluster", id)
        .before(json!({ "name": before.name }))
        .after(json!({ "name": after.name }));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(after.versioned())
}
