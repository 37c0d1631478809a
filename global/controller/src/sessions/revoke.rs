//! Ending sessions, one or all: one's own, a person's in the tenant in force, anybody's by the provider. The regions learn of it
//! within a second by the passport's revocations.
use super::{list::member, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    memberships, passports,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::{SessionId, TenantId, UserId};
use exarch_common_http::{Api, Json, Path, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::PROVIDER;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(mine))
        .route(RouteKind::SelfOnly, routes!(my_others))
        .route(needs::<perm::session::Revoke>(), routes!(of_member))
        .route(needs::<perm::session::Revoke>(), routes!(all_of_member))
        .route(needs::<perm::federation_session::Revoke>(), routes!(of_anyone))
        .route(needs::<perm::federation_session::Revoke>(), routes!(all_of_anyone))
}

/// What was ended.
#[derive(Serialize, ToSchema)]
#[schema(as = EndedSessions)]
struct Ended {
    /// How many sessions.
    ended: u64,
}

/// Which sessions end.
#[derive(Default)]
struct Which {
    tenant: Option<TenantId>,
    only: Option<SessionId>,
    but: Option<SessionId>,
}

/// Ends them and writes it to each of the audits in `ledgers`: the provider's first, then tenants' by id.
async fn end(app: &App, who: &Who, user: UserId, which: Which, ledgers: &[TenantId]) -> Result<u64, Problem> {
    let mut tx = SystemTx::begin(&app.app_pool, "revoke-sessions").await?;
    let now = app.ambient.now();
    let Which { tenant, only, but } = which;
    let ended = store::end_of_user(tx.conn(), user, tenant, only, but, "revoked", now).await?;
    if ended == 0 {
        return Ok(0);
    }
    for ledger in ledgers {
        let entry = match only {
            Some(session) => who.entry(app, *ledger, "session.revoke", ("session", session)),
            None => who.entry(app, *ledger, "session.revoke", ("user", user)),
        };
        // how many there were elsewhere is not for a tenant to know
        let after = match ledgers.first() == Some(ledger) {
            true => json!({ "user": user, "ended": ended }),
            false => json!({ "user": user }),
        };
        audit::record(&mut tx, &entry.after(after)).await?;
    }
    passports::touch_common(app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(app);
    Ok(ended)
}

fn one(ended: u64) -> Result<StatusCode, Problem> {
    match ended {
        0 => Err(Problem::not_found("session-not-found").detail("There is no such session, or it has ended.")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Ends one of your sessions.
#[utoipa::path(delete, path = "/v1/me/sessions/{id}", operation_id = "revokeMySession", tag = "me",
    params(("id" = String, Path, pattern = "^ses_[0-9a-f]{32}$", description = "Id of the session")),
    responses((status = 204, description = "It is over")))]
async fn mine(State(app): State<App>, who: Who, Path(id): Path<SessionId>) -> Result<StatusCode, Problem> {
    let which = Which {
        only: Some(id),
        ..Which::default()
    };
    one(end(&app, &who, who.user(), which, &[who.tenant().unwrap_or(PROVIDER)]).await?)
}

/// Ends all your sessions but the one that asks.
#[utoipa::path(delete, path = "/v1/me/sessions", operation_id = "revokeMyOtherSessions", tag = "me",
    responses((status = 200, description = "The others are over", body = Ended)))]
async fn my_others(State(app): State<App>, who: Who) -> Result<Json<Ended>, Problem> {
    let which = Which {
        but: Some(who.session().id),
        ..Which::default()
    };
    let ended = end(&app, &who, who.user(), which, &[who.tenant().unwrap_or(PROVIDER)]).await?;
    Ok(Json(Ended { ended }))
}

/// Ends one of a person's sessions in the tenant in force.
#[utoipa::path(delete, path = "/v1/users/{id}/sessions/{session}", operation_id = "revokeUserSession", tag = "users",
    params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person"),
           ("session" = String, Path, pattern = "^ses_[0-9a-f]{32}$", description = "Id of the session")),
    responses((status = 204, description = "It is over")))]
async fn of_member(
    State(app): State<App>,
    who: Who,
    Path((id, session)): Path<(UserId, SessionId)>,
) -> Result<StatusCode, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::session::Revoke>(&app, Target::Tenant(tenant))?;
    member(&app, tenant, id).await?;
    let which = Which {
        tenant: Some(tenant),
        only: Some(session),
        ..Which::default()
    };
    one(end(&app, &who, id, which, &[tenant]).await?)
}

/// Ends all of a person's sessions in the tenant in force.
#[utoipa::path(delete, path = "/v1/users/{id}/sessions", operation_id = "revokeUserSessions", tag = "users",
    params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person")),
    responses((status = 200, description = "They are over", body = Ended)))]
async fn all_of_member(State(app): State<App>, who: Who, Path(id): Path<UserId>) -> Result<Json<Ended>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::session::Revoke>(&app, Target::Tenant(tenant))?;
    member(&app, tenant, id).await?;
    let which = Which {
        tenant: Some(tenant),
        ..Which::default()
    };
    let ended = end(&app, &who, id, which, &[tenant]).await?;
    Ok(Json(Ended { ended }))
}

/// Ends one of anybody's sessions.
#[utoipa::path(delete, path = "/v1/federation-users/{id}/sessions/{session}",
    operation_id = "revokeFederationUserSession", tag = "users",
    params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person"),
           ("session" = String, Path, pattern = "^ses_[0-9a-f]{32}$", description = "Id of the session")),
    responses((status = 204, description = "It is over")))]
async fn of_anyone(
    State(app): State<App>,
    who: Who,
    Path((id, session)): Path<(UserId, SessionId)>,
) -> Result<StatusCode, Problem> {
    let _permit = who.check::<perm::federation_session::Revoke>(&app, Target::System)?;
    let which = Which {
        only: Some(session),
        ..Which::default()
    };
    let mut tx = SystemTx::begin(&app.app_pool, "find-session").await?;
    let found = store::find(tx.conn(), store::Key::Id(session), app.ambient.now()).await?;
    tx.rollback().await?;
    let found = found.map(|found| found.session).filter(|session| session.user == id);
    let tenant = found.and_then(|session| session.tenant);
    let ledgers: Vec<_> = [PROVIDER].into_iter().chain(tenant).collect();
    one(end(&app, &who, id, which, &ledgers).await?)
}

/// Ends all of anybody's sessions.
#[utoipa::path(delete, path = "/v1/federation-users/{id}/sessions", operation_id = "revokeFederationUserSessions",
    tag = "users", params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person")),
    responses((status = 200, description = "They are over", body = Ended)))]
async fn all_of_anyone(State(app): State<App>, who: Who, Path(id): Path<UserId>) -> Result<Json<Ended>, Problem> {
    let _permit = who.check::<perm::federation_session::Revoke>(&app, Target::System)?;
    // The tenants read what the provider did to one of theirs.
    let tenants = memberships::tenants_of(&app, id).await?;
    let ledgers: Vec<_> = [PROVIDER].into_iter().chain(tenants).collect();
    let ended = end(&app, &who, id, Which::default(), &ledgers).await?;
    Ok(Json(Ended { ended }))
}
