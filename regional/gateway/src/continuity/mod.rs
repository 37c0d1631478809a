//! What keeps working in this region without the centre, and until when: `GET /v1/continuity`, for anyone, at any age of the
//! passport and without one.
use crate::app::App;
use axum::extract::State;
use exarch_common_http::{Api, Json, RouteKind};
use exarch_common_wire::passport::Tier;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(continuity))
}

/// Where the region stands without the centre.
#[derive(Debug, Serialize, ToSchema)]
struct Continuity {
    region: RegionName,
    /// Since when the region is no part of the federation any more; absent while it is.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    removed_at: Option<OffsetDateTime>,
    tunnel: Tunnel,
    /// When the global was last heard by this replica.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    last_contact: Option<OffsetDateTime>,
    /// Absent while the region has no valid passport: then nobody but its own operators may enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    passport: Option<PassportAge>,
    /// What stops when, soonest first, unless the global is heard before.
    stops: Vec<Stopping>,
    /// Messages that wait until the global can be reached.
    queued: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct RegionName {
    id: String,
    slug: String,
    name: String,
}

/// This replica's connections to the global.
#[derive(Debug, Serialize, ToSchema)]
struct Tunnel {
    /// `connected`, `partial` or `disconnected`.
    state: &'static str,
    /// Seconds since the connection by which the gateway calls was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    up_seconds: Option<u64>,
    /// Seconds since the connection by which the global calls was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    down_seconds: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PassportAge {
    /// Generation and version.
    version: String,
    /// When the global last stood by it.
    #[serde(with = "time::serde::rfc3339")]
    as_of: OffsetDateTime,
    age_seconds: u64,
    /// `fresh`, `stale`, `old` or `expired`.
    tier: AgeTier,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum AgeTier {
    Fresh,
    Stale,
    Old,
    Expired,
}

/// One thing that stops.
#[derive(Debug, Serialize, ToSchema)]
struct Stopping {
    what: &'static str,
    /// Whether it has stopped already.
    stopped: bool,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// The problem with which it is answered then.
    problem: &'static str,
}

/// What keeps working without the centre, and until when.
#[utoipa::path(get, path = "/v1/continuity", tag = "continuity", responses((status = 200, body = Continuity)))]
async fn continuity(State(app): State<App>) -> Json<Continuity> {
    let (now, boot) = (app.ambient.now(), app.ambient.boot());
    let limits = app.directory.limits();
    let index = app.directory.current();
    let age = index.as_ref().zip(app.directory.age()).zip(app.directory.as_of());
    let passport = age.and_then(|((index, age_seconds), as_of)| {
        Some(PassportAge {
            version: index.version().to_string(),
            as_of: OffsetDateTime::from_unix_timestamp(as_of).ok()?,
            age_seconds,
            tier: match limits.tier(age_seconds) {
                Tier::Fresh => AgeTier::Fresh,
                Tier::Stale => AgeTier::Stale,
                Tier::Old => AgeTier::Old,
                Tier::Expired => AgeTier::Expired,
            },
        })
    });
    let steps = [
        (limits.fresh, "enrolment of agents, forced revokes", "passport-stale"),
        (limits.stale, "changes by users and keys", "passport-old"),
        (limits.old, "all requests of users and keys", "passport-expired"),
    ];
    let stops = passport.as_ref().map_or_else(Vec::new, |passport| {
        steps
            .into_iter()
            .map(|(limit, what, problem)| Stopping {
                what,
                stopped: passport.age_seconds > limit,
                at: now + time::Duration::seconds(limit as i64 - passport.age_seconds as i64),
                problem,
            })
            .collect()
    });
    let (up, down) = (app.federation.up_age(boot), app.federation.tunnel_age(boot));
    Json(Continuity {
        region: RegionName {
            id: app.region.id.to_string(),
            slug: app.region.slug.to_string(),
            name: app.region.name.clone(),
        },
        removed_at: app.directory.removed(),
        tunnel: Tunnel {
            state: match (up, down) {
                (Some(_), Some(_)) => "connected",
                (None, None) => "disconnected",
                _ => "partial",
            },
            up_seconds: up,
            down_seconds: down,
        },
        last_contact: app.federation.last_contact(),
        passport,
        stops,
        queued: app.federation.queued(),
    })
}
