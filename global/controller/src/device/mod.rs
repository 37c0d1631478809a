//! Signing in a program that has no browser (RFC 8628): it shows a code, a person who is signed in types or confirms it on the page
//! `/device` and sees who asks, and the program gets a session of its own. The person's sign-in stands in its tokens: methods,
//! time, and the end.
mod answer;
mod ask;
mod grant;
mod store;
mod token;

use crate::app::App;
use exarch_common_http::Api;
use exarch_common_pg::{DbError, SystemTx};
use time::{Duration, OffsetDateTime};

/// Removes grants that are long over; with `exarch_sweep`'s rights.
///
/// # Errors
/// The database.
pub async fn sweep(tx: &mut SystemTx, now: OffsetDateTime) -> Result<u64, DbError> {
    store::sweep(tx, now - Duration::HOUR).await
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    let api = ask::routes(api);
    let api = token::routes(api);
    answer::routes(api)
}
