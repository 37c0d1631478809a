//! The federation listener: how regions join, call and are called.
//!
//! One TLS 1.3 listener, three protocols. `exarch-join/1` completes without a certificate and answers joining alone.
//! `exarch-up/1` carries the gateways' calls: HTTP/2, and every request shows a service token that names the same region
//! as the connection's certificate. On `exarch-down/1` the roles swap after the handshake: the gateway serves, and the
//! connection waits in [`Tunnels`] until this side has something to ask or to push.
//!
//! A certificate that expired less than 90 days ago still comes as far as `exarch-up/1`, where it can be renewed and nothing
//! else: certificates must outlive outages.
//!
//! What a token is refused for is counted and never told: the caller hears one and the same 401. Every answer is signed,
//! and carries the number of the request that it answers.
mod agent_ca;
mod answers;
mod background;
mod certificate;
pub mod down;
mod gate;
mod join;
mod listener;
mod peer;
mod renew;
mod requests;
mod retire;
mod routes;
pub(crate) mod secrets;
mod seen;
mod service_secret;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod tunnels;

pub use background::background;
pub use down::Answer;
pub use gate::PeerGate;
pub use listener::{bind, serve};
pub use peer::{PeerCaller, read};
pub use requests::{CHANNEL as REQUESTS, reachable};
use retire::RetireSecrets;
pub use routes::{join_router, peer_router};
pub use store::spend;
use sweep::SweepSpent;
pub use tunnels::{Tunnel, Tunnels};

use crate::health::Probing;
use exarch_common_base::RegionId;
use exarch_common_pg::DbError;
use exarch_common_runtime::Nudge;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Ends everything by which a region's gateway may call and be called; for a region that is removed.
///
/// # Errors
/// The database.
pub async fn forget(conn: &mut PgConnection, region: RegionId, now: OffsetDateTime) -> Result<(), DbError> {
    store::forget(conn, region, now).await
}

/// What the listener, the probes and the pushes of one process share. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Federation {
    /// The connections on which regions can be called.
    pub tunnels: Tunnels,
    /// Regions with a probe under way.
    pub probing: Probing,
    /// Wakes the pushes of passports.
    pub pushes: Nudge,
    pub(crate) seen: std::sync::Arc<seen::Seen>,
    pub(crate) joins: std::sync::Arc<join::Limit>,
}
