//! `POST /v1/regions/{slug}/join-token`: a new token while nobody has joined; those before it end.
use super::{LifeCycle, register, store};
use crate::{app::App, audit, gate::Who};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::Slug;
use exarch_common_http::{
    Json, Path, Problem,
    repeats::{Kept, Once},
};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::PROVIDER;

/// A new join token.
#[utoipa::path(post, path = "/v1/regions/{slug}/join-token", tag = "regions", operation_id = "createJoinToken",
    params(("slug" = String, Path, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description = "The region's slug")),
    responses((status = 201, description = "The token; it is not shown again", body = register::JoinToken),
              (status = 409, description = "Its gateway has joined already")))]
pub(super) async fn handler(
    State(app): State<App>,
    who: Who,
    Path(slug): Path<Slug>,
    once: Once,
) -> Result<Kept, Problem> {
    let permit = who.check::<perm::region::Register>(&app, Target::System)?;
    let now = app.ambient.now();
    let mut tx = SystemTx::begin(&app.app_pool, "new-join-token").await?;
    let region = store::by_slug(tx.conn(), &slug).await?.ok_or_else(super::no_such)?;
    let lifecycle = store::lock(tx.conn(), region.id).await?.ok_or_else(super::no_such)?;
    if lifecycle != LifeCycle::Registered {
        return Err(Problem::conflict("region-already-joined").detail(format!(
            "The region {slug} is {lifecycle}: only a registered one waits for a gateway."
        )));
    }
    let token = register::make_token(&app, &who, &permit, &mut tx, region.id, now).await?;
    let entry = who.entry(&app, PROVIDER, "region.create-join-token", ("region", region.id));
    audit::record(&mut tx, &entry).await?;
    once.commit(tx, region.id, (StatusCode::CREATED, Json(token))).await
}
