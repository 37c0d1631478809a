//! Enrolling an app: a secret, inert until a code of it was seen. While signing in the ticket's step does it; later
//! `POST /v1/me/totp` and `…/verify`, with the password.
use super::{Given, RecoveryCodes, open, place, refused, store};
use crate::{
    app::App,
    audit,
    gate::{Origin, Who},
    sign_in, users,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_base::{ExposeSecret, SecretString, UserId};
use exarch_common_crypto::totp::{DIGITS, PERIOD, Secret};
use exarch_common_http::{
    Api, Json, Path, Problem, RouteKind,
    repeats::{Kept, Once, Repeat},
};
use exarch_common_pg::{OnConstraint, SystemTx};
use exarch_common_wire::audit::{Actor, PROVIDER};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::Duration;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// How long an enrolment may wait for its first code.
const LIFE: Duration = Duration::minutes(15);

pub fn routes(api: Api<App>) -> Api<App> {
    api.creates(RouteKind::SelfOnly, Repeat::Secret, routes!(start))
        .route(RouteKind::SelfOnly, routes!(verify))
        .route(RouteKind::SelfOnly, routes!(remove))
        .route(RouteKind::SelfOnly, routes!(new_codes))
}

/// A secret for an authenticator app, shown this once; it counts once a code of it was seen.
#[derive(Clone, Serialize, ToSchema)]
pub struct Enrolment {
    /// Names it until it is verified.
    pub id: Uuid,
    /// In base32, to be typed.
    secret: String,
    /// The same as `otpauth://`, for a QR code.
    uri: String,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrolment({})", self.id)
    }
}

/// Makes a secret for a person.
///
/// # Errors
/// The database.
pub async fn begin(app: &App, conn: &mut PgConnection, user: UserId, email: &str) -> Result<Enrolment, Problem> {
    let (id, secret) = (app.ambient.uuid(), Secret::generate(&app.ambient));
    let row = id.to_string();
    let sealed = app.sealer.seal(&app.ambient, place(&row), secret.expose());
    store::insert(conn, id, user, &sealed, app.ambient.now()).await?;
    let secret = secret.to_base32().expose_secret().to_owned();
    let uri = uri(email, &secret);
    Ok(Enrolment { id, secret, uri })
}

/// As authenticator apps read it; what they take as given is said nevertheless.
fn uri(email: &str, secret: &str) -> String {
    let email = utf8_percent_encode(email, NON_ALPHANUMERIC);
    format!(
        "otpauth://totp/Exarch:{email}?secret={secret}&issuer=Exarch&algorithm=SHA1&digits={DIGITS}&period={PERIOD}"
    )
}

/// Puts an enrolment in force by its first code, in the place of any before it, with new recovery codes. Nothing when the code
/// is not one of it; the caller commits.
///
/// # Errors
/// 410 when it was finished before or took too long; the database.
pub async fn finish(
    app: &App,
    conn: &mut PgConnection,
    user: UserId,
    id: Uuid,
    code: &str,
) -> Result<Option<RecoveryCodes>, Problem> {
    let now = app.ambient.now();
    let pending = store::pending(conn, id, user, now - LIFE).await?;
    let pending = pending.ok_or_else(expired)?;
    let secret = open(app, id, &pending.secret_sealed)?;
    let steps = secret.steps_of(code, now.unix_timestamp());
    let Some(step) = steps.last() else {
        return Ok(None);
    };
    store::delete_verified(conn, user).await?;
    // of two enrolments finished at once one is in force, and the other was too late
    store::verify(conn, id, now)
        .await
        .on_constraint("totp_verified_key", expired)?;
    store::use_step(conn, id, *step, now).await?;
    Ok(Some(replace_codes(app, conn, user).await?))
}

fn expired() -> Problem {
    Problem::gone("enrolment-expired").detail("This enrolment took too long or was finished before: begin again.")
}

async fn replace_codes(app: &App, conn: &mut PgConnection, user: UserId) -> Result<RecoveryCodes, Problem> {
    let codes = RecoveryCodes::generate(&app.ambient);
    store::delete_recovery_codes(conn, user).await?;
    store::insert_recovery_codes(conn, user, &codes.hashes(user), app.ambient.now()).await?;
    Ok(codes)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Start {
    /// Yours.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// A code of the app in use, or a recovery code, where there is one.
    #[schema(value_type = Option<String>)]
    totp: Option<SecretString>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    /// Six digits, or a recovery code.
    #[schema(value_type = String)]
    totp: SecretString,
}

/// Recovery codes, shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = RecoveryCodesShown)]
struct Shown {
    /// Each works once, in the place of a code of the app.
    recovery_codes: RecoveryCodes,
}

/// Begins to enrol an authenticator app. The one in use stays in use until the new one is verified.
#[utoipa::path(post, path = "/v1/me/totp", operation_id = "enrolTotp", tag = "me", request_body = Start,
    responses((status = 201, description = "The secret, shown this once", body = Enrolment),
              (status = 401, description = "The password or the code is not right"),
              (status = 429, description = "Too many tries in a short time")))]
