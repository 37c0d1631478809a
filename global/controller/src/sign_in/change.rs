//! `POST /v1/me/password`: another password for somebody signed in.
use super::{confirm, next::accepted, store};
use crate::{
    app::App,
    audit,
    gate::{Who, unauthenticated},
    mail, passports, sessions, users,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_base::SecretString;
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::PROVIDER;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    /// The present one.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// A code of your app, or a recovery code, where you have one.
    #[schema(value_type = Option<String>)]
    totp: Option<SecretString>,
    /// The new one.
    #[schema(value_type = String, format = Password)]
    new_password: SecretString,
}

/// Changes your password, and ends all your sessions but this one.
#[utoipa::path(post, path = "/v1/me/password", operation_id = "changeMyPassword", tag = "me",
    request_body = ChangePassword,
    responses((status = 204, description = "The new password is in force, and you are signed in here alone"),
              (status = 401, description = "The password or the code is not right"),
              (status = 422, description = "The new password is not accepted, or a code is missing"),
              (status = 429, description = "Too many tries in a short time")))]
async fn handler(State(app): State<App>, who: Who, Json(input): Json<ChangePassword>) -> Result<StatusCode, Problem> {
    let user = who.user();
    confirm(&app, who.origin(), user, input.password, input.totp.as_ref()).await?;
    let mut tx = SystemTx::begin(&app.app_pool, "change-password").await?;
    let account = store::account(tx.conn(), None, Some(user), app.ambient.now()).await?;
    let account = account.filter(|account| account.active).ok_or_else(unauthenticated)?;
    let person = users::find(&app, tx.conn(), user).await?.ok_or_else(unauthenticated)?;
    tx.rollback().await?;
    let hash = accepted(&app, &account, &person.email, input.new_password).await?;

    let now = app.ambient.now();
    let mut tx = SystemTx::begin(&app.app_pool, "change-password").await?;
    store::set_password(tx.conn(), user, &hash, now).await?;
    // a link that waits in a mailbox would undo it
    mail::expire_resets(tx.conn(), user, now).await?;
    let ended = sessions::end_others(&app, &mut tx, user, who.session().id, "password-changed").await?;
    let entry = who.entry(&app, PROVIDER, "user.change_password", ("user", user));
    audit::record(&mut tx, &entry.after(json!({ "sessions_ended": ended }))).await?;
    passports::touch_common(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(StatusCode::NO_CONTENT)
}
