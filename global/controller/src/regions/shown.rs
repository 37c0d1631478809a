//! A region as staff see it: the registry, with what its last probe told.
use super::Region;
use crate::{app::App, health, passports};
use exarch_common_base::RegionId;
use exarch_common_pg::DbError;
use serde::Serialize;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A region of the federation.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Region)]
pub struct Shown {
    #[schema(value_type = String, pattern = "^reg_[0-9a-f]{32}$")]
    id: RegionId,
    slug: String,
    name: String,
    /// Where its users reach it.
    url: String,
    /// Where its console is; `url` unless it was given.
    console_url: String,
    /// `registered`, `joining`, `active`, `draining` or `removed`.
    #[schema(value_type = String)]
    lifecycle: &'static str,
    /// `unknown`, `healthy`, `degraded` or `unreachable`.
    #[schema(value_type = String)]
    health: &'static str,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    last_probe_at: Option<OffsetDateTime>,
    /// When it answered a probe last; the figures below are of that moment.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    last_seen: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passport: Option<PassportShown>,
    /// Its clock less ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    skew_ms: Option<i64>,
    /// Why the health is not healthy, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Agents by state.
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<BTreeMap<String, u64>>,
    /// Active leases.
    #[serde(skip_serializing_if = "Option::is_none")]
    leases: Option<u64>,
    /// Full days until its certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_days: Option<i64>,
}

/// How far a region has come with its passport.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PassportState)]
struct PassportShown {
    /// Rises only when the global is restored from a backup.
    generation: u64,
    /// The present version.
    version: u64,
    /// The version that all of the region's replicas have applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<u64>,
    /// How long ago the region last heard from the global, as far as is known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<i64>,
}

/// The regions with their health and passports, in the order given.
///
/// # Errors
/// The database.
pub async fn show(app: &App, conn: &mut PgConnection, regions: Vec<Region>) -> Result<Vec<Shown>, DbError> {
    let ids: Vec<RegionId> = regions.iter().map(|r| r.id).collect();
    let now = app.ambient.now();
    let mut healths: BTreeMap<_, _> = health::present(&mut *conn, &ids)
        .await?
        .into_iter()
        .map(|h| (h.region, h))
        .collect();
    let standings: BTreeMap<_, _> = passports::standings(conn, &ids)
        .await?
        .into_iter()
        .map(|s| (s.region, s))
        .collect();
    Ok(regions
        .into_iter()
        .map(|region| {
            one(
                now,
                region.clone(),
                healths.remove(&region.id),
                standings.get(&region.id),
            )
        })
        .collect())
}

fn one(
    now: OffsetDateTime,
    region: Region,
    present: Option<health::Present>,
    standing: Option<&passports::Standing>,
) -> Shown {
    let answer = present.as_ref().and_then(|p| p.answer.as_ref());
    let told_at = present.as_ref().and_then(|p| p.last_answer_at);
    let told_age = answer
        .and_then(|a| a.passport)
        .zip(told_at)
        .map(|((_, age), at)| age.cast_signed() + (now - at).whole_seconds());
    Shown {
        id: region.id,
        slug: region.slug.to_string(),
        name: region.name,
        console_url: region.console_url.unwrap_or_else(|| region.url.clone()),
        url: region.url,
        lifecycle: region.lifecycle.as_str(),
        health: present.as_ref().map_or(health::Health::Unknown, |p| p.health).as_str(),
        last_probe_at: present.as_ref().and_then(|p| p.last_probe_at),
        last_seen: told_at,
        latency_ms: present.as_ref().and_then(|p| p.latency_us).map(|us| us as f64 / 1000.0),
        software_version: answer.map(|a| a.software.clone()),
        passport: standing.map(|s| PassportShown {
            generation: s.version.0,
            version: s.version.1,
            acknowledged: s.acknowledged.map(|v| v.1),
            age_seconds: told_age.or_else(|| s.as_of.map(|as_of| (now - as_of).whole_seconds())),
        }),
        skew_ms: present.as_ref().and_then(|p| p.skew_ms),
        agents: answer.map(|a| a.agents.clone()),
        leases: answer.map(|a| a.leases),
        certificate_days: answer.map(|a| a.certificate_days),
        reason: present.and_then(|p| p.reason),
    }
}
