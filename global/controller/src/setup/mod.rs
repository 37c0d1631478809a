//! The first owner, once, on the server itself: no HTTP route makes one. And further people of the provider.
mod recover;
mod staff;
mod store;

pub use recover::{RecoverError, reset_second_factor};
pub use staff::{StaffError, add_staff};

use crate::{
    app::App,
    audit,
    sign_in::password::{self, Weak},
    users::{self, Email, NewUser},
};
use exarch_common_authz::Role;
use exarch_common_base::{SecretString, UserId};
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, OnConstraint, SystemTx};
use exarch_common_wire::audit::{Actor, Entry, PROVIDER};
use serde_json::json;

/// Why there is no first owner now.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It has been done.
    #[error("this installation has its first owner already; `exarch-global add-staff` adds further people")]
    Done,
    /// The password is not accepted.
    #[error("the password {0}; choose another one")]
    Password(#[from] Weak),
    /// The person could not be made.
    #[error(transparent)]
    User(#[from] Problem),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Makes the first owner, a system-admin with a password of their own.
///
/// # Errors
/// [`SetupError::Done`] the second time, whoever asks.
pub async fn first_owner(app: &App, email: Email, password: SecretString) -> Result<UserId, SetupError> {
    password::check(&password, email.as_str(), password::MIN_CHARACTERS)?;
    let name = email.as_str().split('@').next().unwrap_or("owner").to_owned();
    let new = NewUser::with_password(app, email, name, password).await?;
    let now = app.ambient.now();
    let mut tx = SystemTx::begin(&app.app_pool, "setup").await?;
    store::lock(&mut tx).await?;
    if store::is_done(&mut tx).await? {
        return Err(SetupError::Done);
    }
    let owner = users::create(app, tx.conn(), new).await?.user.id;
    store::mark(&mut tx, owner, now)
        .await
        .on_constraint("installation_pkey", || SetupError::Done)?;
    let by = "setup";
    store::bind(&mut tx, app.ambient.uuid(), owner, Role::SystemAdmin, by, now).await?;
    let entry = Entry::new(
        &app.ambient,
        PROVIDER,
        Actor::system(by),
        "installation.setup",
        "user",
        owner,
    );
    audit::record(&mut tx, &entry.after(json!({ "role": Role::SystemAdmin }))).await?;
    tx.commit().await?;
    Ok(owner)
}
