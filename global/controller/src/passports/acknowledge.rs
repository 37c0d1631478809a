//! `POST /federation/v1/passport/acknowledge`: how far a region has come, and what it refused.
use super::store::{self, Acknowledged};
use crate::{
    api_keys,
    app::App,
    federation::{self, PeerCaller},
    health,
};
use axum::{Extension, extract::State, http::StatusCode};
use exarch_common_http::{PeerBody, Problem};
use exarch_common_pg::SystemTx;
use exarch_common_wire::federation::Acknowledge;
use time::OffsetDateTime;

/// Characters of a region's reason that are kept.
const REASON: usize = 500;

/// Takes an acknowledgement.
#[utoipa::path(post, path = "/federation/v1/passport/acknowledge", tag = "federation", responses(
    (status = 204, description = "Written down"),
    (status = 422, description = "A version that was never made, or a moment that is none"),
))]
pub(super) async fn acknowledge(
    State(app): State<App>,
    caller: PeerCaller,
    Extension(body): Extension<PeerBody>,
) -> Result<StatusCode, Problem> {
    let input: Acknowledge = federation::read(&body)?;
    let now = app.ambient.now();
    // A region cannot have heard from us later than now, whatever it says.
    let as_of = OffsetDateTime::from_unix_timestamp(input.as_of)
        .map_err(|_| Problem::unprocessable("no-such-moment").error("/as_of", "is no moment"))?
        .min(now);
    let mut tx = SystemTx::begin(&app.app_pool, "acknowledge-passport").await?;
    federation::spend(tx.conn(), &caller, now).await?;
    let outcome = store::acknowledge(tx.conn(), caller.region, input.applied, as_of, now).await?;
    if outcome == Acknowledged::Never {
        tracing::error!(region = %caller.region, applied = %input.applied, "a region applied a passport that was never made");
        return Err(Problem::unprocessable("never-made").detail("This version of the passport was never made."));
    }
    if let Some((version, reason)) = &input.refused {
        let reason: String = reason.chars().take(REASON).collect();
        metrics::counter!("exarch_passport_refused_total").increment(1);
        tracing::error!(region = %caller.region, %version, reason, "a region refuses its passport");
        store::refused(tx.conn(), caller.region, *version, &reason, now).await?;
    }
    tx.commit().await?;
    api_keys::used_in(&app, caller.region, &input.keys_used).await?;
    if outcome == Acknowledged::First {
        // With a good probe it is in service: no need to wait for the round.
        tokio::spawn(health::probe_soon(app, caller.region));
    }
    Ok(StatusCode::NO_CONTENT)
}
