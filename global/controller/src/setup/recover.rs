//! For whoever has lost the app and the recovery codes, on the server itself: over the network there is no way around a second
//! factor.
use crate::{
    app::App,
    audit, passports, second_factor, sessions,
    users::{self, Email},
};
use exarch_common_base::UserId;
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::audit::{Actor, Entry, PROVIDER};

/// Why nobody lost a second factor.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Nobody of that address.
    #[error("nobody signs in with this address")]
    Unknown,
    /// There is none to take away.
    #[error("this person has no second factor; the next sign-in asks for one where it is needed")]
    None,
    /// The person's record.
    #[error(transparent)]
    User(#[from] Problem),
    /// The passports of the regions.
    #[error(transparent)]
    Passports(#[from] passports::TouchError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Takes away a person's second factor and ends all their sessions; staff enrol anew at the next sign-in. Regions learn of it at
/// their next poll.
///
/// # Errors
/// [`RecoverError`]; nothing was changed then.
pub async fn reset_second_factor(app: &App, email: &Email) -> Result<UserId, RecoverError> {
    let mut tx = SystemTx::begin(&app.app_pool, "reset-second-factor").await?;
    let user = users::find_by_email(app, tx.conn(), email).await?;
    let user = user.ok_or(RecoverError::Unknown)?.id;
    if !second_factor::reset(tx.conn(), user).await? {
        return Err(RecoverError::None);
    }
    sessions::end_all(app, &mut tx, user, "second factor reset").await?;
    let actor = Actor::system("reset-second-factor");
    let entry = Entry::new(&app.ambient, PROVIDER, actor, "user.reset_second_factor", "user", user);
    audit::record(&mut tx, &entry).await?;
    passports::touch_common(app, &mut tx).await?;
    tx.commit().await?;
    Ok(user)
}
