//! `PATCH /v1/resources/{id}`.
use super::{
    Resource,
    create::{checked_ttl, refused},
    store,
};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{ResourceId, Slug};
use exarch_common_http::{Json, Path, Problem, Versioned, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// What changes; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourceChange {
    /// 1 to 63 lower-case letters, digits or inner hyphens; unique in the cluster.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    #[serde(default)]
    name: Option<Slug>,
    /// How long the next lease on it lasts, in milliseconds; one that is held keeps its own.
    #[schema(minimum = 5000, maximum = 300000)]
    #[serde(default)]
    ttl_ms: Option<u64>,
}

/// Change a resource.
#[utoipa::path(patch, path = "/v1/resources/{id}", tag = "resources", params(("id" = String, Path, pattern = "^res_[0-9a-f]{32}$")),
    request_body = ResourceChange, responses(
    (status = 200, body = Resource),
    (status = 409, description = "`resource-name-taken`")))]
pub(super) async fn update_resource(
    State(app): State<App>,
    caller: UserCaller,
    condition: IfMatch,
    Path(id): Path<ResourceId>,
    Json(input): Json<ResourceChange>,
) -> Result<Versioned<Resource>, Problem> {
    let mut tx = TenantTx::begin(&app.app_pool, &caller).await?;
    let before = store::lock(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let permit = caller.check::<perm::resource::Update>(Target::Cluster(caller.tenant_id(), before.cluster_id))?;
    condition.require(before.version)?;
    let ttl_ms = checked_ttl(input.ttl_ms.unwrap_or(before.ttl_ms))?;
    let name = input.name.map_or_else(|| before.name.clone(), |name| name.to_string());
    if (&name, ttl_ms) == (&before.name, before.ttl_ms) {
        return Ok(before.versioned());
    }
    let after = store::save(&mut tx, id, &name, ttl_ms).await.map_err(refused)?;
    let entry = audit::entry(&caller, &permit, "resource", id)
        .before(json!({ "name": before.name, "ttl_ms": before.ttl_ms }))
        .after(json!({ "name": after.name, "ttl_ms": after.ttl_ms }));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(after.versioned())
}
