//! `GET /v1/resources`.
use super::{Resource, store};
use crate::{app::App, gate::UserCaller, paging};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_http::{Json, List, Page, PageQuery, Problem};
use exarch_common_pg::TenantTx;

/// List the resources that you may see, newest first.
#[utoipa::path(get, path = "/v1/resources", tag = "resources", params(PageQuery, paging::OfCluster),
    responses((status = 200, body = Page<Resource>)))]
pub(super) async fn list_resources(
    State(app): State<App>,
    caller: UserCaller,
    List { page, filter }: List<paging::OfCluster>,
) -> Result<Json<Page<Resource>>, Problem> {
    let permit = caller.check::<perm::resource::List>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let resources = store::page(&mut tx, filter, paging::Window::of(&page)).await?;
    tx.commit().await?;
    Ok(Json(paging::page(resources, &page, |resource| resource.id.uuid())))
}
