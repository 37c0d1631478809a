//! `GET /v1/decisions/{id}`.
use super::people::{self, Known};
use crate::{app::App, gate::Who};
use axum::extract::State;
use exarch_common_authz::{Action, Caller, Permission, Principal, Record, Target, perm, policy, who_can};
use exarch_common_base::{DecisionId, TenantId};
use exarch_common_http::{
    Api, Json, Path, Problem, RouteKind,
    explained::{Explained, Person, Told, explained, giving},
};
use exarch_common_pg::{
    SystemTx, TenantTx,
    decisions::{self, Decision},
};
use exarch_common_wire::audit::PROVIDER;
use utoipa_axum::routes;

/// People named at most.
const GIVERS: usize = 100;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(handler))
}

/// Explains a refusal: the caller's own, or, to those who read the audit, anybody's in the tenant in force; to those who read the
/// provider's audit, those without a tenant too. It is kept for seven days.
#[utoipa::path(get, path = "/v1/decisions/{id}", operation_id = "getDecision", tag = "decisions",
    params(("id" = String, Path, pattern = "^dec_[0-9a-f]{32}$", description = "Id of the decision, as the refusal told it")),
    responses((status = 200, description = "Why", body = Explained),
              (status = 404, description = "It is not kept, or is of somebody else")))]
async fn handler(State(app): State<App>, who: Who, Path(id): Path<DecisionId>) -> Result<Json<Explained>, Problem> {
    let may = |permission: Permission, target| policy::allows(who.caller(), permission, target).is_ok();
    for tenant in who.tenant().into_iter().chain([PROVIDER]) {
        let Some(decision) = find(&app, &who, tenant, id).await? else {
            continue;
        };
        let record: Record = serde_json::from_str(&decision.record).map_err(|error| Problem::internal(&error))?;
        let own = record.principal == who.caller().principal();
        let reads = match tenant {
            PROVIDER => may(perm::federation_audit::Read::PERMISSION, Target::System),
            _ => may(perm::audit::List::PERMISSION, Target::Tenant(tenant)),
        };
        let told = match (reads, own) {
            (true, _) => Told::Everything,
            (false, true) => Told::Asker,
            (false, false) => return Err(not_found()),
        };
        let known = known(&app, &who, tenant).await?;
        let by_now = known.iter().map(|(caller, _)| caller);
        let by_now = if own {
            Some(who.caller())
        } else {
            by_now.into_iter().find(|c| c.principal() == record.principal)
        };
        let people = giving(record.target).map(|needed| holders(&known, needed, record.target));
        let at = (id, decision.at);
        return Ok(Json(explained(at, &record, told, by_now, people.unwrap_or_default())));
    }
    Err(not_found())
}

async fn find(app: &App, who: &Who, tenant: TenantId, id: DecisionId) -> Result<Option<Decision>, Problem> {
    if let Some(waiting) = app.refusals.decision(tenant, id) {
        return Ok(Some(waiting));
    }
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let found = decisions::find(&mut tx, id).await?;
    tx.rollback().await?;
    Ok(found)
}

/// The people of the tenant, or of the provider, as they stand now.
async fn known(app: &App, who: &Who, tenant: TenantId) -> Result<Vec<Known>, Problem> {
    let now = app.ambient.now();
    if tenant == PROVIDER {
        let mut tx = SystemTx::begin(&app.app_pool, "why").await?;
        let staff = people::staff(&mut tx, now).await?;
        tx.rollback().await?;
        return Ok(staff);
    }
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let known = people::of_tenant(&mut tx, now).await?;
    tx.rollback().await?;
    Ok(known.map(|tenant| tenant.people).unwrap_or_default())
}

/// Those who hold `needed` in the whole tenant.
fn holders(known: &[Known], needed: &str, target: Target) -> Vec<Person> {
    let (Ok(permission), Some(tenant)) = (needed.parse::<Permission>(), target.tenant()) else {
        return Vec::new();
    };
    let callers = known.iter().map(|(caller, _)| Caller::clone(caller));
    let able = who_can(callers, permission, Target::Tenant(tenant));
    let people = able.into_iter().filter_map(|(caller, _)| {
        let Principal::User(id) = caller.principal() else {
            return None;
        };
        let (_, name) = known
            .iter()
            .find(|(known, _)| known.principal() == caller.principal())?;
        Some(Person {
            id,
            display_name: name.clone(),
        })
    });
    let mut people: Vec<Person> = people.collect();
    people.sort_unstable();
    people.truncate(GIVERS);
    people
}

fn not_found() -> Problem {
    Problem::not_found("decision-not-found").detail(
        "No such decision of yours is kept here: they are kept for seven days, under the tenant that was in force.",
    )
}
