//! `GET /v1/me/second-factor`: what the signed-in person has.
use super::store;
use crate::{app::App, gate::Who};
use axum::extract::State;
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(handler))
}

/// What one has as a second factor.
#[derive(Serialize, ToSchema)]
struct SecondFactor {
    /// Since when an authenticator app is in use; absent without one.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    totp_since: Option<OffsetDateTime>,
    /// Recovery codes that were not used.
    recovery_codes_left: i64,
    /// Whether your roles or a tenant of yours ask for one at each sign-in.
    required: bool,
}

/// What you have as a second factor.
#[utoipa::path(get, path = "/v1/me/second-factor", operation_id = "mySecondFactor", tag = "me",
    responses((status = 200, description = "The app and the recovery codes", body = SecondFactor)))]
async fn handler(State(app): State<App>, who: Who) -> Result<Json<SecondFactor>, Problem> {
    let required = super::is_required(&app, &who).await?;
    let mut tx = SystemTx::begin(&app.app_pool, "second-factor").await?;
    let factor = store::verified(tx.conn(), who.user()).await?;
    let recovery_codes_left = store::recovery_codes_left(tx.conn(), who.user()).await?;
    tx.rollback().await?;
    Ok(Json(SecondFactor {
        totp_since: factor.and_then(|factor| factor.verified_at),
        recovery_codes_left,
        required,
    }))
}