async fn start(State(app): State<App>, who: Who, once: Once, Json(input): Json<Start>) -> Result<Kept, Problem> {
    sign_in::confirm(&app, who.origin(), who.user(), input.password, input.totp.as_ref()).await?;
    let mut tx = SystemTx::begin(&app.app_pool, "enrol-totp").await?;
    let person = users::find(&app, tx.conn(), who.user()).await?;
    let person = person.ok_or_else(crate::gate::unauthenticated)?;
    let enrolment = begin(&app, tx.conn(), who.user(), &person.email).await?;
    once.commit(tx, enrolment.id, (StatusCode::CREATED, Json(enrolment)))
        .await
}

/// Puts an enrolment in force by the first code of the app.
#[utoipa::path(post, path = "/v1/me/totp/{id}/verify", operation_id = "verifyTotp", tag = "me", request_body = Code,
    params(("id" = uuid::Uuid, Path, description = "Of the enrolment")),
    responses((status = 200, description = "In force; the recovery codes are shown this once", body = Shown),
              (status = 401, description = "The code is not one of the app"),
              (status = 410, description = "The enrolment took too long, or was finished before")))]
async fn verify(
    State(app): State<App>,
    who: Who,
    Path(id): Path<Uuid>,
    Json(input): Json<Code>,
) -> Result<Json<Shown>, Problem> {
    app.signing_in.may_try_code(who.user())?;
    let mut tx = SystemTx::begin(&app.app_pool, "verify-totp").await?;
    let given = Given::read(&input.totp);
    let Given::Totp(code) = &given else {
        return Err(refused());
    };
    let codes = finish(&app, tx.conn(), who.user(), id, code.expose_secret()).await?;
    let recovery_codes = codes.ok_or_else(refused)?;
    enrolled(&app, who.origin(), &mut tx, who.user()).await?;
    tx.commit().await?;
    Ok(Json(Shown { recovery_codes }))
}

/// The audit row of an enrolment.
///
/// # Errors
/// The database.
pub(crate) async fn enrolled(app: &App, origin: &Origin, tx: &mut SystemTx, user: UserId) -> Result<(), Problem> {
    let actor = Actor::new("user", user);
    let entry = origin.entry(app, PROVIDER, actor, "user.enrol_second_factor", ("user", user));
    Ok(audit::record(tx, &entry.after(json!({ "kind": "totp" }))).await?)
}

/// Takes the app off the account, with its recovery codes.
#[utoipa::path(post, path = "/v1/me/totp/remove", operation_id = "removeTotp", tag = "me", request_body = Start,
    responses((status = 204, description = "There is no second factor any more"),
              (status = 401, description = "The password or the code is not right"),
              (status = 409, description = "Your role or your tenant needs a second factor, or there is none")))]
async fn remove(State(app): State<App>, who: Who, Json(input): Json<Start>) -> Result<StatusCode, Problem> {
    if super::is_required(&app, &who).await? {
        return Err(Problem::conflict("second-factor-required").detail(
            "Your role or your tenant asks for a second factor: enrol another app instead, which takes the place of this one.",
        ));
    }
    sign_in::confirm(&app, who.origin(), who.user(), input.password, input.totp.as_ref()).await?;
    let mut tx = SystemTx::begin(&app.app_pool, "remove-totp").await?;
    if !super::reset(tx.conn(), who.user()).await? {
        return Err(none());
    }
    let entry = who.entry(&app, PROVIDER, "user.remove_second_factor", ("user", who.user()));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes ten new recovery codes; the old ones are worth nothing then.
#[utoipa::path(post, path = "/v1/me/recovery-codes", operation_id = "newRecoveryCodes", tag = "me", request_body = Code,
    responses((status = 200, description = "The codes, shown this once", body = Shown),
              (status = 401, description = "The code is not right"),
              (status = 409, description = "There is no second factor")))]
async fn new_codes(State(app): State<App>, who: Who, Json(input): Json<Code>) -> Result<Json<Shown>, Problem> {
    let mut tx = SystemTx::begin(&app.app_pool, "recovery-codes").await?;
    if store::verified(tx.conn(), who.user()).await?.is_none() {
        return Err(none());
    }
    tx.rollback().await?;
    sign_in::confirm_code(&app, who.origin(), who.user(), &input.totp).await?;
    let mut tx = SystemTx::begin(&app.app_pool, "recovery-codes").await?;
    let recovery_codes = replace_codes(&app, tx.conn(), who.user()).await?;
    let entry = who.entry(&app, PROVIDER, "user.new_recovery_codes", ("user", who.user()));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(Json(Shown { recovery_codes }))
}

fn none() -> Problem {
    Problem::conflict("no-second-factor").detail("Your account has no second factor: enrol one first.")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_address_for_apps_names_who_and_how() {
        assert_eq!(
            super::uri("ada+x@acme.example", "ABC"),
            "otpauth://totp/Exarch:ada%2Bx%40acme%2Eexample?secret=ABC&issuer=Exarch&algorithm=SHA1&digits=6&period=30"
        );
    }
}
