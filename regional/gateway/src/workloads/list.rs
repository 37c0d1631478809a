//! `GET /v1/workloads`.
use super::{Workload, store};
use crate::{app::App, gate::UserCaller, paging};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_http::{Json, List, Page, PageQuery, Problem};
use exarch_common_pg::TenantTx;

/// List the workloads that you may see, newest first, with the agents they are assigned to.
#[utoipa::path(get, path = "/v1/workloads", tag = "workloads", params(PageQuery, paging::OfCluster),
    responses((status = 200, body = Page<Workload>)))]
pub(super) async fn list_workloads(
    State(app): State<App>,
    caller: UserCaller,
    List { page, filter }: List<paging::OfCluster>,
) -> Result<Json<Page<Workload>>, Problem> {
    let permit = caller.check::<perm::workload::List>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let workloads = store::page(&mut tx, filter, paging::Window::of(&page)).await?;
    tx.commit().await?;
    Ok(Json(paging::page(workloads, &page, |workload| workload.id.uuid())))
}
