//! Who is behind a request: looked up at each, so that what has ended is over at once.
use super::{
    cookie,
    store::{self, Key},
};
use crate::{
    app::App,
    gate::{Standing, Who, unauthenticated},
    memberships,
};
use axum::http::{header, request::Parts};
use exarch_common_http::Problem;
use exarch_common_pg::SystemTx;
use exarch_common_wire::{names, user_token};

/// Authenticates a request by its access token, or else by its cookie.
///
/// # Errors
/// The one 401, whatever was wrong; 503 without a database.
pub async fn authenticate(app: &App, parts: &Parts) -> Result<Who, Problem> {
    let now = app.ambient.now();
    let mut tx = SystemTx::begin(&app.app_pool, "authenticate").await?;
    let found = if parts.headers.contains_key(header::AUTHORIZATION) {
        let claims = bearer(parts)
            .and_then(|token| verify(app, token))
            .ok_or_else(unauthenticated)?;
        store::find(tx.conn(), Key::Id(claims.sid), now)
            .await?
            .filter(|found| found.session.user == claims.sub && found.session.tenant == claims.tid)
    } else {
        let hash = cookie::read(parts).ok_or_else(unauthenticated)?;
        store::find(tx.conn(), Key::Cookie(&hash), now).await?
    };
    tx.rollback().await?;
    let found = found.filter(|found| found.is_enough(now)).ok_or_else(unauthenticated)?;
    let seat = match found.session.tenant {
        Some(_) => Some(seat(app, &found).await?),
        None => None,
    };
    let standing = Standing {
        session: found.session,
        staff: found.staff,
        seat,
    };
    Who::new(standing, parts, now)
}

/// A session in a tenant is worth nothing to somebody who has no place there any more, or whom it asks for more than one factor.
async fn seat(app: &App, found: &store::Found) -> Result<memberships::Seat, Problem> {
    let seat = memberships::seat_of(app, &found.session).await?;
    seat.filter(|seat| seat.admits(&found.session.amr))
        .ok_or_else(unauthenticated)
}

fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (value, more) = (values.next()?, values.next());
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (more.is_none() && scheme.eq_ignore_ascii_case("bearer")).then_some(token)
}

fn verify(app: &App, token: &str) -> Option<user_token::Claims> {
    let now = app.ambient.now();
    let verified = user_token::verify(
        token,
        |kid| app.keys.verifier(kid, now),
        &app.keys.issuer(),
        names::GLOBAL,
        now.unix_timestamp(),
        crate::SKEW.whole_seconds(),
    );
    verified
        .inspect_err(|refusal| tracing::debug!(%refusal, "an access token was refused"))
        .ok()
}
