//! `POST /v1/regions/{slug}/drain`, `resume` and `remove`: where a region stands in its life once it is in service.
//!
//! A draining region goes on for whom it has, and nobody new is entitled to it. It can be removed when no tenant is entitled
//! to it any more. A removed region is called no more and may call no more: whatever it asks is answered by its tombstone,
//! which it believes because the cluster authority signed it.
use super::{LifeCycle, NoSuchStep, Region, Shown, show, store};
use crate::{
    app::App,
    audit::{self, Reason},
    federation,
    gate::Who,
    passports,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::Slug;
use exarch_common_http::{Json, Path, Problem, Text};
use exarch_common_pg::SystemTx;
use exarch_common_wire::{
    audit::{Outcome, PROVIDER},
    tombstone::Tombstone,
};
use serde_json::json;

/// Drains a region: what is there goes on, and no tenant is newly entitled to it.
#[utoipa::path(post, path = "/v1/regions/{slug}/drain", tag = "regions", operation_id = "drainRegion",
    params(("slug" = String, Path, description = "The region's slug")), request_body = Reason,
    responses((status = 200, description = "The region", body = Shown),
              (status = 409, description = "It is not active")))]
pub(super) async fn drain(
    State(app): State<App>,
    who: Who,
    Path(slug): Path<Slug>,
    Json(input): Json<Reason>,
) -> Result<Json<Shown>, Problem> {
    let _permit = who.check::<perm::region::Drain>(&app, Target::System)?;
    step(&app, &who, &slug, "region.drain", LifeCycle::drain, input.reason).await
}

/// Puts a draining region back in full service.
#[utoipa::path(post, path = "/v1/regions/{slug}/resume", tag = "regions", operation_id = "resumeRegion",
    params(("slug" = String, Path, description = "The region's slug")), request_body = Reason,
    responses((status = 200, description = "The region", body = Shown),
              (status = 409, description = "It is not draining")))]
pub(super) async fn resume(
    State(app): State<App>,
    who: Who,
    Path(slug): Path<Slug>,
    Json(input): Json<Reason>,
) -> Result<Json<Shown>, Problem> {
    let _permit = who.check::<perm::region::Drain>(&app, Target::System)?;
    step(&app, &who, &slug, "region.resume", LifeCycle::resume, input.reason).await
}

/// Removes a region from the federation for good; its slug is never used again.
#[utoipa::path(post, path = "/v1/regions/{slug}/remove", tag = "regions", operation_id = "removeRegion",
    params(("slug" = String, Path, description = "The region's slug")), request_body = Reason,
    responses((status = 200, description = "The region", body = Shown),
              (status = 409, description = "It is active: drain it first. Or a tenant is entitled to it still")))]
pub(super) async fn remove(
    State(app): State<App>,
    who: Who,
    Path(slug): Path<Slug>,
    Json(input): Json<Reason>,
) -> Result<Json<Shown>, Problem> {
    let _permit = who.check::<perm::region::Remove>(&app, Target::System)?;
    step(&app, &who, &slug, "region.remove", LifeCycle::remove, input.reason).await
}

async fn step(
    app: &App,
    who: &Who,
    slug: &Slug,
    action: &'static str,
    to: fn(LifeCycle) -> Result<LifeCycle, NoSuchStep>,
    reason: Text<200>,
) -> Result<Json<Shown>, Problem> {
    let mut tx = SystemTx::begin(&app.app_pool, action).await?;
    let mut region = store::lock_by_slug(tx.conn(), slug).await?.ok_or_else(super::no_such)?;
    let before = region.lifecycle;
    region.lifecycle = to(before).map_err(|no| refused(&region, no))?;
    store::set_lifecycle(tx.conn(), region.id, region.lifecycle).await?;
    if region.lifecycle == LifeCycle::Removed {
        end(app, &mut tx, &region).await?;
    }
    let entry = who.entry(app, PROVIDER, action, ("region", region.id));
    let entry = entry
        .before(json!({ "lifecycle": before.as_str() }))
        .after(json!({ "lifecycle": region.lifecycle.as_str() }));
    audit::record(&mut tx, &entry.ended(Outcome::Ok, reason.into_inner())).await?;
    let (id, removed) = (region.id, region.lifecycle == LifeCycle::Removed);
    let mut shown = show(app, tx.conn(), vec![region]).await?;
    tx.commit().await?;
    if removed {
        app.federation.tunnels.close(id);
    }
    Ok(Json(shown.remove(0)))
}

/// What a removal ends: the tokens that would let a gateway join, and everything by which one may call.
async fn end(app: &App, tx: &mut SystemTx, region: &Region) -> Result<(), Problem> {
    // Whoever gives a tenant its section takes turns with this, and nobody is left behind without a word.
    let entitled = passports::entitled_tenants(tx.conn(), region.id).await?;
    if entitled > 0 {
        let tenants = if entitled == 1 { "tenant is" } else { "tenants are" };
        return Err(Problem::conflict("region-entitled").detail(format!(
            "{entitled} {tenants} entitled to {}: end the entitlements first.",
            region.slug
        )));
    }
    let now = app.ambient.now();
    let tombstone = Tombstone {
        region: region.id,
        removed_at: now.unix_timestamp(),
    };
    let authority = app.keys.authority();
    let signed = tombstone
        .sign(&authority.key, &authority.kid)
        .map_err(|e| Problem::internal(&e))?;
    store::set_removed(tx.conn(), region.id, &signed, now).await?;
    store::supersede_tokens(tx.conn(), region.id, now).await?;
    federation::forget(tx.conn(), region.id, now).await?;
    Ok(())
}

fn refused(region: &Region, no: NoSuchStep) -> Problem {
    let hint = match (no.from, no.to) {
        (LifeCycle::Removed, _) => "nothing brings it back",
        (LifeCycle::Active, LifeCycle::Removed) => "drain it first",
        (LifeCycle::Registered | LifeCycle::Joining, _) => "it is not in service yet",
        _ => "that is what was asked for",
    };
    Problem::conflict("region-state").detail(format!("{} is {}: {hint}.", region.slug, no.from))
}
