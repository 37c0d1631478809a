//! `GET /v1/api-keys`.
use super::{ApiKey, ApiKeyOut, store};
use crate::{
    app::App,
    entitlements::RegionName,
    gate::{Who, needs},
    regions, users,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{RegionId, page::split};
use exarch_common_http::{Api, Json, List, Page, PageQuery, Problem};
use exarch_common_pg::TenantTx;
use std::collections::BTreeMap;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        needs::<perm::api_key::List>(),
        &["gc_api_key", "gc_membership", "gc_user"],
        routes!(handler),
    )
}

/// The API keys of the tenant in force that were not revoked, newest first.
#[utoipa::path(get, path = "/v1/api-keys", operation_id = "listApiKeys", tag = "api-keys", params(PageQuery),
    responses((status = 200, description = "Keys", body = Page<ApiKeyOut>)))]
async fn handler(State(app): State<App>, who: Who, list: List) -> Result<Json<Page<ApiKeyOut>>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::api_key::List>(&app, Target::Tenant(tenant))?;
    let now = app.ambient.now();
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let after = list.page.after.map(|token| token.0);
    let rows = store::page(&mut tx, after, i64::from(list.page.limit) + 1, now).await?;
    let (rows, next) = split(rows, list.page.limit, |row| row.id.uuid());
    let items = told(&app, &mut tx, rows).await?;
    tx.rollback().await?;
    Ok(Json(Page::new(items, next)))
}

/// Keys with the names of their owners and regions.
///
/// # Errors
/// The database.
pub(super) async fn told(app: &App, tx: &mut TenantTx, keys: Vec<ApiKey>) -> Result<Vec<ApiKeyOut>, Problem> {
    let now = app.ambient.now();
    let people: Vec<_> = keys.iter().map(|key| key.owner.user).collect();
    let people = users::briefs(app, tx.conn(), &people).await?;
    let ids: Vec<RegionId> = keys.iter().filter_map(|key| key.region).collect();
    let names = regions::by_ids(tx.conn(), &ids).await?;
    let names: BTreeMap<_, _> = names
        .into_iter()
        .map(|r| (r.id, RegionName { id: r.id, slug: r.slug }))
        .collect();
    let told = keys.into_iter().filter_map(|key| {
        let user = people.get(&key.owner.user)?.clone();
        let region = key.region.and_then(|id| names.get(&id).cloned());
        Some(key.out(user, region, now))
    });
    Ok(told.collect())
}
