//! `GET /v1/who-can`.
use super::everyone;
use crate::{
    app::App,
    bindings, clusters,
    directory::{self, Then},
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Caller, Permission, Principal, Target, TenantState, perm};
use exarch_common_base::ClusterId;
use exarch_common_http::{
    Json, Problem, Query,
    explained::{WhoCan, asked},
};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::IntoParams;

/// What is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// Name of a permission, as `lease.list`.
    permission: String,
    /// In this cluster; in the whole tenant where absent.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^clu_[0-9a-f]{32}$")]
    cluster_id: Option<ClusterId>,
    /// At which time (RFC 3339); now where absent.
    #[serde(default, with = "time::serde::rfc3339::option")]
    at: Option<OffsetDateTime>,
}

/// Who may do a thing in the tenant in force or in one of its clusters here, by which of their roles, now or at a time that is past:
/// as the region knew it then.
#[utoipa::path(get, path = "/v1/who-can", tag = "decisions", params(Question),
    responses((status = 200, body = WhoCan), (status = 404, description = "No such cluster"),
              (status = 422, description = "Nothing is known of that time")))]
pub(super) async fn who_can(
    State(app): State<App>,
    caller: UserCaller,
    Query(question): Query<Question>,
) -> Result<Json<WhoCan>, Problem> {
    let permit = caller.check::<perm::membership::List>(Target::Tenant(caller.tenant_id()))?;
    let (permission, target) = question.target(&caller)?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    if let Some(cluster) = question.cluster_id {
        let _permit = caller.check::<perm::cluster::Read>(target)?;
        if !clusters::was(&mut tx, cluster).await? {
            return Err(nothing_here());
        }
    }
    let (at, state, people) = match question.at {
        None => now(&app, &caller),
        Some(at) => {
            let (state, people) = then(&app, &caller, &mut tx, at).await?;
            (at, state, people)
        }
    };
    tx.rollback().await?;
    Ok(Json(WhoCan::of(permission, target, at, state, people)))
}

impl Question {
    fn target(&self, caller: &UserCaller) -> Result<(Permission, Target), Problem> {
        let refused = |name: &str, reason: &str| {
            Problem::unprocessable("invalid-question")
                .detail("A parameter of the question cannot be accepted; see errors.")
                .error(name, reason)
        };
        let permission: Permission = self
            .permission
            .parse()
            .map_err(|_| refused("permission", "is no permission that can be held here"))?;
        let target = asked(permission.scope(), caller.tenant_id(), self.cluster_id).map_err(|name| match name {
            "cluster_id" => refused(
                name,
                "cannot be named with a permission that is held in the whole tenant",
            ),
            _ => refused(name, "is no permission that can be held here"),
        })?;
        Ok((permission, target))
    }
}

type People = Vec<(Caller, String)>;

fn now(app: &App, caller: &UserCaller) -> (OffsetDateTime, Option<TenantState>, People) {
    let (index, now) = (app.directory.current().clone(), app.ambient.now());
    let entry = index.as_ref().and_then(|index| index.tenant(caller.tenant_id()));
    let people = entry.map(|entry| everyone(entry, &app.bindings.current(), now));
    (now, entry.map(|entry| entry.state), people.unwrap_or_default())
}

async fn then(
    app: &App,
    caller: &UserCaller,
    tx: &mut TenantTx,
    at: OffsetDateTime,
) -> Result<(Option<TenantState>, People), Problem> {
    let entry = match directory::then(tx, at).await? {
        Then::Known(entry) => entry,
        Then::Nothing => return Ok((None, Vec::new())),
        Then::NotKnown(since) => return Err(not_known(since)),
    };
    if !entry.entitlement.holds(at) {
        return Ok((Some(entry.state), Vec::new()));
    }
    let local = bindings::then(tx, at).await?;
    // those who are still there are shown by the name they have now
    let index = app.directory.current().clone();
    let names = index.as_ref().and_then(|index| index.tenant(caller.tenant_id()));
    let named = |caller: Caller| {
        let name = match (caller.principal(), names) {
            (Principal::User(id), Some(names)) => names.users.get(&id).map(|user| user.display_name.clone()),
            _ => None,
        };
        (caller, name.unwrap_or_default())
    };
    let people = everyone(&entry, &local, at)
        .into_iter()
        .map(|(caller, _)| named(caller));
    Ok((Some(entry.state), people.collect()))
}

fn not_known(since: Option<OffsetDateTime>) -> Problem {
    let problem = Problem::unprocessable("not-known").detail("What was bound to whom is not known of that time.");
    match since.and_then(|since| since.format(&Rfc3339).ok()) {
        Some(since) => problem.with("since", since),
        None => problem,
    }
}
