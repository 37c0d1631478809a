//! Break-glass: a person of the provider enters a tenant in an emergency.
//!
//! One asks, with a reason, a ticket and how many minutes; another one approves. What comes of it is a place in the tenant that no
//! list of members shows and no route of memberships changes ([`crate::memberships::Emergency`]): entered deliberately by
//! `POST /v1/me/tenant`, carried to the regions by the tenant's section and ended there by their own clocks. Either side ends
//! it at any time. All of it, every request made under it among that, stands in the tenant's own audit.
//!
//! A tenant that has nobody left to administer it takes two approvals, and its members are told a day before it begins; whoever
//! comes may name an administrator.
mod access;
mod decide;
mod end;
mod expire;
mod grant;
mod list;
mod request;
mod store;

pub use access::accessed;
pub use expire::EndBreakGlass;

use crate::{
    app::App,
    audit,
    users::{self, UserBrief},
};
use exarch_common_authz::{Action, Role, Scope, perm};
use exarch_common_base::{BreakGlassId, Slug, TenantId, UserId};
use exarch_common_http::{Api, Problem};
use exarch_common_pg::{AppPool, DbError, SystemTx, TenantTx};
use exarch_common_wire::audit::{Entry, PROVIDER};
use grant::{Grant, Mode, Refused, State};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A request for emergency access and what became of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BreakGlass)]
struct BreakGlassOut {
    #[schema(value_type = String, pattern = "^bgl_[0-9a-f]{32}$")]
    id: BreakGlassId,
    tenant: Where,
    requester: Person,
    /// `read`: looks, and reads the audit; `write`: also repairs, and lets people in.
    mode: Mode,
    reason: String,
    ticket: String,
    /// For how long, once it has begun.
    minutes: u16,
    /// The tenant has nobody left to administer it: two people approve, and it begins a day later.
    rescue: bool,
    state: State,
    #[serde(with = "time::serde::rfc3339")]
    requested_at: OffsetDateTime,
    /// Until when somebody may answer.
    #[serde(with = "time::serde::rfc3339")]
    answer_by: OffsetDateTime,
    /// Who approved a rescue first.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconded_by: Option<Person>,
    /// Who approved or denied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<Person>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    decided_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    from: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    until: Option<OffsetDateTime>,
    /// Id of a person, of either side; or `time`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    ended_at: Option<OffsetDateTime>,
}

/// The tenant it is for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BreakGlassTenant)]
struct Where {
    #[schema(value_type = String, pattern = "^ten_[0-9a-f]{32}$")]
    id: TenantId,
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    slug: Slug,
}

/// One of the provider's people.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BreakGlassPerson)]
struct Person {
    #[schema(value_type = String, pattern = "^usr_[0-9a-f]{32}$")]
    id: UserId,
    /// Absent for somebody who is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
}

impl Grant {
    /// As the audit has it.
    fn recorded(&self) -> serde_json::Value {
        json!({
            "tenant": self.tenant, "requester": self.requester, "mode": self.mode.as_str(), "ticket": self.ticket,
            "minutes": self.minutes, "rescue": self.rescue, "state": self.state.as_str(),
            "from": self.from.map(OffsetDateTime::unix_timestamp), "until": self.until.map(OffsetDateTime::unix_timestamp),
        })
    }

    fn out(self, people: &BTreeMap<UserId, UserBrief>, now: OffsetDateTime) -> BreakGlassOut {
        let person = |id: UserId| Person {
            id,
            display_name: people.get(&id).map(|user| user.display_name.clone()),
        };
        BreakGlassOut {
            id: self.id,
            requester: person(self.requester),
            state: self.state_at(now),
            answer_by: self.answer_by(),
            seconded_by: self.seconded_by.map(person),
            decided_by: self.decided_by.map(person),
            tenant: Where {
                id: self.tenant,
                slug: self.tenant_slug,
            },
            mode: self.mode,
            reason: self.reason,
            ticket: self.ticket,
            minutes: self.minutes,
            rescue: self.rescue,
            requested_at: self.requested_at,
            decided_at: self.decided_at,
            from: self.from,
            until: self.until,
            ended_by: self.ended_by,
            ended_at: self.ended_at,
        }
    }
}

/// Everybody whom these name.
async fn people(app: &App, conn: &mut PgConnection, grants: &[Grant]) -> Result<BTreeMap<UserId, UserBrief>, Problem> {
    let named = grants
        .iter()
        .flat_map(|grant| [Some(grant.requester), grant.seconded_by, grant.decided_by]);
    let named: Vec<UserId> = named.flatten().collect();
    users::briefs(app, conn, &named).await
}

/// Writes a step into the provider's audit and the tenant's.
async fn record(tx: &mut TenantTx, grant: &Grant, entry: impl Fn(TenantId) -> Entry) -> Result<(), DbError> {
    for ledger in [PROVIDER, grant.tenant] {
        let entry = Entry {
            break_glass: Some(grant.id.to_string()),
            ..entry(ledger).after(grant.recorded())
        };
        audit::record(tx, &entry).await?;
    }
    Ok(())
}

/// How many people may approve.
///
/// # Errors
/// The database.
pub async fn all_approvers(pool: &AppPool, now: OffsetDateTime) -> Result<i64, DbError> {
    let mut tx = SystemTx::begin(pool, "count-approvers").await?;
    let counted = approvers(tx.conn(), None, now).await?;
    tx.rollback().await?;
    Ok(counted)
}

/// How many people but `but` may.
async fn approvers(conn: &mut PgConnection, but: Option<UserId>, now: OffsetDateTime) -> Result<i64, DbError> {
    let roles = Role::holding(perm::break_glass::Approve::PERMISSION);
    let roles = roles.filter(|role| role.scope() == Scope::System);
    let roles: Vec<String> = roles.map(|role| role.slug().to_owned()).collect();
    store::others(conn, &roles, but, now).await
}

fn not_found() -> Problem {
    Problem::not_found("break-glass-not-found").detail("There is no such emergency access.")
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Own => Problem::forbidden("own-request")
                .detail("It takes another person: nobody decides on their own request."),
            Refused::Twice => Problem::conflict("second-approval")
                .detail("You approved this already: a tenant without an administrator takes a second person."),
            Refused::State(state) => {
                let hint = match state {
                    State::Requested => "waits for an answer",
                    State::Approved => "was approved already",
                    State::Denied => "was denied",
                    State::Expired => "was not answered in time: ask again",
                    State::Ended => "is over",
                };
                Problem::conflict("break-glass-state").detail(format!("This emergency access {hint}."))
            }
        }
    }
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    let api = list::routes(api);
    let api = request::routes(api);
    let api = decide::routes(api);
    end::routes(api)
}
