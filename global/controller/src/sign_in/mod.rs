//! Signing in: a password, then as many steps as are asked for, then a session.
//!
//! Unknown, wrong, locked and disabled are one answer that takes one time: the same queries run and a password is hashed in
//! each case. Between two steps the client holds a ticket, of which only the hash is stored.
mod answer;
mod attempts;
mod change;
mod confirm;
mod counting;
mod first;
mod hashing;
mod next;
pub mod password;
mod proceed;
mod reset;
mod store;

pub use answer::{Answer, SignedIn, TenantName, TenantRef, UserRef, signed_in};
pub use confirm::{confirm, confirm_code};
pub use hashing::SigningIn;

use crate::app::App;
use exarch_common_http::Api;
use exarch_common_pg::{DbError, SystemTx};
use time::{Duration, OffsetDateTime};

/// Removes tickets that ended and failures that no longer count; with `exarch_sweep`'s rights.
///
/// # Errors
/// The database.
pub async fn sweep(tx: &mut SystemTx, now: OffsetDateTime) -> Result<u64, DbError> {
    store::sweep(tx, now - Duration::HOUR, now - Duration::days(7)).await
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    change::routes(reset::routes(next::routes(first::routes(api))))
}
