//! People: who there is, by which address they sign in, how they are shown. A person belongs to no tenant; a tenant's people
//! are those with a membership in it.
mod create;
mod email;
mod list;
mod standing;
mod store;
mod update;

pub use create::{Created, NewUser, create, ensure};
pub use email::{Email, EmailError};

use crate::app::App;
use exarch_common_base::UserId;
use exarch_common_crypto::seal::Place;
use exarch_common_http::{Api, Problem};
use serde::Serialize;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A person as the members of a tenant see one another.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserBrief {
    /// The person's id.
    #[schema(value_type = String, pattern = "^usr_[0-9a-f]{32}$")]
    pub id: UserId,
    /// The address.
    pub email: String,
    /// How the person is shown.
    pub display_name: String,
    /// `active` or `disabled`.
    pub state: String,
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: "gc.user",
        column: "email_sealed",
        row,
    }
}

fn open(app: &App, row: store::UserRow) -> Result<UserBrief, Problem> {
    let id = UserId::from(row.id);
    let email = app.sealer.open(place(&id.to_string()), &row.email_sealed);
    let email = email.map_err(|e| Problem::internal(&e))?;
    Ok(UserBrief {
        id,
        email: String::from_utf8_lossy(&email).into_owned(),
        display_name: row.display_name,
        state: row.state,
    })
}

/// A person by id.
///
/// # Errors
/// The database, or an address that does not open.
pub async fn find(app: &App, conn: &mut PgConnection, id: UserId) -> Result<Option<UserBrief>, Problem> {
    let row = store::by_id(conn, id).await?;
    row.map(|row| open(app, row)).transpose()
}

/// A person by address.
///
/// # Errors
/// As [`find`].
pub async fn find_by_email(app: &App, conn: &mut PgConnection, email: &Email) -> Result<Option<UserBrief>, Problem> {
    let row = store::by_email(conn, &app.keys.email_index(email.as_str())).await?;
    row.map(|row| open(app, row)).transpose()
}

/// Several people by id.
///
/// # Errors
/// As [`find`].
pub async fn briefs(
    app: &App,
    conn: &mut PgConnection,
    ids: &[UserId],
) -> Result<BTreeMap<UserId, UserBrief>, Problem> {
    let rows = store::by_ids(conn, ids).await?;
    let opened = rows.into_iter().map(|row| open(app, row).map(|user| (user.id, user)));
    opened.collect()
}

/// 404: not of this tenant.
fn not_found() -> Problem {
    Problem::not_found("user-not-found").detail("The tenant has no such person.")
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    standing::routes(update::routes(create::routes(list::routes(api))))
}
