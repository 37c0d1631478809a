//! Health: every region is probed each 30 seconds, and what the last probes came to is one word.
//!
//! A probe is a challenge; only an answer that carries it in a service token counts. Probes spread over the period, run
//! side by side and never twice at a time for one region. A replica probes the regions whose tunnels it holds; of several
//! that hold one, the one that claims the region's row for a round. A region that nobody holds a tunnel of misses the round,
//! which the leader writes down.
pub mod judge;
pub mod machine;
mod partitions;
mod probe;
mod probes;
mod probing;
mod round;
mod routes;
mod store;
mod summary;
#[cfg(test)]
mod tests;

pub use machine::{Health, Outcome};
pub use partitions::KeepProbes;
pub use probe::probe_soon;
pub use probing::Probing;
pub use round::{cron, round};
pub use routes::routes;
pub use store::Present;

use exarch_common_base::RegionId;
use exarch_common_pg::DbError;
use sqlx::PgConnection;

/// How regions are, as of their last probes.
///
/// # Errors
/// The database.
pub async fn present(conn: &mut PgConnection, regions: &[RegionId]) -> Result<Vec<Present>, DbError> {
    store::present(conn, regions).await
}

/// The row of a region that was just registered.
///
/// # Errors
/// The database.
pub async fn found(conn: &mut PgConnection, region: RegionId) -> Result<(), DbError> {
    store::insert_health(conn, region).await
}
