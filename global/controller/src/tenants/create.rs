//! `POST /v1/tenants`: a new tenant, with its first administrator.
use super::{Tenant, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    memberships, passports,
    users::{self, Created, Email, NewUser},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Role, Target, TenantState, perm};
use exarch_common_base::{Slug, TenantId};
use exarch_common_http::{
    Api, Json, Problem, Text,
    repeats::{Kept, Once, Repeat},
};
use exarch_common_pg::{OnConstraint, TenantTx};
use exarch_common_wire::audit::PROVIDER;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Named after the provider's own share of a region.
const RESERVED: [&str; 1] = ["provider"];

pub fn routes(api: Api<App>) -> Api<App> {
    api.creates(needs::<perm::tenant::Create>(), Repeat::Secret, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTenant {
    /// For addresses and commands; never used again.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    slug: Slug,
    /// For people.
    name: Text<100>,
    /// The first administrator. Only a new tenant can be given one by the provider.
    admin: Option<FirstAdmin>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FirstAdmin {
    /// By which the person signs in.
    #[schema(value_type = String, format = Email, max_length = 254)]
    email: Email,
    /// How the person is shown.
    display_name: Text<100>,
}

#[derive(Serialize, ToSchema)]
struct CreatedTenant {
    #[serde(flatten)]
    tenant: Tenant,
    /// The first administrator, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<Created>,
}

/// Makes a tenant.
#[utoipa::path(post, path = "/v1/tenants", operation_id = "createTenant", tag = "tenants", request_body = NewTenant,
    responses((status = 201, description = "The tenant, with its administrator's initial password this once",
               body = CreatedTenant),
              (status = 409, description = "The slug is taken")))]
async fn handler(State(app): State<App>, who: Who, once: Once, Json(input): Json<NewTenant>) -> Result<Kept, Problem> {
    let _permit = who.check::<perm::tenant::Create>(&app, Target::System)?;
    if RESERVED.contains(&input.slug.as_str()) {
        return Err(Problem::unprocessable("reserved-slug")
            .detail("This slug is reserved; choose another one.")
            .error("/slug", "is reserved"));
    }
    let new_admin = match input.admin {
        Some(admin) => Some(NewUser::with_initial_password(&app, admin.email, admin.display_name.into_inner()).await?),
        None => None,
    };
    let now = app.ambient.now();
    let tenant = Tenant {
        id: app.ambient.id(),
        slug: input.slug,
        name: input.name.into_inner(),
        state: TenantState::Active,
        state_since: now,
        created_at: now,
        version: 1,
    };
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant.id)).await?;
    let (by, first_admin_at) = (who.user().to_string(), new_admin.is_some().then_some(now));
    store::insert(tx.conn(), &tenant, first_admin_at, &by)
        .await
        .on_constraint("tenant_slug_key", || {
            Problem::conflict("slug-taken")
                .detail("Another tenant has, or had, this slug; choose another one.")
                .error("/slug", "is or was another tenant's")
        })?;
    let admin = match new_admin {
        Some(new) => Some(first_admin(&app, &who, &mut tx, tenant.id, new).await?),
        None => None,
    };
    let after = json!({ "slug": tenant.slug, "name": tenant.name, "admin": admin.as_ref().map(|admin| admin.user.id) });
    for ledger in [PROVIDER, tenant.id] {
        let entry = who.entry(&app, ledger, "tenant.create", ("tenant", tenant.id));
        audit::record(&mut tx, &entry.after(after.clone())).await?;
    }
    passports::touch_tenant(&app, &mut tx).await?;
    let id = tenant.id;
    let answer = (StatusCode::CREATED, Json(CreatedTenant { tenant, admin }));
    let kept = once.commit(tx, id, answer).await?;
    passports::nudge(&app);
    Ok(kept)
}

/// The one grant that needs no role in the tenant: it has nobody yet who could make it. It stands in the tenant's own audit.
async fn first_admin(
    app: &App,
    who: &Who,
    tx: &mut TenantTx,
    tenant: TenantId,
    new: NewUser,
) -> Result<Created, Problem> {
    let (admin, is_new) = users::ensure(app, tx.conn(), new).await?;
    if admin.user.id == who.user() {
        return Err(Problem::forbidden("own-invitation")
            .detail("Staff cannot make themselves members of a tenant: name somebody else."));
    }
    if admin.user.state != "active" {
        return Err(Problem::unprocessable("user-disabled")
            .detail("This person cannot sign in: name somebody else.")
            .error("/admin/email", "belongs to a disabled account"));
    }
    if is_new {
        audit::record(tx, &who.entry(app, tenant, "user.create", ("user", admin.user.id))).await?;
    }
    let membership = memberships::New {
        user: admin.user.id,
        roles: vec![Role::TenantAdmin.slug().to_owned()],
        regions: None,
        until: None,
        created_by: who.user().to_string(),
    };
    memberships::add(app, tx, membership, |id, after| {
        let entry = who
            .entry(app, tenant, "membership.grant", ("membership", id))
            .after(after);
        entry.ended(
            exarch_common_wire::audit::Outcome::Ok,
            "the first administrator, named with the tenant",
        )
    })
    .await?;
    Ok(admin)
}
