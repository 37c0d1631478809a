//! `GET /v1/hosts`.
use super::{Host, store};
use crate::{app::App, gate::UserCaller, paging};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_http::{Json, List, Page, PageQuery, Problem};
use exarch_common_pg::TenantTx;

/// List the hosts that you may see, newest first.
#[utoipa::path(get, path = "/v1/hosts", tag = "hosts", params(PageQuery, paging::OfCluster),
    responses((status = 200, body = Page<Host>)))]
pub(super) async fn list_hosts(
    State(app): State<App>,
    caller: UserCaller,
    List { page, filter }: List<paging::OfCluster>,
) -> Result<Json<Page<Host>>, Problem> {
    let permit = caller.check::<perm::host::List>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let hosts = store::page(&mut tx, filter, paging::Window::of(&page)).await?;
    tx.commit().await?;
    Ok(Json(paging::page(hosts, &page, |host| host.id.uuid())))
}
