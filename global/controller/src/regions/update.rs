//! `PATCH /v1/regions/{slug}`: another name, another place. A slug stays for ever.
use super::{LifeCycle, Shown, register, show, store};
use crate::{app::App, audit, gate::Who};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::Slug;
use exarch_common_http::{Json, Path, Problem, Versioned, conditions::IfMatch, patch::Patch};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::PROVIDER;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// What changes of a region.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionChange {
    /// Its name for people.
    name: Option<String>,
    /// Where its users reach it: `https://…` without a path.
    url: Option<String>,
    /// Where its console is; `null` when there.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    console_url: Patch<String>,
}

/// Changes a region's name and places.
#[utoipa::path(patch, path = "/v1/regions/{slug}", tag = "regions", operation_id = "updateRegion",
    params(("slug" = String, Path, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description = "The region's slug")), request_body = RegionChange,
    responses((status = 200, description = "The region", body = Shown,
               headers(("ETag" = String, description = "Version of what is registered; health has none"))),
              (status = 409, description = "It was removed")))]
pub(super) async fn handler(
    State(app): State<App>,
    who: Who,
    Path(slug): Path<Slug>,
    condition: IfMatch,
    Json(input): Json<RegionChange>,
) -> Result<Versioned<Shown>, Problem> {
    let _permit = who.check::<perm::region::Update>(&app, Target::System)?;
    let mut tx = SystemTx::begin(&app.app_pool, "update-region").await?;
    let before = store::lock_by_slug(tx.conn(), &slug).await?;
    let before = before.ok_or_else(super::no_such)?;
    condition.require(before.version)?;
    if before.lifecycle == LifeCycle::Removed {
        return Err(Problem::conflict("region-removed").detail("A region that was removed stays as it was."));
    }
    let mut after = before.clone();
    after.name = input.name.unwrap_or(after.name);
    after.url = input.url.unwrap_or(after.url);
    after.console_url = input.console_url.over(after.console_url);
    register::check(&after.name, &after.url, after.console_url.as_deref())?;
    if after != before {
        let told = |r: &super::Region| json!({"name": r.name, "url": r.url, "console_url": r.console_url});
        after.version = store::update(tx.conn(), &after).await?;
        let entry = who.entry(&app, PROVIDER, "region.update", ("region", after.id));
        let entry = entry.before(told(&before)).after(told(&after));
        audit::record(&mut tx, &entry).await?;
    }
    let version = after.version;
    let mut shown = show(&app, tx.conn(), vec![after]).await?;
    tx.commit().await?;
    Ok(Versioned {
        version,
        body: shown.remove(0),
    })
}
