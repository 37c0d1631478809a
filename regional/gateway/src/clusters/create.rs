//! `POST /v1/clusters`.
use super::{Cluster, store};
use crate::{
    app::App,
    audit,
    gate::UserCaller,
    usage::{self, Counted},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::Slug;
use exarch_common_http::{
    Created, Json, Problem,
    repeats::{Kept, Once},
};
use exarch_common_pg::{OnConstraint, TenantTx};
use serde::Deserialize;
use utoipa::ToSchema;

/// A new cluster.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCluster {
    /// 1 to 63 lower-case letters, digits or inner hyphens; unique in the tenant.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Slug,
}

/// Create a cluster.
#[utoipa::path(post, path = "/v1/clusters", tag = "clusters", request_body = NewCluster, responses(
    (status = 201, body = Cluster),
    (status = 409, description = "`cluster-name-taken`, or `entitlement-limit` with the number")))]
pub(super) async fn create_cluster(
    State(app): State<App>,
    caller: UserCaller,
    once: Once,
    Json(input): Json<NewCluster>,
) -> Result<Kept, Problem> {
    let permit = caller.check::<perm::cluster::Create>(Target::Tenant(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let cluster = store::insert(&mut tx, app.ambient.id(), &input.name, app.ambient.now())
        .await
        .on_constraint("cluster_name_key", name_taken)?;
    usage::take(&app, &mut tx, Counted::Clusters).await?;
    let entry = audit::entry(&caller, &permit, "cluster", cluster.id);
    audit::record(&mut tx, &entry.after(serde_json::json!({ "name": cluster.name }))).await?;
    let id = cluster.id;
    let answer = Created {
        location: cluster.path(),
        version: cluster.version,
        body: cluster,
    };
    once.commit(tx, id, answer).await
}

pub(super) fn name_taken() -> Problem {
    Problem::conflict("cluster-name-taken")
        .detail("Another cluster of your tenant has this name; choose a different one.")
        .error("/name", "is taken")
}
