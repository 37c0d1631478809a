//! `GET /v1/regions/{slug}/probes/summary`: the probes of a time in equal slots, as a chart shows them.
use super::store::{self, SlotRow};
use crate::{app::App, gate::Who, regions};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::Slug;
use exarch_common_http::{Json, Path, Problem, Query};
use exarch_common_pg::SystemTx;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

/// Into how many slots a range is divided.
const SLOTS: i32 = 120;

/// What to sum up.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// How far back from now: a day unless said.
    #[serde(default)]
    #[param(inline)]
    range: Range,
}

/// How far back.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Range {
    Hour,
    #[default]
    Day,
    Week,
    Month,
}

impl Range {
    const fn length(self) -> Duration {
        match self {
            Self::Hour => Duration::HOUR,
            Self::Day => Duration::DAY,
            Self::Week => Duration::WEEK,
            Self::Month => Duration::days(30),
        }
    }
}

/// The probes of a time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProbeSummary {
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// How long a slot is.
    slot_seconds: i64,
    /// In order; one without probes is left out.
    slots: Vec<ProbeSlot>,
}

/// The probes of one slot.
#[derive(Debug, Serialize, ToSchema)]
struct ProbeSlot {
    /// When it begins.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    good: i64,
    failing: i64,
    missed: i64,
    /// The middle of those that were answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    /// The longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_most_ms: Option<f64>,
}

/// The probes of a region in equal slots of the last hour, day, week or month.
#[utoipa::path(get, path = "/v1/regions/{slug}/probes/summary", tag = "regions", operation_id = "summarizeProbes",
    params(("slug" = String, Path, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description = "The region's slug"), Filter),
    responses((status = 200, description = "120 slots at most, oldest first", body = ProbeSummary)))]
pub(super) async fn handler(
    State(app): State<App>,
    who: Who,
    Path(slug): Path<Slug>,
    Query(filter): Query<Filter>,
) -> Result<Json<ProbeSummary>, Problem> {
    let _permit = who.check::<perm::region::Read>(&app, Target::System)?;
    let step = filter.range.length() / SLOTS;
    let (from, until) = bounds(app.ambient.now(), step);
    let mut tx = SystemTx::begin(&app.app_pool, "summarize-probes").await?;
    let region = regions::by_slug(tx.conn(), &slug).await?.ok_or_else(regions::no_such)?;
    let rows = store::slots(tx.conn(), region.id, from, until, step.whole_seconds()).await?;
    tx.rollback().await?;
    let ms = |us: f64| us / 1000.0;
    let slots = rows.into_iter().map(|row: SlotRow| ProbeSlot {
        at: from + step * row.slot,
        good: row.good,
        failing: row.failing,
        missed: row.missed,
        latency_ms: row.latency_us.map(ms),
        latency_most_ms: row.latency_most_us.map(|us| ms(us as f64)),
    });
    Ok(Json(ProbeSummary {
        from,
        until,
        slot_seconds: step.whole_seconds(),
        slots: slots.collect(),
    }))
}

/// Slots begin at whole multiples of their length, so that what has been drawn does not change with each question.
fn bounds(now: OffsetDateTime, step: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let over = Duration::seconds(now.unix_timestamp() % step.whole_seconds());
    let whole = now.replace_nanosecond(0).expect("zero is less than a second");
    let until = whole - over + step;
    (until - step * SLOTS, until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_day_has_slots_of_twelve_minutes_and_an_hour_one_of_each_probe() {
        let seconds = |range: Range| (range.length() / SLOTS).whole_seconds();
        assert_eq!(
            [Range::Hour, Range::Day, Range::Week, Range::Month].map(seconds),
            [30, 720, 5040, 21_600]
        );
    }

    proptest! {
        #[test]
        fn now_is_always_in_the_last_slot(unix in 1_700_000_000i64..2_000_000_000, range in 0usize..4) {
            let range = [Range::Hour, Range::Day, Range::Week, Range::Month][range];
            let step = range.length() / SLOTS;
            let now = OffsetDateTime::from_unix_timestamp(unix).unwrap();
            let (from, until) = bounds(now, step);
            prop_assert!(until - step <= now && now < until);
            prop_assert_eq!(until - from, range.length());
            prop_assert_eq!(bounds(until - step, step), (from, until));
        }
    }
}
