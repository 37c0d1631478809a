//! `POST /v1/regions/{slug}/token`: a token for one region.
use super::{
    entrant::Entrant,
    entry::{Right, state},
    store,
};
use crate::{app::App, health, memberships::Seat, passports, regions};
use axum::extract::State;
use exarch_common_base::{RegionId, Slug};
use exarch_common_http::{Json, Path, Problem};
use exarch_common_pg::TenantTx;
use exarch_common_wire::{
    audit::Outcome,
    key_token, names,
    user_token::{self, InRegion, Version},
};
use serde::Serialize;
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A token for one region, and how that region is.
#[derive(Serialize, ToSchema)]
pub(super) struct RegionToken {
    /// JWT (`at+jwt`), worth nothing elsewhere.
    access_token: String,
    /// Seconds.
    expires_in: i64,
    region: Entered,
    /// The life cycle unless active, then the health.
    #[schema(value_type = String)]
    region_state: &'static str,
    /// When the region answered the global last.
    #[serde(with = "time::serde::rfc3339::option")]
    last_seen: Option<OffsetDateTime>,
}

/// The region to go to.
#[derive(Serialize, ToSchema)]
#[schema(as = EnteredRegion)]
struct Entered {
    slug: String,
    url: String,
}

/// A token for a region that the caller may enter: a person, or a federated API key as the bearer.
#[utoipa::path(post, path = "/v1/regions/{slug}/token", tag = "regions", operation_id = "enterRegion",
    params(("slug" = String, Path, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description = "The region's slug")),
    responses((status = 200, description = "The token", body = RegionToken),
              (status = 404, description = "No such region, or none of the caller's"),
              (status = 409, description = "The region is not in service")))]
pub(super) async fn handler(
    State(app): State<App>,
    who: Entrant,
    Path(slug): Path<Slug>,
) -> Result<Json<RegionToken>, Problem> {
    let Some(seat) = who.seat() else {
        return Err(regions::no_such());
    };
    run(&app, &who, seat, &slug).await.map(Json)
}

async fn run(app: &App, who: &Entrant, seat: &Seat, slug: &Slug) -> Result<RegionToken, Problem> {
    let (tenant, now) = (seat.tenant.id, app.ambient.now());
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let region = regions::by_slug(tx.conn(), slug).await?;
    let reached = region.filter(|r| seat.regions.as_ref().is_none_or(|only| only.contains(&r.id)));
    let right = match &reached {
        Some(region) => store::right(tx.conn(), tenant, region.id).await?,
        None => None,
    };
    let (Some(region), Some(right)) = (reached, right.filter(|r| r.check(now).is_ok())) else {
        let entry = || who.entry(app, tenant, "region.enter", ("region", slug));
        app.refusals.push(&app.ambient, who.principal(), || {
            let why = "not entitled, or the membership does not reach it";
            (entry().ended(Outcome::Denied, why), None)
        });
        return Err(regions::no_such());
    };
    let present = health::present(tx.conn(), &[region.id]).await?.pop();
    let health = present.as_ref().map_or(health::Health::Unknown, |p| p.health);
    let region_state = state(region.lifecycle, health);
    if !region.lifecycle.admits_people() {
        return Err(Problem::conflict("region-not-in-service")
            .detail(format!(
                "The region {slug} is {}: nobody can enter it.",
                region.lifecycle
            ))
            .with("region_state", region_state));
    }
    let ten_v = passports::section_version(tx.conn(), region.id, tenant).await?;
    tx.rollback().await?;
    let ten_v = ten_v.ok_or_else(|| {
        Problem::unavailable("passport-pending", Duration::from_secs(1))
            .detail("The region is about to learn of your organisation; try again shortly.")
    })?;
    let exp = end(app, who, seat, &right, now).unix_timestamp();
    let access_token = minted(app, who, seat, region.id, ten_v, now, exp)?;
    metrics::counter!("exarch_region_tokens_total").increment(1);
    Ok(RegionToken {
        access_token,
        expires_in: exp - now.unix_timestamp(),
        region: Entered {
            slug: region.slug.to_string(),
            url: region.url,
        },
        region_state,
        last_seen: present.and_then(|p| p.last_answer_at),
    })
}

/// A token of the type that goes with who asks.
fn minted(
    app: &App,
    who: &Entrant,
    seat: &Seat,
    region: RegionId,
    ten_v: Version,
    now: OffsetDateTime,
    exp: i64,
) -> Result<String, Problem> {
    let signer = app.keys.signer(now).map_err(|e| Problem::internal(&e))?;
    let iat = now.unix_timestamp();
    let (iss, aud) = (app.keys.issuer(), names::region(region));
    let jti = app.ambient.uuid().simple().to_string();
    let signed = match who {
        Entrant::Person(who) => {
            let session = who.session();
            let claims = user_token::Claims {
                iss,
                sub: session.user,
                aud,
                iat,
                nbf: iat,
                exp,
                jti,
                sid: session.id,
                tid: Some(seat.tenant.id),
                roles: seat.roles.iter().map(|role| role.name().to_owned()).collect(),
                amr: session.amr.clone(),
                auth_time: session.auth_time.unix_timestamp(),
                region: Some(InRegion {
                    rid: region,
                    sxp: session.expires_at.unix_timestamp(),
                    ten_v,
                }),
                bg: session.break_glass.map(|grant| grant.to_string()),
                cnf: None,
            };
            user_token::sign(&signer.key, &signer.kid(), &claims)
        }
        Entrant::Key(key) => {
            let claims = key_token::Claims {
                iss,
                sub: key.id,
                aud,
                iat,
                nbf: iat,
                exp,
                jti,
                tid: seat.tenant.id,
                rid: region,
                ten_v,
            };
            key_token::sign(&signer.key, &signer.kid(), &claims)
        }
    };
    signed.map_err(|e| Problem::internal(&e))
}

/// Not after the session or the key, the tenant's right, or the person's place in the tenant.
fn end(app: &App, who: &Entrant, seat: &Seat, right: &Right, now: OffsetDateTime) -> OffsetDateTime {
    let life = now + app.settings.tokens.access;
    let own = match who {
        Entrant::Person(who) => Some(who.session().expires_at),
        Entrant::Key(key) => key.expires_at,
    };
    let bounds = [own, right.until, seat.until];
    bounds.into_iter().flatten().fold(life, Ord::min)
}
