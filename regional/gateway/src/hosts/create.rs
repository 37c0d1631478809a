//! `POST /v1/hosts`.
use super::{Host, store};
use crate::{
    app::App,
    audit, clusters,
    gate::UserCaller,
    usage::{self, Counted},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{ClusterId, Slug};
use exarch_common_http::{
    Created, Json, Problem,
    repeats::{Kept, Once},
};
use exarch_common_pg::{DbError, TenantTx};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// A new host.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHost {
    /// Its cluster.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    cluster_id: ClusterId,
    /// 1 to 63 lower-case letters, digits or inner hyphens; unique in the cluster.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Slug,
}

/// Add a host to a cluster.
#[utoipa::path(post, path = "/v1/hosts", tag = "hosts", request_body = NewHost, responses(
    (status = 201, body = Host),
    (status = 409, description = "`host-name-taken`, or `entitlement-limit` with the number")))]
pub(super) async fn create_host(
    State(app): State<App>,
    caller: UserCaller,
    once: Once,
    Json(input): Json<NewHost>,
) -> Result<Kept, Problem> {
    let permit = caller.check::<perm::host::Create>(Target::Cluster(caller.tenant_id(), input.cluster_id))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    clusters::hold(&mut tx, input.cluster_id).await?;
    let host = store::insert(
        &mut tx,
        app.ambient.id(),
        input.cluster_id,
        &input.name,
        app.ambient.now(),
    )
    .await
    .map_err(refused)?;
    usage::take(&app, &mut tx, Counted::Hosts).await?;
    let entry = audit::entry(&caller, &permit, "host", host.id);
    let after = json!({ "name": host.name, "cluster_id": host.cluster_id });
    audit::record(&mut tx, &entry.after(after)).await?;
    let id = host.id;
    let answer = Created {
        location: host.path(),
        version: host.version,
        body: host,
    };
    once.commit(tx, id, answer).await
}

pub(super) fn refused(error: DbError) -> Problem {
    match error.constraint() {
        Some("host_name_key") => Problem::conflict("host-name-taken")
            .detail("Another host of this cluster has this name; choose a different one.")
            .error("/name", "is taken"),
        _ => error.into(),
    }
}
