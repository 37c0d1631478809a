//! `GET /v1/clusters`.
use super::{Cluster, store};
use crate::{app::App, gate::UserCaller, paging};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_http::{Json, List, Page, PageQuery, Problem};

/// List the clusters of the tenant that you may see, newest first.
#[utoipa::path(get, path = "/v1/clusters", tag = "clusters", params(PageQuery),
    responses((status = 200, body = Page<Cluster>)))]
pub(super) async fn list_clusters(
    State(app): State<App>,
    caller: UserCaller,
    List { page, .. }: List,
) -> Result<Json<Page<Cluster>>, Problem> {
    let permit = caller.check::<perm::cluster::List>(Target::Clusters(caller.tenant_id()))?;
    let clusters = store::page(&app.app_pool, &caller.within(&permit), paging::Window::of(&page)).await?;
    Ok(Json(paging::page(clusters, &page, |cluster| cluster.id.uuid())))
}
