//! Memberships: a person's place in a tenant, with roles, perhaps narrowed to some regions, perhaps with an end. Nobody
//! gives a role that holds more than they hold themselves in that tenant; the first administrator, named with the tenant
//! itself, is the one exception.
mod grant;
mod list;
mod read;
mod revoke;
mod store;
mod update;

pub use grant::New;
pub(crate) use grant::{add, own};

use crate::{app::App, second_factor, sessions::Session};
use exarch_common_authz::{BoundRole, PermissionSet, Role, TenantState};
use exarch_common_base::{BreakGlassId, MembershipId, RegionId, Slug, TenantId, UserId};
use exarch_common_http::{Api, Problem};
use exarch_common_pg::{Clusters, DbError, TenantContext, TenantTx};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A tenant as the people in it see it.
#[derive(Clone, Debug)]
pub struct TenantBrief {
    /// Its id.
    pub id: TenantId,
    /// Its slug.
    pub slug: Slug,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: TenantState,
    /// Whether it asks everybody in it for a second factor.
    pub second_factor_required: bool,
}

/// A person's place in a tenant.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The tenant.
    pub tenant: TenantBrief,
    /// The membership; none of somebody who came by break-glass.
    pub membership: Option<MembershipId>,
    /// Roles of tenant scope.
    pub roles: Vec<BoundRole>,
    /// Only these regions; all the tenant is entitled to when absent.
    pub regions: Option<Vec<RegionId>>,
    /// When it ends.
    pub until: Option<OffsetDateTime>,
    /// The break-glass by which a person of the provider has it.
    pub emergency: Option<Emergency>,
}

/// An approved break-glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emergency {
    /// The grant.
    pub id: BreakGlassId,
    /// Whether it is for a tenant that nobody administers.
    pub rescues: bool,
}

impl Seat {
    /// What the person may give to others: what they hold; and, to a tenant that nobody administers, an administrator.
    pub fn gives(&self) -> PermissionSet {
        let rescue = self.emergency.filter(|emergency| emergency.rescues);
        let more = rescue.map(|_| Role::TenantAdmin.permissions());
        let roles = self.roles.iter().map(BoundRole::permissions);
        roles.chain(more).fold(PermissionSet::EMPTY, PermissionSet::union)
    }

    /// Whether the state of the tenant lets this person sign in and stay.
    pub fn may_sign_in(&self) -> bool {
        match self.tenant.state {
            TenantState::Active
            | TenantState::SuspendedBilling
            | TenantState::SuspendedHold
            | TenantState::Deleting => true,
            TenantState::SuspendedIncident => self.roles.iter().any(|role| role.reads_in_incident()),
            TenantState::Deleted => false,
        }
    }

    /// Whether a session begun by these methods is enough here.
    pub fn admits(&self, amr: &[String]) -> bool {
        self.may_sign_in() && (!self.tenant.second_factor_required || second_factor::is_mfa(amr))
    }
}

/// A membership as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    id: MembershipId,
    user: UserId,
    roles: Vec<String>,
    regions: Option<Vec<RegionId>>,
    until: Option<OffsetDateTime>,
    created_by: String,
    created_at: OffsetDateTime,
    version: u64,
}

/// A membership as it is told.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Membership)]
struct MembershipOut {
    #[schema(value_type = String, pattern = "^mem_[0-9a-f]{32}$")]
    id: MembershipId,
    user: crate::users::UserBrief,
    /// Names of roles.
    roles: Vec<String>,
    /// Ids of the only regions it reaches; all the tenant is entitled to when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    regions: Option<Vec<RegionId>>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    until: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl Membership {
    /// Whether it makes an administrator.
    fn administers(&self) -> bool {
        self.roles.iter().any(|role| role == Role::TenantAdmin.slug())
    }

    /// As the audit has it.
    fn recorded(&self) -> serde_json::Value {
        json!({
            "user": self.user,
            "roles": self.roles,
            "regions": self.regions,
            "until": self.until.map(OffsetDateTime::unix_timestamp),
        })
    }

    fn out(self, user: crate::users::UserBrief) -> MembershipOut {
        MembershipOut {
            id: self.id,
            user,
            roles: self.roles,
            regions: self.regions,
            until: self.until,
            created_at: self.created_at,
        }
    }
}

/// The place of a person in a tenant; nothing when it has ended or never was.
///
/// # Errors
/// The database.
pub async fn seat(app: &App, tenant: TenantId, user: UserId) -> Result<Option<Seat>, DbError> {
    let context = TenantContext {
        tenant,
        clusters: Clusters::All,
        actor: user.to_string(),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &context).await?;
    let seat = store::seat(&mut tx, user, app.ambient.now()).await?;
    tx.rollback().await?;
    Ok(seat)
}

