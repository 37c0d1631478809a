//! Failures are counted, whichever factor failed; the tenth within ten minutes locks, which is audited and told by one mail.
use super::{attempts::Attempts, store};
use crate::{
    app::App,
    audit,
    gate::Origin,
    mail::{self, Letter},
};
use exarch_common_base::UserId;
use exarch_common_http::Problem;
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::{Actor, Outcome, PROVIDER};
use serde_json::json;

/// Stores what is remembered of an address; `locked` says that this failure locked it. The caller commits.
pub async fn save(
    app: &App,
    origin: &Origin,
    tx: &mut SystemTx,
    index: &[u8; 32],
    known: Option<UserId>,
    attempts: &Attempts,
    locked: bool,
) -> Result<(), Problem> {
    store::save_attempts(tx.conn(), index, attempts).await?;
    if let (true, Some(user)) = (locked, known) {
        let until = attempts.locked_until.map(|until| until.unix_timestamp());
        let entry = origin
            .entry(app, PROVIDER, Actor::system("sign-in"), "user.lock", ("user", user))
            .after(json!({ "locked_until": until }))
            .ended(Outcome::Denied, "ten sign-ins failed within ten minutes");
        audit::record(tx, &entry).await?;
        if let Some(until) = attempts.locked_until {
            mail::post(app, tx.conn(), &Letter::Locked { user, until }).await?;
            // it looks once more within seconds, should this transaction not be over by then
            mail::nudge(app);
        }
    }
    Ok(())
}

/// Counts a failure of somebody who is known.
///
/// # Errors
/// The database.
pub async fn failed(app: &App, origin: &Origin, account: &store::Account) -> Result<(), Problem> {
    let now = app.ambient.now();
    let mut tx = SystemTx::begin(&app.app_pool, "sign-in-failed").await?;
    let attempts = store::lock_attempts(tx.conn(), &account.email_index, now).await?;
    let (attempts, locked) = attempts.failed(now);
    save(
        app,
        origin,
        &mut tx,
        &account.email_index,
        Some(account.id),
        &attempts,
        locked,
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Whether the account is locked, waiting for others who try it at this moment.
///
/// # Errors
/// The database.
pub async fn is_locked(app: &App, tx: &mut SystemTx, account: &store::Account) -> Result<bool, Problem> {
    let now = app.ambient.now();
    Ok(store::lock_attempts(tx.conn(), &account.email_index, now)
        .await?
        .is_locked(now))
}

/// Forgets the failures of somebody who has got in.
///
/// # Errors
/// The database.
pub async fn forgive(tx: &mut SystemTx, account: &store::Account) -> Result<(), Problem> {
    Ok(store::save_attempts(tx.conn(), &account.email_index, &Attempts::default()).await?)
}
