//! `POST /oauth2/device_authorization`: a program asks to be let in.
use super::{
    grant::{INTERVAL, LIFE, user_code},
    store,
    token::{Form, OAuthError, Refusal, client_name},
};
use crate::{app::App, gate::Origin};
use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use exarch_common_crypto::hash::sha256;
use exarch_common_http::{Api, Json, RouteKind};
use exarch_common_pg::SystemTx;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(handler))
}

/// What the program shows and what it asks with (RFC 8628, section 3.2).
#[derive(Serialize, ToSchema)]
struct DeviceAuthorization {
    /// To ask `/oauth2/token` with; not shown.
    device_code: String,
    /// To show.
    user_code: String,
    /// The page on which a person types it.
    verification_uri: String,
    /// The same with the code in it.
    verification_uri_complete: String,
    /// Seconds.
    expires_in: i64,
    /// Seconds between two questions.
    interval: u32,
}

#[derive(serde::Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form; it is read by hand, since its errors are of another shape"
)]
struct DeviceAuthorizationForm {
    /// `exarch-cli`.
    client_id: String,
}

/// Begins a device grant.
#[utoipa::path(post, path = "/oauth2/device_authorization", operation_id = "deviceAuthorization", tag = "oauth2",
    request_body(content = DeviceAuthorizationForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The codes", body = DeviceAuthorization),
              (status = 400, description = "`invalid_request`, as RFC 6749 has it", body = OAuthError),
              (status = 401, description = "`invalid_client`", body = OAuthError)))]
async fn handler(
    State(app): State<App>,
    origin: Origin,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<Response, Refusal> {
    let form = Form::read(&headers, &body)?;
    let client = client_name(form.required("client_id")?)?;
    app.signing_in
        .may_ask(origin.source.address.as_deref().unwrap_or_default())?;
    let device_code = URL_SAFE_NO_PAD.encode(app.ambient.bytes::<32>());
    // with 64 bytes fewer than eight good ones come about never; then the program asks again
    let user_code = user_code(&app.ambient.bytes::<64>()).ok_or(Refusal::Busy)?;
    let now = app.ambient.now();
    let mut tx = SystemTx::begin(&app.app_pool, "device-authorization").await?;
    let new = store::New {
        id: app.ambient.uuid(),
        device_hash: sha256(device_code.as_bytes()),
        user_hash: sha256(user_code.as_bytes()),
        client,
        source: &origin.source,
        created_at: now,
        expires_at: now + LIFE,
        interval: INTERVAL,
    };
    store::insert(tx.conn(), &new).await?;
    tx.commit().await?;
    let page = format!("{}/device", app.settings.public.url);
    let answer = DeviceAuthorization {
        verification_uri_complete: format!("{page}?user_code={user_code}"),
        verification_uri: page,
        device_code,
        user_code,
        expires_in: LIFE.whole_seconds(),
        interval: INTERVAL,
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}
