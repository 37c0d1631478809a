//! `POST /v1/api-keys`.
use super::{ApiKey, Kind, MOST, Owner, Shown, ahead, ranges, refused, store, taken};
use crate::{
    app::App,
    audit,
    entitlements::RegionName,
    gate::{Who, needs, unauthenticated},
    passports, roles, users,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{PermissionSet, Scope, Target, perm};
use exarch_common_base::{ExposeSecret, KeyId, RegionId, Slug};
use exarch_common_http::{
    Api, Json, Problem, Text,
    repeats::{Kept, Once, Repeat},
};
use exarch_common_pg::{OnConstraint, TenantTx};
use exarch_common_wire::api_key;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.creates(needs::<perm::api_key::Create>(), Repeat::Secret, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateApiKey)]
struct Create {
    /// For people; unique among the keys of the tenant.
    name: Text<100>,
    /// Where it is known.
    kind: Kind,
    /// The region of a regional key, by its slug; it stays the same.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    region: Option<Slug>,
    /// Name of a tenant-scope role, which stays the same.
    #[schema(pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    role: String,
    /// From where it may be used, such as `192.0.2.0/24`; from anywhere when absent or empty.
    #[serde(default)]
    #[schema(max_items = 32)]
    cidrs: Vec<String>,
    /// When it ends by itself.
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// Makes an API key that rests on your membership, with a role that holds nothing that you do not. The secret is shown this once.
#[utoipa::path(post, path = "/v1/api-keys", operation_id = "createApiKey", tag = "api-keys", request_body = Create,
    responses((status = 201, description = "The key and its secret", body = Shown),
              (status = 403, description = "You do not hold what the role holds"),
              (status = 409, description = "The name is taken, or the tenant has as many keys as it may")))]
async fn handler(State(app): State<App>, who: Who, once: Once, Json(input): Json<Create>) -> Result<Kept, Problem> {
    let tenant = who.tenant_in_force()?;
    let permit = who.check::<perm::api_key::Create>(&app, Target::Tenant(tenant))?;
    let seat = who.seat().ok_or_else(unauthenticated)?;
    // Somebody who is here by break-glass has no membership, and makes nothing that outlives it.
    let membership = seat.membership.ok_or_else(unauthenticated)?;
    let now = app.ambient.now();
    ahead(input.expires_at, now)?;
    let cidrs = ranges(&input.cidrs)?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    if store::count(&mut tx).await? >= MOST {
        return Err(
            Problem::conflict("too-many-api-keys").detail(format!("A tenant has at most {MOST} API keys: revoke one."))
        );
    }
    if !store::hold_owner(&mut tx, membership).await? {
        return Err(unauthenticated());
    }
    may_give(&mut tx, &input.role, permit.caller().tenant_wide()).await?;
    let region = match (input.kind, &input.region) {
        (Kind::Federated, None) => None,
        (Kind::Federated, Some(_)) => return Err(refused("/region", "is for regional keys alone")),
        (Kind::Regional, None) => return Err(refused("/region", "is missing: a regional key is for one region")),
        (Kind::Regional, Some(slug)) => {
            let reaches = |id: &RegionId| seat.regions.as_ref().is_none_or(|only| only.contains(id));
            let id = store::region(&mut tx, slug, now).await?.filter(reaches);
            let id = id.ok_or_else(|| refused("/region", "is no region that you may enter"))?;
            Some(RegionName { id, slug: slug.clone() })
        }
    };
    let user = users::find(&app, tx.conn(), who.user()).await?;
    let user = user.ok_or_else(unauthenticated)?;
    let secret = api_key::ApiKey::generate(&app.ambient, app.ambient.id::<KeyId>());
    let key = ApiKey {
        id: secret.id,
        name: input.name.into_inner(),
        kind: input.kind.as_str().to_owned(),
        region: region.as_ref().map(|region| region.id),
        owner: Owner {
            membership,
            user: who.user(),
            gone: false,
        },
        role: input.role,
        cidrs,
        expires_at: input.expires_at,
        verifier: secret.verifier(),
        rotated_at: None,
        previous: None,
        last_used_on: None,
        version: 1,
        created_at: now,
    };
    store::insert(&mut tx, &key, &who.user().to_string())
        .await
        .on_constraint("api_key_name_key", taken)?;
    let entry = who.entry(&app, tenant, "api_key.create", ("api-key", key.id));
    audit::record(&mut tx, &entry.after(key.recorded())).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    let id = key.id;
    let shown = Shown {
        key: key.out(user, region, now),
        secret: secret.text().expose_secret().to_owned(),
    };
    let kept = once.commit(tx, id, (StatusCode::CREATED, Json(shown))).await?;
    passports::nudge(&app);
    Ok(kept)
}

/// Whoever has the secret of a key has its role: nobody gets one who could not give the role.
///
/// # Errors
/// 422 for what is no role of tenant scope, 403 `role-not-held`; the database.
pub(super) async fn may_give(tx: &mut TenantTx, role: &str, held: PermissionSet) -> Result<(), Problem> {
    let roles = roles::resolve(tx, &[role.to_owned()]).await?;
    let role = roles
        .first()
        .filter(|role| role.scope() == Scope::Tenant)
        .ok_or_else(|| refused("/role", "is no role of tenant scope"))?;
    if role.permissions().is_subset(held) {
        return Ok(());
    }
    Err(Problem::forbidden("role-not-held").detail(format!(
        "The role {} holds more than you do in this tenant.",
        role.name()
    )))
}
