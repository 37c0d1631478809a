//! `POST /v1/me/token`: an access token for a browser with the session cookie.
use super::{AccessToken, SessionKind, access_token};
use crate::{app::App, gate::Who};
use axum::extract::State;
use exarch_common_http::{Api, Json, Problem, RouteKind};
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(handler))
}

/// An access token for the session of the cookie.
#[utoipa::path(post, path = "/v1/me/token", operation_id = "myToken", tag = "me",
    responses((status = 200, description = "An access token for the global", body = AccessToken),
              (status = 409, description = "The session is one of tokens: use its refresh token")))]
async fn handler(State(app): State<App>, who: Who) -> Result<Json<AccessToken>, Problem> {
    if who.session().kind != SessionKind::Cookie {
        return Err(Problem::conflict("not-a-cookie-session").detail("Use the refresh token of this session instead."));
    }
    access_token(&app, who.session(), &who.token_roles(app.ambient.now())).map(Json)
}