/// The place by which a session is in its tenant: of a member, or by the break-glass that it names and no other.
///
/// # Errors
/// The database.
pub async fn seat_of(app: &App, session: &Session) -> Result<Option<Seat>, DbError> {
    let Some(tenant) = session.tenant else { return Ok(None) };
    let Some(grant) = session.break_glass else {
        return seat(app, tenant, session.user).await;
    };
    let context = TenantContext {
        tenant,
        clusters: Clusters::All,
        actor: session.user.to_string(),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &context).await?;
    let seat = store::emergency(&mut tx, session.user, Some(grant), app.ambient.now()).await?;
    tx.rollback().await?;
    Ok(seat)
}

/// The place of a person in the tenant of a transaction that is open already, of a member or by break-glass.
///
/// # Errors
/// The database.
pub(crate) async fn seat_in(app: &App, tx: &mut TenantTx, user: UserId) -> Result<Option<Seat>, DbError> {
    let now = app.ambient.now();
    match store::seat(tx, user, now).await? {
        Some(seat) => Ok(Some(seat)),
        None => store::emergency(tx, user, None, now).await,
    }
}

/// The places of a person by break-glass in which signing in is possible. Nobody comes into one but on purpose.
///
/// # Errors
/// The database.
pub async fn emergencies(app: &App, user: UserId) -> Result<Vec<Seat>, DbError> {
    let mut seats = store::emergencies(&app.sweep_pool, user, app.ambient.now()).await?;
    seats.retain(Seat::may_sign_in);
    Ok(seats)
}

/// Whether somebody administers the transaction's tenant.
///
/// # Errors
/// The database.
pub(crate) async fn is_administered(tx: &mut TenantTx, now: OffsetDateTime) -> Result<bool, DbError> {
    store::is_administered(tx, now).await
}

/// Everybody who is a member of the transaction's tenant.
///
/// # Errors
/// The database.
pub(crate) async fn members(tx: &mut TenantTx, now: OffsetDateTime) -> Result<Vec<UserId>, DbError> {
    store::members(tx, now).await
}

/// All places of a person in which signing in is possible, by slug.
///
/// # Errors
/// The database.
pub async fn seats(app: &App, user: UserId) -> Result<Vec<Seat>, DbError> {
    let mut seats = store::seats(&app.sweep_pool, user, app.ambient.now()).await?;
    seats.retain(Seat::may_sign_in);
    Ok(seats)
}

/// The tenants a person belongs to or is in by break-glass, whether or not signing in to them is possible now.
///
/// # Errors
/// The database.
pub async fn tenants_of(app: &App, user: UserId) -> Result<Vec<TenantId>, DbError> {
    let now = app.ambient.now();
    let mut seats = store::seats(&app.sweep_pool, user, now).await?;
    seats.extend(store::emergencies(&app.sweep_pool, user, now).await?);
    let mut tenants: Vec<_> = seats.into_iter().map(|seat| seat.tenant.id).collect();
    tenants.sort_unstable();
    tenants.dedup();
    Ok(tenants)
}

/// All roles of a person as tokens name them: those of a place, and those over the federation.
pub fn role_names(seat: Option<&Seat>, staff: impl IntoIterator<Item = Role>) -> Vec<String> {
    let seat = seat.into_iter().flat_map(|seat| &seat.roles);
    let staff = staff.into_iter().map(|role| role.slug().to_owned());
    seat.map(|role| role.name().to_owned()).chain(staff).collect()
}

/// 404: there is no such membership in this tenant.
fn not_found() -> Problem {
    Problem::not_found("membership-not-found").detail("The tenant has no such membership, or it has ended.")
}

/// 409: somebody must administer the tenant.
fn last_administrator() -> Problem {
    Problem::conflict("last-administrator").detail("This is the tenant's last administrator: name another one first.")
}

/// Whether one of the tenants in which the person has a place asks for a second factor. Such a person gives one at every sign-in,
/// into whichever tenant: a password that is shorter for that reason then never stands alone.
///
/// # Errors
/// The database.
pub async fn second_factor_required(app: &App, user: UserId) -> Result<bool, DbError> {
    let seats = seats(app, user).await?;
    Ok(seats.iter().any(|seat| seat.tenant.second_factor_required))
}

/// Whether whoever signs in with an address is a member of the transaction's tenant.
///
/// # Errors
/// The database.
pub(crate) async fn has_address(
    tx: &mut TenantTx,
    email_index: &[u8; 32],
    now: OffsetDateTime,
) -> Result<bool, DbError> {
    store::has_address(tx, email_index, now).await
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    let api = list::routes(api);
    let api = grant::routes(api);
    let api = read::routes(api);
    let api = update::routes(api);
    revoke::routes(api)
}
