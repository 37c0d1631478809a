//! `GET /v1/bindings`.
use super::{Binding, store};
use crate::{
    app::App,
    gate::{UserCaller, unauthenticated},
    paging,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{ClusterId, UserId};
use exarch_common_http::{Json, List, Page, PageQuery, Problem};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which bindings.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Those in this cluster alone.
    #[param(value_type = Option<String>, pattern = "^clu_[0-9a-f]{32}$")]
    cluster_id: Option<ClusterId>,
    /// Those of this person alone.
    #[param(value_type = Option<String>, pattern = "^usr_[0-9a-f]{32}$")]
    user_id: Option<UserId>,
}

/// Who has which role in which of the tenant's clusters in this region, newest first.
#[utoipa::path(get, path = "/v1/bindings", tag = "bindings", params(PageQuery, Filter),
    responses((status = 200, body = Page<Binding>)))]
pub(super) async fn list_bindings(
    State(app): State<App>,
    caller: UserCaller,
    List { page, filter }: List<Filter>,
) -> Result<Json<Page<Binding>>, Problem> {
    let permit = caller.check::<perm::role::List>(Target::Tenant(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let window = paging::Window::of(&page);
    let rows = store::page(&mut tx, filter.cluster_id, filter.user_id, window).await?;
    tx.commit().await?;
    let index = app.directory.current();
    let tenant = index.as_ref().and_then(|index| index.tenant(caller.tenant_id()));
    let (tenant, now) = (tenant.ok_or_else(unauthenticated)?, app.ambient.now());
    let rows = paging::page(rows, &page, |row| row.id.uuid());
    Ok(Json(rows.map(|row| row.out(tenant, now))))
}
