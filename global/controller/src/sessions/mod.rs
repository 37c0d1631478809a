//! Sessions: what a sign-in leaves behind, and what proves it later.
//!
//! A browser has an opaque cookie, everybody else a pair of an access token and a refresh token. Both name a session; the
//! session names the tenant in force. Switching the tenant ends the session and begins another, so that whatever was minted
//! for the old tenant, here and in the regions, ends with it.
mod authenticate;
mod cookie;
mod family;
mod list;
mod mint;
mod refresh;
mod revoke;
mod sign_out;
mod store;
mod sweep;
mod token;

pub use authenticate::authenticate;
pub use cookie::{clearing, with_cookie};
pub use mint::{AccessToken, Displaced, Pair, Started, access_token, start};
pub use sweep::Swept;

use crate::{app::App, second_factor};
use exarch_common_authz::Role;
use exarch_common_base::{BreakGlassId, SessionId, TenantId, UserId};
use exarch_common_http::Api;
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use time::OffsetDateTime;

/// How a session is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// By a cookie.
    Cookie,
    /// By tokens.
    Token,
}

impl SessionKind {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Token => "token",
        }
    }
}

/// A sign-in that lasts.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id; in tokens `sid`.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// The tenant in force.
    pub tenant: Option<TenantId>,
    /// The break-glass by which it is in that tenant.
    pub break_glass: Option<BreakGlassId>,
    /// How it is proved.
    pub kind: SessionKind,
    /// How the person signed in (RFC 8176).
    pub amr: Vec<String>,
    /// When.
    pub auth_time: OffsetDateTime,
    /// When it ends at the latest.
    pub expires_at: OffsetDateTime,
}

/// How long a session of somebody with these roles over the federation lasts.
pub fn life(app: &App, staff: &[Role]) -> std::time::Duration {
    let lives = &app.settings.sessions;
    if staff.is_empty() { lives.user } else { lives.staff }
}

/// Lets nobody else begin a session of this person until the end of the transaction: before its first session is ended, so that two
/// never wait for each other.
///
/// # Errors
/// The database.
pub async fn lock_person(tx: &mut SystemTx, user: UserId) -> Result<(), DbError> {
    store::lock_person(tx.conn(), user).await
}

/// Ends a session; the caller touches the common sections of passports. False when it had ended before.
///
/// # Errors
/// The database.
pub async fn end(app: &App, tx: &mut SystemTx, session: SessionId, reason: &str) -> Result<bool, DbError> {
    store::end(tx.conn(), session, reason, app.ambient.now()).await
}

/// Ends the sessions that a person has in the transaction's tenant; the regions learn of it by the tenant's section.
///
/// # Errors
/// The database.
pub async fn end_in_tenant(app: &App, tx: &mut TenantTx, user: UserId, reason: &str) -> Result<u64, DbError> {
    let tenant = tx.tenant();
    store::end_in_tenant(tx.conn(), user, tenant, reason, app.ambient.now()).await
}

/// Ends the sessions that are in the transaction's tenant by a break-glass; the regions learn of it by the tenant's section.
///
/// # Errors
/// The database.
pub async fn end_of_break_glass(app: &App, tx: &mut TenantTx, grant: BreakGlassId) -> Result<u64, DbError> {
    let tenant = tx.tenant();
    store::end_of_break_glass(tx.conn(), tenant, grant, app.ambient.now()).await
}

/// Ends the sessions in a tenant that were begun with one factor; the caller touches the common sections of passports. How many
/// there were.
///
/// # Errors
/// The database.
pub async fn end_single_factor(app: &App, tx: &mut SystemTx, tenant: TenantId) -> Result<u64, DbError> {
    store::end_single_factor(tx.conn(), tenant, second_factor::MFA, app.ambient.now()).await
}

/// Ends all sessions of a person but one; the caller touches the common sections of passports. How many there were.
///
/// # Errors
/// The database.
pub async fn end_others(
    app: &App,
    tx: &mut SystemTx,
    user: UserId,
    but: SessionId,
    reason: &str,
) -> Result<u64, DbError> {
    store::end_of_user(tx.conn(), user, None, None, Some(but), reason, app.ambient.now()).await
}

/// Ends all sessions of a person; the caller touches the common sections of passports. How many there were.
///
/// # Errors
/// The database.
pub async fn end_all(app: &App, tx: &mut SystemTx, user: UserId, reason: &str) -> Result<u64, DbError> {
    store::end_of_user(tx.conn(), user, None, None, None, reason, app.ambient.now()).await
}

/// A person's roles over the federation now.
///
/// # Errors
/// The database.
pub async fn staff_roles(tx: &mut SystemTx, user: UserId, now: OffsetDateTime) -> Result<Vec<Role>, DbError> {
    store::staff_roles(tx.conn(), user, now).await
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    let api = refresh::routes(api);
    let api = sign_out::routes(api);
    let api = list::routes(api);
    let api = revoke::routes(api);
    token::routes(api)
}
