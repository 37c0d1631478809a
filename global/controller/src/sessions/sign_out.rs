//! `POST /v1/auth/sign-out`: ends the session in use, here and in the regions.
use super::{clearing, store};
use crate::{app::App, audit, gate::Who, passports};
use axum::{extract::State, http::StatusCode, response::Response};
use exarch_common_http::{Api, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::PROVIDER;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(handler))
}

/// Ends the session in use.
#[utoipa::path(post, path = "/v1/auth/sign-out", operation_id = "signOut", tag = "sign-in",
    responses((status = 204, description = "The session is over")))]
async fn handler(State(app): State<App>, who: Who) -> Result<Response, Problem> {
    let session = who.session();
    let mut tx = SystemTx::begin(&app.app_pool, "sign-out").await?;
    if store::end(tx.conn(), session.id, "signed-out", app.ambient.now()).await? {
        let tenant = session.tenant.unwrap_or(PROVIDER);
        audit::record(
            &mut tx,
            &who.entry(&app, tenant, "session.end", ("session", session.id)),
        )
        .await?;
        passports::touch_common(&app, &mut tx).await?;
        tx.commit().await?;
        passports::nudge(&app);
    }
    Ok(clearing(StatusCode::NO_CONTENT))
}
