//! `POST /v1/api-keys/{id}/rotate`: another secret; the one before stays good for a while, so that nothing stands still while the new
//! one is handed out.
use super::{Shown, create::may_give, list::told, not_found, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::{ExposeSecret, KeyId};
use exarch_common_http::{
    Api, Json, Path, Problem,
    repeats::{Kept, Once, Repeat},
};
use exarch_common_pg::TenantTx;
use exarch_common_wire::api_key;
use serde::Deserialize;
use serde_json::json;
use time::Duration;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.creates(needs::<perm::api_key::Rotate>(), Repeat::Secret, routes!(handler))
}

/// Seconds for which the secret before stays good, at most.
const LONGEST: u32 = 7 * 24 * 3600;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RotateApiKey)]
struct Rotate {
    /// For how many seconds the secret before stays good; 0 ends it at once.
    #[serde(default = "a_day")]
    #[schema(default = 86400, maximum = 604_800)]
    overlap_seconds: u32,
}

const fn a_day() -> u32 {
    24 * 3600
}

/// Gives an API key another secret, which is shown this once. Of secrets before there is never more than one that is still good.
#[utoipa::path(post, path = "/v1/api-keys/{id}/rotate", operation_id = "rotateApiKey", tag = "api-keys",
    params(("id" = String, Path, pattern = "^key_[0-9a-f]{32}$", description = "Id of the key")), request_body = Rotate,
    responses((status = 201, description = "The key and its new secret", body = Shown),
              (status = 403, description = "You do not hold what the role holds")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(id): Path<KeyId>,
    once: Once,
    Json(input): Json<Rotate>,
) -> Result<Kept, Problem> {
    let tenant = who.tenant_in_force()?;
    let permit = who.check::<perm::api_key::Rotate>(&app, Target::Tenant(tenant))?;
    if input.overlap_seconds > LONGEST {
        return Err(super::refused("/overlap_seconds", &format!("is above {LONGEST}")));
    }
    let now = app.ambient.now();
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let mut key = store::lock(&mut tx, id, now).await?.ok_or_else(not_found)?;
    may_give(&mut tx, &key.role, permit.caller().tenant_wide()).await?;
    let secret = api_key::ApiKey::generate(&app.ambient, id);
    let overlap = Duration::seconds(i64::from(input.overlap_seconds));
    key.previous = (overlap > Duration::ZERO).then(|| (key.verifier, now + overlap));
    key.verifier = secret.verifier();
    key.rotated_at = Some(now);
    store::rotate(&mut tx, &key).await?;
    let until = key.previous.as_ref().map(|(_, until)| until.unix_timestamp());
    let entry = who.entry(&app, tenant, "api_key.rotate", ("api-key", id));
    let entry = entry.after(json!({ "name": key.name, "previous_secret_until": until }));
    let told = told(&app, &mut tx, vec![key]).await?.pop().ok_or_else(not_found)?;
    audit::record(&mut tx, &entry).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    let shown = Shown {
        key: told,
        secret: secret.text().expose_secret().to_owned(),
    };
    let kept = once.commit(tx, id, (StatusCode::CREATED, Json(shown))).await?;
    passports::nudge(&app);
    Ok(kept)
}
