//! Making sessions and tokens.
use super::{
    Session, SessionKind, cookie, family,
    store::{self, Access},
};
use crate::{app::App, passports};
use exarch_common_http::Problem;
use exarch_common_pg::SystemTx;
use exarch_common_wire::{
    audit::Source,
    names,
    user_token::{self, Claims},
};
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An access token for the global.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccessToken {
    /// JWT (`at+jwt`), for `Authorization: Bearer`.
    pub access_token: String,
    /// Seconds.
    pub expires_in: i64,
}

/// An access token and the refresh token for the next pair.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Pair {
    /// JWT (`at+jwt`), for `Authorization: Bearer`.
    pub access_token: String,
    /// Opaque; good once.
    pub refresh_token: String,
    /// Seconds until the access token expires.
    pub expires_in: i64,
}

/// What a new session gives to its client.
#[derive(Clone, Debug)]
pub enum Started {
    /// The cookie's secret, and for how many seconds.
    Cookie(String, i64),
    /// The first pair.
    Tokens(Pair),
}

/// Stores a new session, begun from `source`, and makes what proves it. `roles` are those of its first token. A person who has as
/// many sessions as are allowed loses the oldest, so that nobody is kept out by sessions they forgot; the caller then touches
/// the common sections of passports, last in its transaction.
///
/// # Errors
/// The database, or a key that does not sign.
pub async fn start(
    app: &App,
    conn: &mut PgConnection,
    session: &Session,
    source: &Source,
    roles: &[String],
) -> Result<(Started, Displaced), Problem> {
    let now = app.ambient.now();
    let keep = i64::from(app.settings.sessions.per_person) - 1;
    store::lock_person(&mut *conn, session.user).await?;
    let displaced = Displaced(store::end_oldest(&mut *conn, session.user, keep, now).await?);
    begin(app, conn, session, source, roles, now)
        .await
        .map(|started| (started, displaced))
}

/// How many sessions had to end for a new one.
#[must_use = "the regions must learn of sessions that ended"]
#[derive(Clone, Copy, Debug)]
pub struct Displaced(u64);

impl Displaced {
    /// Tells the regions, if there were any: call it last in the transaction, and `passports::nudge` after it.
    ///
    /// # Errors
    /// As [`passports::touch_common`].
    pub async fn touch(self, app: &App, tx: &mut SystemTx) -> Result<(), Problem> {
        if self.0 > 0 {
            passports::touch_common(app, tx).await?;
        }
        Ok(())
    }

    /// As the audit tells it.
    pub fn count(self) -> u64 {
        self.0
    }
}

async fn begin(
    app: &App,
    conn: &mut PgConnection,
    session: &Session,
    source: &Source,
    roles: &[String],
    now: OffsetDateTime,
) -> Result<Started, Problem> {
    match session.kind {
        SessionKind::Cookie => {
            let (secret, hash) = cookie::make(&app.ambient);
            store::insert(conn, session, source, Some(&hash), now).await?;
            Ok(Started::Cookie(secret, (session.expires_at - now).whole_seconds()))
        }
        SessionKind::Token => {
            store::insert(conn, session, source, None, now).await?;
            let (id, salt) = (app.ambient.uuid(), app.ambient.bytes::<32>());
            let access = next_access(app, session);
            store::insert_family(conn, id, session.id, &salt, refresh_end(app, session), &access).await?;
            let key = app.keys.refresh_family(&salt);
            pair(app, session, roles, &access, family::token(&key, id, 1)).map(Started::Tokens)
        }
    }
}

/// An access token of a session, outside any family: for a browser.
///
/// # Errors
/// A key that does not sign.
pub fn access_token(app: &App, session: &Session, roles: &[String]) -> Result<AccessToken, Problem> {
    let access = next_access(app, session);
    Ok(AccessToken {
        access_token: sign(app, session, roles, &access)?,
        expires_in: left(app, &access),
    })
}

/// When a refresh token made now ends: not after its session.
pub(super) fn refresh_end(app: &App, session: &Session) -> OffsetDateTime {
    (app.ambient.now() + app.settings.tokens.refresh).min(session.expires_at)
}

/// Number and times of an access token made now: not after its session either.
pub(super) fn next_access(app: &App, session: &Session) -> Access {
    let now = app.ambient.now();
    Access {
        jti: app.ambient.uuid().simple().to_string(),
        iat: now.unix_timestamp(),
        exp: (now + app.settings.tokens.access)
            .min(session.expires_at)
            .unix_timestamp(),
    }
}

pub(super) fn pair(
    app: &App,
    session: &Session,
    roles: &[String],
    access: &Access,
    refresh_token: String,
) -> Result<Pair, Problem> {
    Ok(Pair {
        access_token: sign(app, session, roles, access)?,
        refresh_token,
        expires_in: left(app, access),
    })
}

fn left(app: &App, access: &Access) -> i64 {
    (access.exp - app.ambient.now().unix_timestamp()).max(0)
}

fn sign(app: &App, session: &Session, roles: &[String], access: &Access) -> Result<String, Problem> {
    let now = app.ambient.now();
    let claims = Claims {
        iss: app.keys.issuer(),
        sub: session.user,
        aud: names::GLOBAL.to_owned(),
        iat: access.iat,
        nbf: access.iat,
        exp: access.exp,
        jti: access.jti.clone(),
        sid: session.id,
        tid: session.tenant,
        roles: roles.to_vec(),
        amr: session.amr.clone(),
        auth_time: session.auth_time.unix_timestamp(),
        region: None,
        bg: session.break_glass.map(|grant| grant.to_string()),
        cnf: None,
    };
    let signer = app.keys.signer(now).map_err(|e| Problem::internal(&e))?;
    user_token::sign(&signer.key, &signer.kid(), &claims).map_err(|e| Problem::internal(&e))
}
