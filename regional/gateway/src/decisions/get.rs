//! `GET /v1/decisions/{id}`.
use super::everyone;
use crate::{
    app::App,
    gate::{UserCaller, nothing_here},
    sessions,
};
use axum::extract::State;
use exarch_common_authz::{Action, Caller, Permission, Principal, Record, Target, perm, policy, who_can};
use exarch_common_base::DecisionId;
use exarch_common_http::{
    Json, Path, Problem,
    explained::{Explained, Person, Told, explained, giving},
};
use exarch_common_pg::{
    TenantTx,
    decisions::{self, Decision},
};

/// People named at most.
const GIVERS: usize = 100;

/// Explain a refusal: the caller's own, or, to those who read the audit, anybody's in the tenant. It is kept for seven days.
#[utoipa::path(get, path = "/v1/decisions/{id}", tag = "decisions",
    params(("id" = String, Path, pattern = "^dec_[0-9a-f]{32}$")),
    responses((status = 200, body = Explained), (status = 404, description = "Not kept, or of somebody else")))]
pub(super) async fn get_decision(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<DecisionId>,
) -> Result<Json<Explained>, Problem> {
    let decision = find(&app, &caller, id).await?.ok_or_else(nothing_here)?;
    let record: Record = serde_json::from_str(&decision.record).map_err(|error| Problem::internal(&error))?;
    let own = record.principal == caller.principal();
    let reads = policy::allows(
        &caller,
        perm::audit::List::PERMISSION,
        Target::Tenant(caller.tenant_id()),
    )
    .is_ok();
    let told = match (reads, own) {
        (true, _) => Told::Everything,
        (false, true) => Told::Asker,
        (false, false) => return Err(nothing_here()),
    };
    let now = app.ambient.now();
    let (index, local) = (app.directory.current().clone(), app.bindings.current().clone());
    let entry = index.as_ref().and_then(|index| index.tenant(caller.tenant_id()));
    let by_now = match (record.principal, entry) {
        _ if own => Some(Caller::clone(&caller)),
        (Principal::User(user), Some(entry)) => {
            sessions::person(entry, &local, user, None, now).map(|known| known.build(now))
        }
        _ => None,
    };
    let people = match (told, entry, giving(record.target)) {
        (Told::Everything, Some(entry), Some(needed)) => holders(everyone(entry, &local, now), needed, &caller),
        _ => Vec::new(),
    };
    let at = (id, decision.at);
    Ok(Json(explained(at, &record, told, by_now.as_ref(), people)))
}

async fn find(app: &App, caller: &UserCaller, id: DecisionId) -> Result<Option<Decision>, Problem> {
    if let Some(waiting) = app.refusals.decision(caller.tenant_id(), id) {
        return Ok(Some(waiting));
    }
    let mut tx = TenantTx::begin(&app.app_pool, caller).await?;
    let found = decisions::find(&mut tx, id).await?;
    tx.rollback().await?;
    Ok(found)
}

/// Those of the caller's tenant who hold `needed` in all of it.
fn holders(people: Vec<(Caller, String)>, needed: &str, caller: &UserCaller) -> Vec<Person> {
    let Ok(permission) = needed.parse::<Permission>() else {
        return Vec::new();
    };
    let (callers, names): (Vec<Caller>, Vec<String>) = people.into_iter().unzip();
    let named: std::collections::HashMap<_, _> = callers.iter().map(Caller::principal).zip(names).collect();
    let able = who_can(callers, permission, Target::Tenant(caller.tenant_id()));
    let people = able.into_iter().filter_map(|(caller, _)| match caller.principal() {
        Principal::User(id) => Some(Person {
            id,
            display_name: named.get(&caller.principal()).cloned().unwrap_or_default(),
        }),
        _ => None,
    });
    let mut people: Vec<Person> = people.collect();
    people.sort_unstable();
    people.truncate(GIVERS);
    people
}
