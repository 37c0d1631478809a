//! `POST /v1/auth/refresh`: the next pair for a refresh token, or the same pair again for a client that missed it.
use super::{
    family::{self, Presented, Use},
    mint::{self, Pair},
    store::{self, Key},
};
use crate::{app::App, audit, gate::Origin, memberships, passports};
use axum::extract::State;
use exarch_common_crypto::hash::sha256;
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::{Actor, Outcome, PROVIDER};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    /// From the last pair.
    refresh_token: String,
}

fn refused() -> Problem {
    Problem::unauthorized("refresh-refused").detail("This refresh token is not valid any more: sign in again.")
}

/// Exchanges a refresh token for the next pair.
#[utoipa::path(post, path = "/v1/auth/refresh", operation_id = "refresh", tag = "sign-in", request_body = Refresh,
    responses((status = 200, description = "The next pair", body = Pair),
              (status = 401, description = "The refresh token is spent, ended or none of ours")))]
async fn handler(State(app): State<App>, origin: Origin, Json(input): Json<Refresh>) -> Result<Json<Pair>, Problem> {
    let presented = Presented::read(&input.refresh_token).ok_or_else(refused)?;
    run(&app, &origin, presented).await.map(Json)
}

async fn run(app: &App, origin: &Origin, presented: Presented) -> Result<Pair, Problem> {
    let now = app.ambient.now();
    let mut tx = SystemTx::begin(&app.app_pool, "refresh").await?;
    let found = store::find(tx.conn(), Key::Family(presented.family), now).await?;
    tx.rollback().await?;
    let found = found.filter(|found| found.is_enough(now)).ok_or_else(refused)?;
    let store::Found { session, staff } = found;
    // before the lock below: who holds that one must not wait for a second connection
    let seat = match session.tenant {
        Some(_) => {
            let seat = memberships::seat_of(app, &session).await?;
            Some(seat.filter(|seat| seat.admits(&session.amr)).ok_or_else(refused)?)
        }
        None => None,
    };
    let staff = staff.into_iter().filter(|(_, until)| until.is_none_or(|end| now < end));
    let roles = memberships::role_names(seat.as_ref(), staff.map(|(role, _)| role));

    let mut tx = SystemTx::begin(&app.app_pool, "refresh").await?;
    // of many uses of one token the first rotates, the others see that it did
    let locked = store::lock_family(tx.conn(), presented.family)
        .await?
        .ok_or_else(refused)?;
    let key = app.keys.refresh_family(&locked.salt);
    if !presented.is_of(&key) {
        return Err(refused());
    }
    let client = sha256(origin.source.user_agent.as_deref().unwrap_or_default().as_bytes());
    let grace = time::Duration::try_from(app.settings.tokens.refresh_grace).unwrap_or_default();
    let (number, access) = match locked.family.present(presented.number, &client, now, grace) {
        Use::Dead => return Err(refused()),
        Use::Again => (locked.family.number, locked.access),
        Use::Rotate => {
            let next = locked.family.rotate(client, now, mint::refresh_end(app, &session));
            let access = mint::next_access(app, &session);
            store::rotate_family(tx.conn(), presented.family, &next, &access).await?;
            (next.number, access)
        }
        Use::Reused => {
            store::revoke_family(tx.conn(), presented.family, now).await?;
            store::end(tx.conn(), session.id, "refresh-reused", now).await?;
            let tenant = session.tenant.unwrap_or(PROVIDER);
            let actor = Actor::new("user", session.user);
            let entry = origin
                .entry(app, tenant, actor, "session.revoke", ("session", session.id))
                .ended(Outcome::Denied, "a refresh token was used again: the session was ended");
            audit::record(&mut tx, &entry).await?;
            passports::touch_common(app, &mut tx).await?;
            tx.commit().await?;
            passports::nudge(app);
            return Err(refused());
        }
    };
    let token = family::token(&key, presented.family, number);
    let pair = mint::pair(app, &session, &roles, &access, token)?;
    tx.commit().await?;
    Ok(pair)
}
