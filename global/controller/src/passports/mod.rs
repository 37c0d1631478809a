//! Passports: what each region must know from the centre to govern alone, signed, versioned and delivered.
//!
//! Whoever changes something that a region must know calls [`touch_tenant`] or [`touch_common`] last in the same
//! transaction: the sections concerned are built anew, the region's version rises under its row's lock, and the signed
//! manifest is stored with them. So there is never a version with two contents, and never a change without its version.
//! After the commit [`nudge`] wakes the pushes; what a push misses, the next one or the region's own poll repairs.
mod acknowledge;
mod deliver;
mod expire;
mod poll;
mod push;
mod routes;
mod sections;
mod store;
#[cfg(test)]
mod tests;
mod touch;

pub use expire::{EndByTime, touch_due, touch_later};
pub use push::{Pushes, wake};
pub use routes::peer_routes;
pub use store::Standing;
pub use touch::{TouchError, found, touch_common, touch_tenant};

use crate::app::App;
use exarch_common_base::{RegionId, TenantId};
use exarch_common_pg::DbError;
use exarch_common_wire::user_token::Version;
use sqlx::PgConnection;

/// On which replicas tell each other that a passport has changed.
pub const CHANNEL: &str = "gc_passport";

/// Wakes the pushes: call it after the commit.
pub fn nudge(app: &App) {
    app.federation.pushes.now();
}

/// The version of a tenant's section in a region, for the tokens that name it; none where the region does not know the
/// tenant.
///
/// # Errors
/// The database.
pub async fn section_version(
    conn: &mut PgConnection,
    region: RegionId,
    tenant: TenantId,
) -> Result<Option<Version>, DbError> {
    store::section_version(conn, region, &exarch_common_wire::passport::tenant_section(tenant)).await
}

/// How far regions have come with their passports.
///
/// # Errors
/// The database.
pub async fn standings(conn: &mut PgConnection, regions: &[RegionId]) -> Result<Vec<Standing>, DbError> {
    store::standings(conn, regions).await
}

/// How many tenants are entitled to a region, now or later. Until the end of the transaction none is added.
///
/// # Errors
/// The database.
pub async fn entitled_tenants(conn: &mut PgConnection, region: RegionId) -> Result<i64, DbError> {
    store::lock(conn, &[region]).await?;
    store::tenants_of(conn, region).await
}
