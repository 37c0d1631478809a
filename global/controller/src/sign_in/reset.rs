//! A new password for who has lost theirs, by mail. Asking does the same work whether or not somebody has the address: who it is
//! for is looked up when the mail is sent.
use super::{attempts::Attempts, password, store};
use crate::{
    app::App,
    audit,
    gate::Origin,
    mail::{self, Letter},
    memberships, passports, sessions,
    users::{self, Email},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_base::{ExposeSecret, SecretString};
use exarch_common_crypto::hash::sha256;
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::{Actor, PROVIDER};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(ask))
        .route(RouteKind::Public, routes!(complete))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskReset {
    /// By which you sign in.
    #[schema(value_type = String, format = Email, max_length = 254)]
    email: Email,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CompleteReset {
    /// From the mail.
    #[schema(value_type = String)]
    token: SecretString,
    /// The new one.
    #[schema(value_type = String, format = Password)]
    new_password: SecretString,
}

/// Asks for a mail by which a new password can be chosen; it comes only to an address by which somebody signs in.
#[utoipa::path(post, path = "/v1/auth/password-reset", operation_id = "askPasswordReset", tag = "sign-in",
    request_body = AskReset,
    responses((status = 202, description = "If somebody signs in with this address, a mail is on its way"),
              (status = 409, description = "This installation sends no mail"),
              (status = 429, description = "Asked for this address three times within an hour")))]
async fn ask(State(app): State<App>, Json(input): Json<AskReset>) -> Result<StatusCode, Problem> {
    mail::is_on(&app)?;
    let index = app.keys.email_index(input.email.as_str());
    let mut tx = SystemTx::begin(&app.app_pool, "password-reset").await?;
    mail::may_ask(&app, tx.conn(), &index, "password-reset").await?;
    let letter = Letter::PasswordReset {
        to: input.email.as_str().to_owned(),
        token: mail::token(&app.ambient),
    };
    mail::post(&app, tx.conn(), &letter).await?;
    tx.commit().await?;
    mail::nudge(&app);
    Ok(StatusCode::ACCEPTED)
}

fn over() -> Problem {
    Problem::gone("token-expired").detail("This link was used before, or is older than a day: ask for another one.")
}

/// Sets a new password by the token of a mail, and ends every session. A second factor stays, and is asked for at the next sign-in.
#[utoipa::path(post, path = "/v1/auth/password-reset/complete", operation_id = "completePasswordReset", tag = "sign-in",
    request_body = CompleteReset,
    responses((status = 204, description = "Sign in with the new password"),
              (status = 410, description = "The token was used before, is over, or none of ours"),
              (status = 422, description = "The password is not accepted")))]
async fn complete(
    State(app): State<App>,
    origin: Origin,
    Json(input): Json<CompleteReset>,
) -> Result<StatusCode, Problem> {
    let now = app.ambient.now();
    let hash = sha256(input.token.expose_secret().as_bytes());
    let mut tx = SystemTx::begin(&app.app_pool, "password-reset").await?;
    let user = mail::find_reset(tx.conn(), &hash, now).await?.ok_or_else(over)?;
    let account = store::account(tx.conn(), None, Some(user), now).await?;
    let account = account.filter(|account| account.active).ok_or_else(over)?;
    let person = users::find(&app, tx.conn(), user).await?.ok_or_else(over)?;
    tx.rollback().await?;
    let least = password::least(memberships::second_factor_required(&app, user).await?);
    password::check(&input.new_password, &person.email, least).map_err(password::weak)?;
    let new_hash = app.signing_in.hash(&app.ambient, input.new_password).await?;

    let mut tx = SystemTx::begin(&app.app_pool, "password-reset").await?;
    if !mail::spend_reset(tx.conn(), &hash, now).await? {
        return Err(over());
    }
    mail::expire_resets(tx.conn(), user, now).await?;
    store::set_password(tx.conn(), user, &new_hash, now).await?;
    // who reads the mail of the address is not the one who was guessing
    store::save_attempts(tx.conn(), &account.email_index, &Attempts::default()).await?;
    let ended = sessions::end_all(&app, &mut tx, user, "password-reset").await?;
    let actor = Actor::new("user", user);
    let entry = origin.entry(&app, PROVIDER, actor, "user.reset_password", ("user", user));
    audit::record(&mut tx, &entry.after(json!({ "sessions_ended": ended }))).await?;
    passports::touch_common(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(StatusCode::NO_CONTENT)
}
