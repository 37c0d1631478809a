//! `GET /v1/regions/{slug}`.
use super::{Shown, show, store};
use crate::{app::App, gate::Who};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::Slug;
use exarch_common_http::{Path, Problem, Versioned};
use exarch_common_pg::SystemTx;

/// One region.
#[utoipa::path(get, path = "/v1/regions/{slug}", tag = "regions", operation_id = "getRegion",
    params(("slug" = String, Path, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description = "The region's slug")),
    responses((status = 200, description = "The region", body = Shown,
               headers(("ETag" = String, description = "Version of what is registered; health has none")))))]
pub(super) async fn handler(
    State(app): State<App>,
    who: Who,
    Path(slug): Path<Slug>,
) -> Result<Versioned<Shown>, Problem> {
    let _permit = who.check::<perm::region::Read>(&app, Target::System)?;
    let mut tx = SystemTx::begin(&app.app_pool, "get-region").await?;
    let region = store::by_slug(tx.conn(), &slug).await?.ok_or_else(super::no_such)?;
    let version = region.version;
    let mut shown = show(&app, tx.conn(), vec![region]).await?;
    tx.rollback().await?;
    Ok(Versioned {
        version,
        body: shown.remove(0),
    })
}
