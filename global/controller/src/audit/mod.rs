//! What happened, in chains: one for each tenant and one for the provider. A row is written in the transaction of its
//! change, last but for the passports; if it cannot be written, the change does not happen.
mod list;
mod reason;
mod refusals;
mod store;

pub use reason::Reason;
pub use refusals::{Refusals, write_refusals};
pub use store::Recording;

use crate::app::App;
use exarch_common_http::Api;
use exarch_common_pg::DbError;
use exarch_common_wire::audit::Entry;

/// Adds `entry` to the chain of its tenant, whichever tenant the transaction is of: a change by the provider belongs into
/// the provider's chain and, where it concerns a tenant, into the tenant's as well.
///
/// # Errors
/// [`DbError`]; the transaction is of no use after it.
pub async fn record(tx: &mut impl Recording, entry: &Entry) -> Result<(), DbError> {
    let (conn, in_force) = tx.recording();
    let foreign = in_force != Some(entry.tenant);
    if foreign {
        store::enter(conn, Some(entry.tenant)).await?;
    }
    let head = store::lock_head(conn, entry.tenant.uuid()).await?;
    store::append(conn, entry, &head, &entry.chain(&head)).await?;
    if foreign {
        store::enter(conn, in_force).await?;
    }
    Ok(())
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    list::routes(api)
}
