//! `GET /v1/tenants` and `GET /v1/tenants/{id}`: the register, for staff.
use super::{Tenant, TenantKey, store};
use crate::{
    app::App,
    gate::{Who, needs},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::page::split;
use exarch_common_http::{Api, Json, List, Page, PageQuery, Path, Problem, Text, Versioned};
use exarch_common_pg::SystemTx;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(needs::<perm::tenant::List>(), &["gc_tenant"], routes!(list))
        .route(needs::<perm::tenant::Read>(), routes!(read))
}

/// Which tenants to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// A part of the slug or of the name, in capitals or not.
    search: Option<Text<100>>,
    /// Only those that stand there; `suspended` for whatever cause.
    #[param(inline)]
    state: Option<Standing>,
}

/// Where a tenant stands, without its cause.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Standing {
    Active,
    Suspended,
    Deleting,
    Deleted,
}

impl Standing {
    /// How its states begin.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }
}

/// Tenants, newest first.
#[utoipa::path(get, path = "/v1/tenants", operation_id = "listTenants", tag = "tenants", params(PageQuery, Filter),
    responses((status = 200, description = "Tenants", body = Page<Tenant>)))]
async fn list(State(app): State<App>, who: Who, list: List<Filter>) -> Result<Json<Page<Tenant>>, Problem> {
    let _permit = who.check::<perm::tenant::List>(&app, Target::System)?;
    let mut tx = SystemTx::begin(&app.app_pool, "list-tenants").await?;
    let after = list.page.after.map(|token| token.0);
    let wanted = store::Wanted {
        search: list.filter.search.as_deref(),
        standing: list.filter.state.map(Standing::as_str),
    };
    let rows = store::page(tx.conn(), &wanted, after, i64::from(list.page.limit) + 1).await?;
    tx.rollback().await?;
    let (rows, next) = split(rows, list.page.limit, |row| row.id.uuid());
    Ok(Json(Page::new(rows, next)))
}

/// One tenant.
#[utoipa::path(get, path = "/v1/tenants/{id}", operation_id = "readTenant", tag = "tenants",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug")),
    responses((status = 200, description = "The tenant", body = Tenant, headers(("ETag" = String, description = "Its version")))))]
async fn read(State(app): State<App>, who: Who, Path(key): Path<TenantKey>) -> Result<Versioned<Tenant>, Problem> {
    let _permit = who.check::<perm::tenant::Read>(&app, Target::System)?;
    let tenant = key.registered(&app).await?;
    Ok(Versioned {
        version: tenant.version,
        body: tenant,
    })
}
