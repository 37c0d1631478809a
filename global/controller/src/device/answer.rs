//! What the page `/device` calls: who asks with this code, and the person's answer.
use super::{
    grant::{State as GrantState, read_user_code},
    store::{self, Answer, Asking},
};
use crate::{app::App, audit, gate::Who};
use axum::{extract::State, http::StatusCode};
use exarch_common_crypto::hash::sha256;
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::{Outcome, PROVIDER};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(look))
        .route(RouteKind::SelfOnly, routes!(approve))
        .route(RouteKind::SelfOnly, routes!(deny))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserCode {
    /// As the program shows it; case, spaces and dashes do not matter.
    user_code: String,
}

/// Who asks to be let in.
#[derive(Serialize, ToSchema)]
struct Asker {
    /// The program.
    client: String,
    /// From where it asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// What it says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    asked_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

fn unknown() -> Problem {
    Problem::not_found("code-not-found")
        .detail("No program waits with this code: compare it, or begin again there. A code lasts ten minutes.")
}

/// The grant of a code; guessing is limited, since whoever guesses one lets a stranger's program in as themselves.
async fn waiting(app: &App, who: &Who, tx: &mut SystemTx, input: &UserCode) -> Result<Asking, Problem> {
    app.signing_in.may_try_code(who.user())?;
    let code = read_user_code(&input.user_code).ok_or_else(unknown)?;
    let found = store::asking(tx.conn(), &sha256(code.as_bytes()), app.ambient.now()).await?;
    found.ok_or_else(unknown)
}

/// Who asks to be let in with a code.
#[utoipa::path(post, path = "/v1/me/device/look", operation_id = "lookAtDevice", tag = "me", request_body = UserCode,
    responses((status = 200, description = "Who asks", body = Asker),
              (status = 404, description = "Nobody waits with this code")))]
async fn look(State(app): State<App>, who: Who, Json(input): Json<UserCode>) -> Result<Json<Asker>, Problem> {
    let mut tx = SystemTx::begin(&app.app_pool, "device-look").await?;
    let asking = waiting(&app, &who, &mut tx, &input).await?;
    tx.rollback().await?;
    Ok(Json(Asker {
        client: asking.client,
        address: asking.address,
        user_agent: asking.user_agent,
        asked_at: asking.created_at,
        expires_at: asking.expires_at,
    }))
}

/// Lets the program in: it gets a session of yours, in the tenant in force.
#[utoipa::path(post, path = "/v1/me/device/approve", operation_id = "approveDevice", tag = "me",
    request_body = UserCode,
    responses((status = 204, description = "The program gets its tokens"),
              (status = 404, description = "Nobody waits with this code")))]
async fn approve(State(app): State<App>, who: Who, Json(input): Json<UserCode>) -> Result<StatusCode, Problem> {
    settle(&app, &who, &input, GrantState::Approved).await
}

/// Refuses the program.
#[utoipa::path(post, path = "/v1/me/device/deny", operation_id = "denyDevice", tag = "me", request_body = UserCode,
    responses((status = 204, description = "The program is refused"),
              (status = 404, description = "Nobody waits with this code")))]
async fn deny(State(app): State<App>, who: Who, Json(input): Json<UserCode>) -> Result<StatusCode, Problem> {
    settle(&app, &who, &input, GrantState::Denied).await
}

async fn settle(app: &App, who: &Who, input: &UserCode, state: GrantState) -> Result<StatusCode, Problem> {
    let mut tx = SystemTx::begin(&app.app_pool, "device-answer").await?;
    let asking = waiting(app, who, &mut tx, input).await?;
    let answer = Answer {
        state,
        session: who.session(),
    };
    // of two answers at once the first counts
    if !store::answer(tx.conn(), asking.id, &answer).await? {
        return Err(unknown());
    }
    let tenant = who.tenant().unwrap_or(PROVIDER);
    let action = if state == GrantState::Approved {
        "device.approve"
    } else {
        "device.deny"
    };
    let entry = who.entry(app, tenant, action, ("device-grant", asking.id));
    let entry = entry.after(json!({ "client": asking.client, "address": asking.address }));
    let entry = match state {
        GrantState::Denied => entry.ended(Outcome::Denied, "refused by the person"),
        _ => entry,
    };
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
