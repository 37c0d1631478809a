//! Further people of the provider, on the server itself. What takes two people (an emergency access) needs a second one.
use super::store;
use crate::{
    app::App,
    audit, passports, sessions,
    sign_in::password::{self, Weak},
    users::{self, Email, NewUser},
};
use exarch_common_authz::Role;
use exarch_common_base::{SecretString, UserId};
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, OnConstraint, SystemTx};
use exarch_common_wire::audit::{Actor, Entry, PROVIDER};
use serde_json::json;

/// Why nobody was added.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// Nobody of that address, and no password for an account.
    #[error("nobody signs in with this address yet: give a password for the account to be made, by --password-stdin")]
    Unknown,
    /// There is an account.
    #[error("this person has an account and a password of their own: leave --password-stdin out")]
    HasAccount,
    /// It was done.
    #[error("this person has the role already")]
    Already,
    /// The password is not accepted.
    #[error("the password {0}; choose another one")]
    Password(#[from] Weak),
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

/// Gives `role`, one over the federation, to the person with this address, whose account is made where there is none. The
/// person's sessions end: the next sign-in asks for a second factor.
///
/// # Errors
/// [`StaffError`]; nothing was changed then.
pub async fn add_staff(
    app: &App,
    email: Email,
    role: Role,
    password: Option<SecretString>,
) -> Result<UserId, StaffError> {
    let now = app.ambient.now();
    let new = match password {
        Some(password) => {
            password::check(&password, email.as_str(), password::MIN_CHARACTERS)?;
            let name = email.as_str().split('@').next().unwrap_or("staff").to_owned();
            Some(NewUser::with_password(app, email.clone(), name, password).await?)
        }
        None => None,
    };
    let mut tx = SystemTx::begin(&app.app_pool, "add-staff").await?;
    let known = users::find_by_email(app, tx.conn(), &email).await?;
    let user = match (known, new) {
        (Some(known), None) => known.id,
        (None, Some(new)) => users::create(app, tx.conn(), new).await?.user.id,
        (Some(_), Some(_)) => return Err(StaffError::HasAccount),
        (None, None) => return Err(StaffError::Unknown),
    };
    let by = "add-staff";
    store::bind(&mut tx, app.ambient.uuid(), user, role, by, now)
        .await
        .on_constraint("staff_binding_key", || StaffError::Already)?;
    sessions::end_all(app, &mut tx, user, "became staff").await?;
    let entry = Entry::new(&app.ambient, PROVIDER, Actor::system(by), "staff.create", "user", user);
    audit::record(&mut tx, &entry.after(json!({ "role": role }))).await?;
    passports::touch_common(app, &mut tx).await?;
    tx.commit().await?;
    Ok(user)
}
