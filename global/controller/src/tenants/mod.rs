//! Tenants: the register of customers and where each stands in its life. Staff see the register; what is inside a tenant
//! only its members do.
mod create;
mod key;
mod life;
mod list;
mod settings;
mod store;
mod update;

pub use key::TenantKey;

use crate::app::App;
use exarch_common_authz::TenantState;
use exarch_common_base::{Slug, TenantId};
use exarch_common_http::{Api, Problem};
use exarch_common_pg::TenantTx;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A tenant in the register.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    #[schema(value_type = String, pattern = "^ten_[0-9a-f]{32}$")]
    pub id: TenantId,
    /// Its slug, never used again.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    pub slug: Slug,
    /// Its name.
    pub name: String,
    /// `active`, `suspended(billing)`, `suspended(incident)`, `suspended(hold)`, `deleting` or `deleted`.
    #[schema(value_type = String)]
    pub state: TenantState,
    /// Since when it stands there.
    #[serde(with = "time::serde::rfc3339")]
    pub state_since: OffsetDateTime,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Rises with each change.
    #[serde(skip)]
    pub version: u64,
}

/// The name of the transaction's tenant, as people know it.
///
/// # Errors
/// The database; there is no such tenant.
pub async fn name(tx: &mut TenantTx) -> Result<String, Problem> {
    let found = store::lock(tx).await?;
    found.map(|tenant| tenant.name).ok_or_else(key::not_found)
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    update::routes(create::routes(life::routes(list::routes(settings::routes(api)))))
}
