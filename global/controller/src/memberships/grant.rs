//! `POST /v1/tenants/{id}/memberships`, and the use case by which others add a member.
use super::{Membership, MembershipOut, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports, roles,
    tenants::TenantKey,
    users::{self, Email},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::{RegionId, TenantId, UserId};
use exarch_common_http::{
    Api, Json, Path, Problem,
    repeats::{Kept, Once, Repeat},
};
use exarch_common_pg::{OnConstraint, TenantTx};
use exarch_common_wire::audit::Entry;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.creates(needs::<perm::membership::Grant>(), Repeat::Same, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GrantMembership)]
struct Grant {
    /// Whom, by id.
    #[schema(value_type = Option<String>, pattern = "^usr_[0-9a-f]{32}$")]
    user_id: Option<UserId>,
    /// Whom, by address, when not by id.
    #[schema(value_type = Option<String>, format = Email, max_length = 254)]
    email: Option<Email>,
    /// Names of tenant-scope roles.
    roles: Vec<String>,
    /// Ids of the only regions it reaches; all the tenant is entitled to when absent.
    #[schema(value_type = Option<Vec<String>>)]
    regions: Option<Vec<RegionId>>,
    /// When it ends by itself.
    #[serde(default, with = "time::serde::rfc3339::option")]
    until: Option<OffsetDateTime>,
}

/// Gives a person roles in the tenant.
#[utoipa::path(post, path = "/v1/tenants/{id}/memberships", operation_id = "grantMembership", tag = "memberships",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant in force")), request_body = Grant,
    responses((status = 201, description = "The membership", body = MembershipOut),
              (status = 403, description = "You do not hold what the roles hold, or it is yourself"),
              (status = 409, description = "The person is a member already")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    once: Once,
    Json(input): Json<Grant>,
) -> Result<Kept, Problem> {
    let tenant = key.of_seat(&who)?;
    let _permit = who.check::<perm::membership::Grant>(&app, Target::Tenant(tenant))?;
    check(input.until, input.regions.as_deref(), app.ambient.now())?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let roles = roles::grantable(&mut tx, &input.roles, who.gives()).await?;
    let user = match (input.user_id, &input.email) {
        (Some(id), None) => users::find(&app, tx.conn(), id).await?,
        (None, Some(email)) => users::find_by_email(&app, tx.conn(), email).await?,
        _ => return Err(refused("/user_id", "give either user_id or email")),
    };
    let user = user.ok_or_else(|| {
        let pointer = if input.user_id.is_some() { "/user_id" } else { "/email" };
        refused(pointer, "names nobody who can sign in")
    })?;
    if user.id == who.user() {
        return Err(own());
    }
    let new = New {
        user: user.id,
        roles,
        regions: input.regions,
        until: input.until,
        created_by: who.user().to_string(),
    };
    let membership = add(&app, &mut tx, new, |id, after| {
        who.entry(&app, tenant, "membership.grant", ("membership", id))
            .after(after)
    })
    .await?;
    passports::touch_tenant(&app, &mut tx).await?;
    let kept = once
        .commit(tx, membership.id, (StatusCode::CREATED, Json(membership.out(user))))
        .await?;
    passports::nudge(&app);
    Ok(kept)
}

/// Whoever came by break-glass does not stay by letting themselves in; everybody else is a member already.
pub(crate) fn own() -> Problem {
    Problem::forbidden("own-invitation").detail("Nobody brings themselves into a tenant: it takes another person.")
}

fn refused(pointer: &str, reason: &str) -> Problem {
    Problem::unprocessable("invalid-membership")
        .detail("A value of the membership cannot be accepted; see errors.")
        .error(pointer, reason)
}

/// Whether a membership can end then and reach these.
///
/// # Errors
/// 422 with the member that cannot be accepted.
pub(super) fn check(
    until: Option<OffsetDateTime>,
    regions: Option<&[RegionId]>,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    if until.is_some_and(|until| until <= now) {
        return Err(refused("/until", "is not in the future"));
    }
    if regions.is_some_and(<[RegionId]>::is_empty) {
        return Err(refused("/regions", "is empty; leave it out for all regions"));
    }
    Ok(())
}

/// What a new membership says.
pub struct New {
    /// Whose.
    pub user: UserId,
    /// Names of tenant-scope roles.
    pub roles: Vec<String>,
    /// Only these regions.
    pub regions: Option<Vec<RegionId>>,
    /// When it ends.
    pub until: Option<OffsetDateTime>,
    /// Who gives it.
    pub created_by: String,
}

/// Adds a member to the transaction's tenant and records it. Whether the caller may give these roles is checked before; the
/// caller touches the tenant's passports after.
///
/// # Errors
/// 409 `already-a-member`; the database.
pub(crate) async fn add(
    app: &App,
    tx: &mut TenantTx,
    new: New,
    entry: impl FnOnce(String, serde_json::Value) -> Entry,
) -> Result<super::Membership, Problem> {
    let tenant: TenantId = tx.tenant();
    let membership = Membership {
        id: app.ambient.id(),
        user: new.user,
        roles: new.roles,
        regions: new.regions,
        until: new.until,
        created_by: new.created_by,
        created_at: app.ambient.now(),
        version: 1,
    };
    store::insert(tx.conn(), tenant, &membership)
        .await
        .on_constraint("membership_user_key", || {
            Problem::conflict("already-a-member")
                .detail("This person is a member already: end that membership first, or keep it.")
        })?;
    let after = membership.recorded();
    audit::record(tx, &entry(membership.id.to_string(), after)).await?;
    Ok(membership)
}
