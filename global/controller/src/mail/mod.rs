//! Mail: written down in the transaction that asks for it, sent from there, by SMTP or, in development, into a directory.
//!
//! What is asked for by an address without a session (a new password) does the same work whether or not somebody has
//! the address; who it is for is looked up when it is sent. Tokens in mail are 32 random bytes, stored hashed, good once, for a day.
mod letter;
mod limit;
mod outbound;
mod send;
mod store;

pub use letter::Letter;
pub use limit::may_ask;
pub use outbound::Outbound;
pub use send::Mailer;
pub use store::{expire_resets, find_reset, spend_reset};

use crate::app::App;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use exarch_common_base::{Ambient, SecretString};
use exarch_common_crypto::seal::Place;
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, SystemTx};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

/// How long a token is good, and how long a mail is tried.
pub const LIFE: Duration = Duration::DAY;

/// A new token for a mail.
pub fn token(ambient: &Ambient) -> SecretString {
    URL_SAFE_NO_PAD.encode(ambient.bytes::<32>()).into()
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: "gc.mail",
        column: "sealed",
        row,
    }
}

/// Whether this installation sends mail.
///
/// # Errors
/// 409 `no-mail`: the same for whoever asks. No wait helps, so it is no 503.
pub fn is_on(app: &App) -> Result<(), Problem> {
    if app.outbound.load().is_on() {
        return Ok(());
    }
    Err(Problem::conflict("no-mail").detail("This installation sends no mail: ask your administrator instead."))
}

/// Writes a letter down; it is sent once the caller commits. Call [`nudge`] then. Without mail nothing is written.
///
/// # Errors
/// The database.
pub async fn post(app: &App, conn: &mut PgConnection, letter: &Letter) -> Result<(), Problem> {
    if !app.outbound.load().is_on() {
        return Ok(());
    }
    let id = app.ambient.uuid();
    let row = id.to_string();
    let plain = serde_json::to_vec(letter).map_err(|e| Problem::internal(&e))?;
    let sealed = app.sealer.seal(&app.ambient, place(&row), &plain);
    Ok(store::insert(conn, id, &sealed, app.ambient.now()).await?)
}

/// Wakes who sends.
pub fn nudge(app: &App) {
    app.mail_nudge.now();
}

/// Removes tokens and limits that are over; with `exarch_sweep`'s rights.
///
/// # Errors
/// The database.
pub async fn sweep(tx: &mut SystemTx, now: OffsetDateTime) -> Result<u64, DbError> {
    store::sweep(tx, now - Duration::DAY).await
}
