//! Second factors: codes of an authenticator app, and ten recovery codes for who has lost it.
//!
//! A secret that was given opens nothing until a code of it was seen. A code is good for its own step and the ones beside it,
//! and once. Whose role reaches over the federation does not get in without one.
mod codes;
mod enrol;
mod given;
mod read;
mod store;

pub use codes::RecoveryCodes;
pub(crate) use enrol::enrolled;
pub use enrol::{Enrolment, begin, finish};
pub use given::{Given, check};

use crate::{app::App, gate::Who, memberships};
use exarch_common_base::UserId;
use exarch_common_crypto::{seal::Place, totp::Secret};
use exarch_common_http::{Api, Problem};
use exarch_common_pg::{DbError, SystemTx};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Among the methods of a session that was begun with two factors (RFC 8176).
pub const MFA: &str = "mfa";

/// Whether these methods are two factors.
pub fn is_mfa(amr: &[String]) -> bool {
    amr.iter().any(|method| method == MFA)
}

/// The one answer for a code that is wrong, used, late or tried too often.
pub fn refused() -> Problem {
    metrics::counter!("exarch_second_factor_refused_total").increment(1);
    Problem::unauthorized("code-refused").detail("The code is not right or was used before: enter the one shown now.")
}

/// Whether a person's roles over the federation, or a tenant in which they have a place, ask for a second factor.
///
/// # Errors
/// The database.
pub async fn is_required(app: &App, who: &Who) -> Result<bool, DbError> {
    Ok(!who.staff_roles(app.ambient.now()).is_empty() || memberships::second_factor_required(app, who.user()).await?)
}

fn open(app: &App, id: Uuid, sealed: &[u8]) -> Result<Secret, Problem> {
    let row = id.to_string();
    let bytes = app
        .sealer
        .open(place(&row), sealed)
        .map_err(|e| Problem::internal(&e))?;
    Ok(Secret::from_bytes(&bytes))
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: "gc.totp",
        column: "secret_sealed",
        row,
    }
}

/// Takes away what a person has as a second factor; false when there was none.
///
/// # Errors
/// The database.
pub async fn reset(conn: &mut PgConnection, user: UserId) -> Result<bool, DbError> {
    store::delete_recovery_codes(conn, user).await?;
    store::delete_verified(conn, user).await
}

/// Removes enrolments that nobody finished and steps that are long over; with `exarch_sweep`'s rights.
///
/// # Errors
/// The database.
pub async fn sweep(tx: &mut SystemTx, now: OffsetDateTime) -> Result<u64, DbError> {
    store::sweep(tx, now - Duration::HOUR, now - Duration::HOUR).await
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    enrol::routes(read::routes(api))
}
