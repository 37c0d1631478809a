//! `GET` and `PATCH /v1/tenants/{id}/settings`: what a tenant decides for its people.
use super::{TenantKey, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports, second_factor, sessions,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_http::{Api, Json, Path, Problem, Versioned, conditions::IfMatch};
use exarch_common_pg::SystemTx;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::settings::Read>(), routes!(read))
        .route(needs::<perm::settings::Update>(), routes!(change))
}

/// The settings of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TenantSettings)]
pub(super) struct Settings {
    /// Whether everybody who has a place in the tenant gives a second factor at each sign-in. Their passwords may then be shorter.
    pub second_factor: Demand,
}

/// What changes of the settings.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantSettingsChange)]
struct Change {
    /// Whether everybody who has a place in the tenant gives a second factor at each sign-in.
    second_factor: Option<Demand>,
}

/// What is asked of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = SecondFactorDemand)]
pub(super) enum Demand {
    /// Who has one uses it.
    Optional,
    /// Who has none enrols one at the next sign-in.
    Required,
}

/// The settings of the tenant in force.
#[utoipa::path(get, path = "/v1/tenants/{id}/settings", operation_id = "readTenantSettings", tag = "tenants",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant in force")),
    responses((status = 200, description = "The settings", body = Settings,
               headers(("ETag" = String, description = "Their version")))))]
async fn read(State(app): State<App>, who: Who, Path(key): Path<TenantKey>) -> Result<Versioned<Settings>, Problem> {
    let tenant = key.of_seat(&who)?;
    let _permit = who.check::<perm::settings::Read>(&app, Target::Tenant(tenant))?;
    let mut tx = SystemTx::begin(&app.app_pool, "tenant-settings").await?;
    let found = store::lock_settings(tx.conn(), tenant).await?;
    tx.rollback().await?;
    let (body, version) = found.ok_or_else(super::key::not_found)?;
    Ok(Versioned { version, body })
}

/// Changes the settings; what is left out stays. Where they begin to ask for a second factor, sessions that were begun without one end.
#[utoipa::path(patch, path = "/v1/tenants/{id}/settings", operation_id = "updateTenantSettings", tag = "tenants",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant in force")), request_body = Change,
    responses((status = 200, description = "They are in force", body = Settings,
               headers(("ETag" = String, description = "Their version"))),
              (status = 409, description = "You would lock yourself out: sign in with a second factor of your own first")))]
async fn change(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    condition: IfMatch,
    Json(input): Json<Change>,
) -> Result<Versioned<Settings>, Problem> {
    let tenant = key.of_seat(&who)?;
    let _permit = who.check::<perm::settings::Update>(&app, Target::Tenant(tenant))?;
    if input.second_factor == Some(Demand::Required) && !second_factor::is_mfa(&who.session().amr) {
        return Err(Problem::conflict("second-factor-missing")
            .detail("Enrol a second factor of your own and sign in with it, before you ask others for one."));
    }
    let mut tx = SystemTx::begin(&app.app_pool, "tenant-settings").await?;
    let before = store::lock_settings(tx.conn(), tenant).await?;
    let (before, version) = before.ok_or_else(super::key::not_found)?;
    condition.require(version)?;
    let after = Settings {
        second_factor: input.second_factor.unwrap_or(before.second_factor),
    };
    if before == after {
        return Ok(Versioned { version, body: after });
    }
    let version = store::save_settings(tx.conn(), tenant, &after, app.ambient.now()).await?;
    let ended = match after.second_factor {
        Demand::Required => sessions::end_single_factor(&app, &mut tx, tenant).await?,
        Demand::Optional => 0,
    };
    let entry = who.entry(&app, tenant, "settings.update", ("tenant", tenant));
    let entry = entry
        .before(json!(before))
        .after(json!({ "second_factor": after.second_factor, "sessions_ended": ended }));
    audit::record(&mut tx, &entry).await?;
    passports::touch_common(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(Versioned { version, body: after })
}
