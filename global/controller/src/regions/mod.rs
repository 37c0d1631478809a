//! The registry of regions: who may join, where each stands in its life, and how it is shown.
//!
//! A region is registered by staff, who receive a join token once. Its gateway comes with it (see `federation`), applies
//! its first passport, answers its first good probe, and is in service. A slug is never used again: rows are never deleted.
mod activate;
mod get;
pub mod join_token;
mod life;
mod list;
mod new_token;
mod region;
mod register;
mod routes;
mod shown;
mod store;
#[cfg(test)]
mod tests;
mod update;

pub use activate::activate_if_due;
pub use region::{LifeCycle, NoSuchStep, Region, UnknownLifeCycle};
pub use routes::routes;
pub use shown::{Shown, show};

use exarch_common_base::{RegionId, Slug};
use exarch_common_http::Problem;
use exarch_common_pg::DbError;
use sqlx::PgConnection;

/// The region of a slug, removed ones too.
///
/// # Errors
/// The database.
pub async fn by_slug(conn: &mut PgConnection, slug: &Slug) -> Result<Option<Region>, DbError> {
    store::by_slug(conn, slug).await
}

/// What a removed region is told, signed; nothing for one that is not removed.
///
/// # Errors
/// The database.
pub async fn tombstone(conn: &mut PgConnection, region: RegionId) -> Result<Option<Vec<u8>>, DbError> {
    store::tombstone(conn, region).await
}

/// The regions of some ids.
///
/// # Errors
/// The database.
pub async fn by_ids(conn: &mut PgConnection, ids: &[RegionId]) -> Result<Vec<Region>, DbError> {
    store::by_ids(conn, ids).await
}

/// 404: there is no region of this slug, or it is not the caller's to know of.
pub fn no_such() -> Problem {
    Problem::not_found("region-not-found").detail("There is no such region.")
}
