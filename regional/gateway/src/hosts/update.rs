//! `PATCH /v1/hosts/{id}`.
use super::{Host, create::refused, store};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{HostId, Slug};
use exarch_common_http::{Json, Path, Problem, Versioned, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// What changes; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HostChange {
    /// 1 to 63 lower-case letters, digits or inner hyphens; unique in the cluster.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    #[serde(default)]
    name: Option<Slug>,
}

/// Change a host.
#[utoipa::path(patch, path = "/v1/hosts/{id}", tag = "hosts", params(("id" = String, Path, pattern = "^hst_[0-9a-f]{32}$")),
    request_body = HostChange, responses(
    (status = 200, body = Host),
    (status = 409, description = "`host-name-taken`")))]
pub(super) async fn update_host(
    State(app): State<App>,
    caller: UserCaller,
    condition: IfMatch,
    Path(id): Path<HostId>,
    Json(input): Json<HostChange>,
) -> Result<Versioned<Host>, Problem> {
    let mut tx = TenantTx::begin(&app.app_pool, &caller).await?;
    let before = store::lock(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let permit = caller.check::<perm::host::Update>(Target::Cluster(caller.tenant_id(), before.cluster_id))?;
    condition.require(before.version)?;
    let Some(name) = input.name.filter(|name| name.as_str() != before.name) else {
        return Ok(before.versioned());
    };
    let after = store::rename(&mut tx, id, &name).await.map_err(refused)?;
    let entry = audit::entry(&caller, &permit, "host", id)
        .before(json!({ "name": before.name }))
        .after(json!({ "name": after.name }));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(after.versioned())
}
