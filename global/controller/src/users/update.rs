//! `PATCH /v1/users/{id}`: how a person is shown. Who belongs to others too is not one tenant's to rename.
use super::{
    list::{Member, member},
    store,
};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    memberships, passports, sessions,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::UserId;
use exarch_common_http::{Api, Json, Path, Problem, Text, Versioned, conditions::IfMatch};
use exarch_common_pg::{SystemTx, TenantTx};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::user::Update>(), routes!(handler))
}

/// What changes of a person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserChange {
    /// How the person is shown.
    display_name: Option<Text<100>>,
}

/// Changes how a person of the tenant in force is shown.
#[utoipa::path(patch, path = "/v1/users/{id}", operation_id = "updateUser", tag = "users",
    params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person")), request_body = UserChange,
    responses((status = 200, description = "The person", body = Member,
               headers(("ETag" = String, description = "Version of the person; memberships have their own"))),
              (status = 409, description = "The person does not belong to this tenant alone")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(id): Path<UserId>,
    condition: IfMatch,
    Json(input): Json<UserChange>,
) -> Result<Versioned<Member>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::user::Update>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    // Whoever makes the person a member elsewhere meanwhile comes before this, and is seen, or after it.
    store::hold(&mut tx, id).await?;
    let mut found = store::members(&mut tx, Some(id), None, 1).await?.pop();
    let before = found.take().ok_or_else(super::not_found)?;
    condition.require(before.version)?;
    let Some(name) = input.display_name else {
        return member(&app, before);
    };
    if elsewhere(&app, &who, id).await? {
        return Err(Problem::conflict("person-of-others")
            .detail("This person does not belong to this tenant alone, so it is not this tenant that renames them."));
    }
    store::set_display_name(&mut tx, id, &name, app.ambient.now()).await?;
    let after = store::members(&mut tx, Some(id), None, 1).await?.pop();
    let after = after.ok_or_else(super::not_found)?;
    let entry = who.entry(&app, tenant, "user.update", ("user", id));
    let entry = entry
        .before(json!({ "display_name": before.user.display_name }))
        .after(json!({ "display_name": after.user.display_name }));
    audit::record(&mut tx, &entry).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    member(&app, after)
}

/// Whether a person has a place in another tenant, or among the provider's people.
async fn elsewhere(app: &App, who: &Who, user: UserId) -> Result<bool, Problem> {
    let tenants = memberships::tenants_of(app, user).await?;
    if tenants.iter().any(|tenant| Some(*tenant) != who.tenant()) {
        return Ok(true);
    }
    let mut tx = SystemTx::begin(&app.app_pool, "rename-person").await?;
    let roles = sessions::staff_roles(&mut tx, user, app.ambient.now()).await?;
    tx.rollback().await?;
    Ok(!roles.is_empty())
}
