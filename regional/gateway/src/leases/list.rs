//! `GET /v1/leases` and `GET /v1/leases/{id}`.
use super::{
    observe::Version,
    shown::{LeaseFilter, LeaseOut},
    store,
};
use crate::{
    app::App,
    gate::{UserCaller, nothing_here},
    paging::{self, Window},
};
use axum::{extract::State, http::HeaderMap};
use exarch_common_authz::{Target, perm};
use exarch_common_base::LeaseId;
use exarch_common_http::{Json, List, Page, PageQuery, Path, Problem, sse::wants_events};
use exarch_common_pg::TenantTx;
use std::time::Duration;

/// List leases, newest first, those that have ended too. A stream of them leaves `remaining_ms` out: it would change all the time.
#[utoipa::path(get, path = "/v1/leases", tag = "leases", params(PageQuery, LeaseFilter),
    responses((status = 200, body = Page<LeaseOut>)))]
pub(super) async fn list_leases(
    State(app): State<App>,
    caller: UserCaller,
    headers: HeaderMap,
    List { page, filter }: List<LeaseFilter>,
) -> Result<Json<Page<LeaseOut>>, Problem> {
    let permit = caller.check::<perm::lease::List>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let leases = store::page(&mut tx, &filter, Window::of(&page)).await?;
    tx.commit().await?;
    let leases = match wants_events(&headers) {
        true => leases,
        false => leases.into_iter().map(|lease| seen_here(&app, lease)).collect(),
    };
    Ok(Json(paging::page(leases, &page, |lease| lease.id.uuid())))
}

/// Show a lease.
#[utoipa::path(get, path = "/v1/leases/{id}", tag = "leases", params(("id" = String, Path, pattern = "^lse_[0-9a-f]{32}$")),
    responses((status = 200, body = LeaseOut)))]
pub(super) async fn get_lease(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<LeaseId>,
) -> Result<Json<LeaseOut>, Problem> {
    let permit = caller.check::<perm::lease::Read>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let lease = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    tx.commit().await?;
    Ok(Json(seen_here(&app, lease)))
}

/// With the time that is left as this gateway sees it; looking starts no observation.
fn seen_here(app: &App, lease: LeaseOut) -> LeaseOut {
    let version = Version {
        fence: lease.fence,
        seq: lease.seq,
        ttl: Duration::from_millis(lease.ttl_ms),
    };
    let left = app.leases.seen().left(lease.resource_id, version, app.ambient.boot());
    LeaseOut {
        remaining_ms: lease.state.is_current().then_some(left.as_millis() as u64),
        ..lease
    }
}
