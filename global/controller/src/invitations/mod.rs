//! Invitations: who is asked by mail to come into a tenant.
//!
//! Whoever invites is told the same whether or not somebody has the address, so that no tenant learns who has an account
//! elsewhere. The mail holds a token, good once and for a day; who opens it and has no account makes one, with a password of
//! their own. An invitation is worth what its maker may give at the moment it is accepted, not when it was made.
mod accept;
mod again;
mod cancel;
mod invite;
mod list;
mod store;

pub use invite::{New, invite};

use crate::{
    app::App,
    mail,
    users::{self, UserBrief},
};
use exarch_common_base::{Ambient, ExposeSecret, InvitationId, SecretString, TenantId, UserId};
use exarch_common_crypto::{hash::sha256, seal::Place};
use exarch_common_http::{Api, Problem};
use exarch_common_pg::{DbError, SystemTx};
use serde::Serialize;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// An invitation that is over is remembered for so long, so that its maker sees what became of it.
const REMEMBERED: Duration = Duration::days(7);

/// An invitation that was neither accepted nor cancelled.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub struct InvitationOut {
    #[schema(value_type = String, pattern = "^inv_[0-9a-f]{32}$")]
    id: InvitationId,
    /// To whom it went.
    email: String,
    /// How the person will be shown, if they are new.
    display_name: String,
    /// Roles in the tenant.
    roles: Vec<String>,
    /// `pending`, or `expired`: invite again, or cancel.
    state: &'static str,
    /// Who invites; absent for somebody who is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_by: Option<UserBrief>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// An invitation as it is stored, its address opened.
#[derive(Clone, Debug)]
struct Invitation {
    id: InvitationId,
    email: String,
    display_name: String,
    roles: Vec<String>,
    invited_by: UserId,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

/// The address is sealed for its row in its tenant: moved to another one it does not open.
fn place(row: &str) -> Place<'_> {
    Place {
        table: "gc.invitation",
        column: "email_sealed",
        row,
    }
}

fn row(tenant: TenantId, id: InvitationId) -> String {
    format!("{tenant}/{id}")
}

impl Invitation {
    fn open(app: &App, tenant: TenantId, stored: store::Row) -> Result<Self, Problem> {
        let id = InvitationId::from(stored.id);
        let email = app.sealer.open(place(&row(tenant, id)), &stored.email_sealed);
        let email = email.map_err(|e| Problem::internal(&e))?;
        Ok(Self {
            id,
            email: String::from_utf8_lossy(&email).into_owned(),
            display_name: stored.display_name,
            roles: stored.roles,
            invited_by: stored.invited_by.into(),
            created_at: stored.created_at,
            expires_at: stored.expires_at,
        })
    }

    fn out(self, invited_by: Option<UserBrief>, now: OffsetDateTime) -> InvitationOut {
        InvitationOut {
            id: self.id,
            email: self.email,
            display_name: self.display_name,
            roles: self.roles,
            state: if now < self.expires_at { "pending" } else { "expired" },
            invited_by,
            created_at: self.created_at,
            expires_at: self.expires_at,
        }
    }
}

/// The token of a mail: which tenant's, and 32 random bytes. Stored is the hash of the whole.
struct Token {
    text: SecretString,
    hash: [u8; 32],
}

impl Token {
    fn new(ambient: &Ambient, tenant: TenantId) -> Self {
        Self::of(format!("{tenant}.{}", mail::token(ambient).expose_secret()).into())
    }

    fn of(text: SecretString) -> Self {
        let hash = sha256(text.expose_secret().as_bytes());
        Self { text, hash }
    }

    /// Where to look for it: a hint, believed only when the hash is found there.
    fn tenant(&self) -> Option<TenantId> {
        self.text.expose_secret().split_once('.')?.0.parse().ok()
    }
}

async fn brief(app: &App, conn: &mut PgConnection, user: UserId) -> Result<Option<UserBrief>, Problem> {
    users::find(app, conn, user).await
}

fn not_found() -> Problem {
    Problem::not_found("invitation-not-found")
        .detail("The tenant has no such invitation, or it was accepted or cancelled.")
}

/// Removes invitations that were over some days ago; with `exarch_sweep`'s rights.
///
/// # Errors
/// The database.
pub async fn sweep(tx: &mut SystemTx, now: OffsetDateTime) -> Result<u64, DbError> {
    store::sweep(tx, now - REMEMBERED).await
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    accept::routes(cancel::routes(again::routes(list::routes(api))))
}
