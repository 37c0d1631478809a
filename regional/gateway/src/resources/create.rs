//! `POST /v1/resources`.
use super::{
    Resource, ResourceKind,
    resource::TTL_MS,
    store::{self, NewRow},
};
use crate::{app::App, audit, clusters, gate::UserCaller};
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

/// A new resource.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewResource {
    /// Its cluster.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    cluster_id: ClusterId,
    /// 1 to 63 lower-case letters, digits or inner hyphens; unique in the cluster.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Slug,
    /// What sort of thing it is.
    kind: ResourceKind,
    /// How long a lease on it lasts, in milliseconds; the region's default unless said.
    #[schema(minimum = 5000, maximum = 300000)]
    #[serde(default)]
    ttl_ms: Option<u64>,
}

/// Create a resource.
#[utoipa::path(post, path = "/v1/resources", tag = "resources", request_body = NewResource, responses(
    (status = 201, body = Resource), (status = 409, description = "`resource-name-taken`")))]
pub(super) async fn create_resource(
    State(app): State<App>,
    caller: UserCaller,
    once: Once,
    Json(input): Json<NewResource>,
) -> Result<Kept, Problem> {
    let permit = caller.check::<perm::resource::Create>(Target::Cluster(caller.tenant_id(), input.cluster_id))?;
    let ttl_ms = checked_ttl(input.ttl_ms.unwrap_or(app.settings.leases.ttl.as_millis() as u64))?;
    let row = NewRow {
        id: app.ambient.id(),
        cluster: input.cluster_id,
        name: &input.name,
        kind: input.kind,
        ttl_ms,
        now: app.ambient.now(),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    clusters::hold(&mut tx, input.cluster_id).await?;
    let resource = store::insert(&mut tx, row).await.map_err(refused)?;
    let entry = audit::entry(&caller, &permit, "resource", resource.id);
    let after =
        json!({ "name": resource.name, "cluster_id": resource.cluster_id, "kind": resource.kind, "ttl_ms": ttl_ms });
    audit::record(&mut tx, &entry.after(after)).await?;
    let id = resource.id;
    let answer = Created {
        location: resource.path(),
        version: resource.version,
        body: resource,
    };
    once.commit(tx, id, answer).await
}

/// How long a lease may last.
pub(super) fn checked_ttl(ttl_ms: u64) -> Result<u64, Problem> {
    if TTL_MS.contains(&ttl_ms) {
        return Ok(ttl_ms);
    }
    let reason = format!("expected a number from {} to {}", TTL_MS.start(), TTL_MS.end());
    Err(Problem::unprocessable("invalid-value")
        .detail("A value in the body cannot be accepted; see errors.")
        .error("/ttl_ms", reason))
}

pub(super) fn refused(error: DbError) -> Problem {
    match error.constraint() {
        Some("resource_name_key") => Problem::conflict("resource-name-taken")
            .detail("Another resource of this cluster has this name; choose a different one.")
            .error("/name", "is taken"),
        _ => error.into(),
    }
}
