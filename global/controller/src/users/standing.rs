//! `POST /v1/federation-users/find`, and the end of an account: `GET /v1/federation-users/{id}`, `/disable` and `/enable`. An
//! account is a person's in all tenants at once, so only the provider ends it; a tenant ends its own membership. Of a disabled
//! account every session is over in the same moment, at the regions within a second, and nobody signs in with it.
use super::{Email, UserBrief, find, find_by_email, store};
use crate::{
    app::App,
    audit::{self, Reason},
    gate::{Who, needs},
    memberships, passports, sessions,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::UserId;
use exarch_common_http::{Api, Json, Path, Problem, Text};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::{Outcome, PROVIDER};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::federation_user::Read>(), routes!(by_email))
        .route(needs::<perm::federation_user::Read>(), routes!(read))
        .route(needs::<perm::federation_user::Disable>(), routes!(disable))
        .route(needs::<perm::federation_user::Enable>(), routes!(enable))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ByEmail {
    /// By which the person signs in. In the body, since an address has no place in a log.
    #[schema(value_type = String, format = Email, max_length = 254)]
    email: Email,
}

fn not_found() -> Problem {
    Problem::not_found("user-not-found").detail("There is no such person.")
}

/// Finds a person by address, whichever tenants they belong to.
#[utoipa::path(post, path = "/v1/federation-users/find", operation_id = "findFederationUser", tag = "users",
    request_body = ByEmail, responses((status = 200, description = "The person", body = UserBrief)))]
async fn by_email(State(app): State<App>, who: Who, Json(input): Json<ByEmail>) -> Result<Json<UserBrief>, Problem> {
    let _permit = who.check::<perm::federation_user::Read>(&app, Target::System)?;
    let mut tx = SystemTx::begin(&app.app_pool, "find-person").await?;
    let found = find_by_email(&app, tx.conn(), &input.email).await?;
    tx.rollback().await?;
    Ok(Json(found.ok_or_else(not_found)?))
}

/// One person, whichever tenants they belong to.
#[utoipa::path(get, path = "/v1/federation-users/{id}", operation_id = "readFederationUser", tag = "users",
    params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person")),
    responses((status = 200, description = "The person", body = UserBrief)))]
async fn read(State(app): State<App>, who: Who, Path(id): Path<UserId>) -> Result<Json<UserBrief>, Problem> {
    let _permit = who.check::<perm::federation_user::Read>(&app, Target::System)?;
    let mut tx = SystemTx::begin(&app.app_pool, "read-person").await?;
    let found = find(&app, tx.conn(), id).await?;
    tx.rollback().await?;
    Ok(Json(found.ok_or_else(not_found)?))
}

/// Disables a person's account in the whole federation and ends all its sessions.
#[utoipa::path(post, path = "/v1/federation-users/{id}/disable", operation_id = "disableFederationUser", tag = "users",
    params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person")), request_body = Reason,
    responses((status = 200, description = "The person", body = UserBrief),
              (status = 409, description = "It is disabled already, is your own, or the last administrator's")))]
async fn disable(
    State(app): State<App>,
    who: Who,
    Path(id): Path<UserId>,
    Json(input): Json<Reason>,
) -> Result<Json<UserBrief>, Problem> {
    let _permit = who.check::<perm::federation_user::Disable>(&app, Target::System)?;
    if who.user() == id {
        return Err(Problem::conflict("own-account")
            .detail("This is your own account: another administrator of the federation disables it."));
    }
    step(&app, &who, id, "disabled", "user.disable", input.reason).await
}

/// Lets a disabled account sign in again. What it may do is what it might before.
#[utoipa::path(post, path = "/v1/federation-users/{id}/enable", operation_id = "enableFederationUser", tag = "users",
    params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person")), request_body = Reason,
    responses((status = 200, description = "The person", body = UserBrief),
              (status = 409, description = "It is not disabled")))]
async fn enable(
    State(app): State<App>,
    who: Who,
    Path(id): Path<UserId>,
    Json(input): Json<Reason>,
) -> Result<Json<UserBrief>, Problem> {
    let _permit = who.check::<perm::federation_user::Enable>(&app, Target::System)?;
    step(&app, &who, id, "active", "user.enable", input.reason).await
}

/// Another state of an account, in the audit of the provider and of each tenant the person belongs to.
async fn step(
    app: &App,
    who: &Who,
    id: UserId,
    next: &'static str,
    action: &'static str,
    reason: Text<200>,
) -> Result<Json<UserBrief>, Problem> {
    let (now, reason) = (app.ambient.now(), reason.into_inner());
    let mut tenants = memberships::tenants_of(app, id).await?;
    tenants.sort_unstable();
    let mut tx = SystemTx::begin(&app.app_pool, "state-of-a-person").await?;
    let before = store::lock(tx.conn(), id).await?.ok_or_else(not_found)?.state;
    if before == next {
        return Err(Problem::conflict("user-state").detail(format!("This account is {next} already.")));
    }
    if next == "disabled" {
        let staff = sessions::staff_roles(&mut tx, id, now).await?;
        if !staff.is_empty() && !store::other_system_admin(tx.conn(), id).await? {
            return Err(Problem::conflict("last-administrator")
                .detail("Nobody else administers the federation: it would be left to nobody."));
        }
    }
    // When it is enabled too: one that began while the account was being disabled must not come to life.
    sessions::end_all(app, &mut tx, id, "account disabled").await?;
    store::set_state(tx.conn(), id, next, now).await?;
    // In the order in which every change locks the chains: the provider's, then tenants' by id.
    for ledger in [PROVIDER].into_iter().chain(tenants.iter().copied()) {
        let entry = who.entry(app, ledger, action, ("user", id));
        let entry = entry.before(json!({ "state": before })).after(json!({ "state": next }));
        audit::record(&mut tx, &entry.ended(Outcome::Ok, &reason)).await?;
    }
    passports::touch_common(app, &mut tx).await?;
    passports::touch_later(app, &mut tx, &tenants).await?;
    let user = find(app, tx.conn(), id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    passports::nudge(app);
    // The sessions are over by now; what is left is the state that the tenants' sections show.
    if let Err(cause) = passports::touch_due(app).await {
        tracing::warn!(
            cause = format!("{cause:#}"),
            "the sections of a person's tenants will be brought up to date later"
        );
    }
    Ok(Json(user))
}
