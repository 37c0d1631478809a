//! `GET /v1/who-can` (the tenant in force) and `GET /v1/federation-who-can` (the provider).
use super::people;
use crate::{
    app::App,
    gate::{Who, needs},
};
use axum::extract::State;
use exarch_common_authz::{Permission, Scope, Target, perm};
use exarch_common_http::{Api, Json, Problem, Query, explained::WhoCan};
use exarch_common_pg::{SystemTx, TenantTx};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::IntoParams;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::membership::List>(), routes!(of_tenant))
        .route(needs::<perm::federation_user::Read>(), routes!(of_provider))
}

/// What is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Question {
    /// Name of a permission, as `user.invite`.
    permission: String,
    /// At which time (RFC 3339); now where absent.
    #[serde(default, with = "time::serde::rfc3339::option")]
    at: Option<OffsetDateTime>,
}

impl Question {
    fn permission(&self, fits: impl Fn(Scope) -> bool) -> Result<Permission, Problem> {
        let permission = self.permission.parse().ok();
        permission
            .filter(|permission: &Permission| fits(permission.scope()))
            .ok_or_else(|| {
                Problem::unprocessable("invalid-question")
                    .detail("A parameter of the question cannot be accepted; see errors.")
                    .error(
                        "permission",
                        "is no permission that can be held here; see /v1/permissions",
                    )
            })
    }
}

/// Who may do a thing in the whole tenant in force, by which of their roles, now or at a time that is past. Roles in one cluster
/// alone are known to its region.
#[utoipa::path(get, path = "/v1/who-can", operation_id = "whoCan", tag = "decisions", params(Question),
    responses((status = 200, description = "Those who may", body = WhoCan),
              (status = 422, description = "No such permission, or nothing is known of that time")))]
async fn of_tenant(
    State(app): State<App>,
    who: Who,
    Query(question): Query<Question>,
) -> Result<Json<WhoCan>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::membership::List>(&app, Target::Tenant(tenant))?;
    let permission = question.permission(|scope| matches!(scope, Scope::Tenant | Scope::Cluster))?;
    let at = question.at.unwrap_or_else(|| app.ambient.now());
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let known = people::of_tenant(&mut tx, at).await?;
    tx.rollback().await?;
    let then = known.map_err(not_known)?;
    let target = Target::Tenant(tenant);
    Ok(Json(WhoCan::of(permission, target, at, Some(then.state), then.people)))
}

/// Who of the provider's people may do a thing over the federation, now or at a time that is past.
#[utoipa::path(get, path = "/v1/federation-who-can", operation_id = "whoCanInFederation", tag = "decisions", params(Question),
    responses((status = 200, description = "Those who may", body = WhoCan),
              (status = 422, description = "No such permission, or nothing is known of that time")))]
async fn of_provider(
    State(app): State<App>,
    who: Who,
    Query(question): Query<Question>,
) -> Result<Json<WhoCan>, Problem> {
    let _permit = who.check::<perm::federation_user::Read>(&app, Target::System)?;
    let permission = question.permission(|scope| scope == Scope::System)?;
    let at = question.at.unwrap_or_else(|| app.ambient.now());
    let mut tx = SystemTx::begin(&app.app_pool, "who-can").await?;
    let staff = people::staff(&mut tx, at).await?;
    tx.rollback().await?;
    Ok(Json(WhoCan::of(permission, Target::System, at, None, staff)))
}

fn not_known(since: Option<OffsetDateTime>) -> Problem {
    let problem = Problem::unprocessable("not-known").detail("What was bound to whom is not known of that time.");
    match since.and_then(|since| since.format(&Rfc3339).ok()) {
        Some(since) => problem.with("since", since),
        None => problem,
    }
}
