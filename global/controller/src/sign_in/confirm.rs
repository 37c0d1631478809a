//! Asking again for what somebody signed in with, before they change it: a session alone, which may lie open on a table, is not
//! enough for that.
use super::{counting, store};
use crate::{
    app::App,
    gate::{Origin, unauthenticated},
    second_factor::{self, Given},
};
use exarch_common_base::{SecretString, UserId};
use exarch_common_crypto::password::Verdict;
use exarch_common_http::Problem;
use exarch_common_pg::SystemTx;

async fn account(app: &App, user: UserId) -> Result<store::Account, Problem> {
    let mut tx = SystemTx::begin(&app.app_pool, "confirm").await?;
    let account = store::account(tx.conn(), None, Some(user), app.ambient.now()).await?;
    tx.rollback().await?;
    account.filter(|account| account.active).ok_or_else(unauthenticated)
}

/// The password of somebody signed in, and a code where they have an app. Failures count as those of a sign-in.
///
/// # Errors
/// 401 `not-confirmed`, 429.
pub async fn confirm(
    app: &App,
    origin: &Origin,
    user: UserId,
    password: SecretString,
    code: Option<&SecretString>,
) -> Result<(), Problem> {
    let account = account(app, user).await?;
    app.signing_in.may_try(&account.email_index)?;
    let verdict = app.signing_in.verify(account.password_hash.clone(), password).await?;
    let right = matches!(verdict, Verdict::Right | Verdict::RightButOutdated);
    let code = match (account.second_factor, code) {
        (false, _) => None,
        (true, Some(code)) => Some(Given::read(code)),
        (true, None) => return Err(code_missing()),
    };
    settle(app, origin, &account, right, code).await
}

/// A code of somebody signed in.
///
/// # Errors
/// As [`confirm`].
pub async fn confirm_code(app: &App, origin: &Origin, user: UserId, code: &SecretString) -> Result<(), Problem> {
    let account = account(app, user).await?;
    settle(app, origin, &account, true, Some(Given::read(code))).await
}

async fn settle(
    app: &App,
    origin: &Origin,
    account: &store::Account,
    right: bool,
    code: Option<Given>,
) -> Result<(), Problem> {
    app.signing_in.may_try_code(account.id)?;
    let mut tx = SystemTx::begin(&app.app_pool, "confirm").await?;
    let locked = counting::is_locked(app, &mut tx, account).await?;
    let good = match &code {
        Some(code) if right && !locked => second_factor::check(app, tx.conn(), account.id, code).await?,
        _ => right && !locked,
    };
    if good {
        counting::forgive(&mut tx, account).await?;
        return Ok(tx.commit().await?);
    }
    tx.rollback().await?;
    counting::failed(app, origin, account).await?;
    Err(Problem::unauthorized("not-confirmed").detail("The password or the code is not right: nothing was changed."))
}

fn code_missing() -> Problem {
    Problem::unprocessable("code-missing")
        .detail("Your account has a second factor: give a code of it too.")
        .error("/totp", "is missing")
}
