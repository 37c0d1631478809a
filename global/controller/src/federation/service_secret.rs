//! `POST /federation/v1/service-secret`: a region hands over the secret that follows the newest of a direction.
use super::{PeerCaller, secrets, store};
use crate::{app::App, audit};
use axum::{Extension, extract::State, http::StatusCode};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::ExposeSecret;
use exarch_common_crypto::mac;
use exarch_common_http::{PeerBody, Problem, RequestContext};
use exarch_common_pg::SystemTx;
use exarch_common_wire::{
    audit::{Entry, PROVIDER, Source},
    federation::NewSecret,
    service::ServiceKey,
};
use serde_json::json;

/// In force at a time for one direction; a region that sends more is not well.
const MOST: usize = 4;
/// Characters of a key id.
const MAX_KID: usize = 64;

/// Takes the secret. The same one again is answered the same: the first answer may have been lost.
#[utoipa::path(post, path = "/federation/v1/service-secret", tag = "federation", responses(
    (status = 204, description = "Kept: either side may sign with it"),
    (status = 409, description = "Another secret has this key id, or too many are in force"),
    (status = 422, description = "Not a secret"),
))]
pub(super) async fn take(
    State(app): State<App>,
    caller: PeerCaller,
    context: RequestContext,
    Extension(body): Extension<PeerBody>,
) -> Result<StatusCode, Problem> {
    let input: NewSecret = super::read(&body)?;
    let key = read_key(input.secret.kid, &input.secret.secret)
        .ok_or_else(|| Problem::unprocessable("not-a-secret").detail("A service secret is 32 bytes with a key id."))?;
    let (now, region, direction) = (app.ambient.now(), caller.region, input.direction.as_str());
    let mut tx = SystemTx::begin(&app.app_pool, "service-secret").await?;
    store::lock_region(tx.conn(), region).await?;
    store::spend(tx.conn(), &caller, now).await?;
    let in_force = store::secrets(tx.conn(), region, direction).await?;
    if let Some(known) = in_force.iter().find(|known| known.kid == key.kid) {
        let known = secrets::open_one(&app.sealer, region, direction, known).map_err(|e| Problem::internal(&e))?;
        if !mac::equal(known.secret.expose_secret(), key.secret.expose_secret()) {
            return Err(Problem::conflict("another-secret").detail("Another secret has this key id."));
        }
        tx.commit().await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    if in_force.len() >= MOST {
        return Err(Problem::conflict("too-many-secrets")
            .detail("Too many secrets of this direction are in force; the older ones are retired after a day."));
    }
    let kept = store::SealedSecret {
        sealed: secrets::seal(&app.ambient, &app.sealer, region, direction, &key),
        kid: key.kid,
        used: false,
    };
    store::insert_secret(tx.conn(), region, direction, &kept, now)
        .await
        .map_err(taken)?;
    let source = Source {
        address: Some(caller.address.clone()),
        user_agent: None,
    };
    let entry = Entry::new(
        &app.ambient,
        PROVIDER,
        caller.actor(),
        "region.rotate-secret",
        "region",
        region,
    )
    .by_request(context.request_id, source)
    .before(json!({"direction": direction, "kid": in_force.first().map(|newest| &newest.kid)}))
    .after(json!({"direction": direction, "kid": kept.kid}));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A key id that was retired does not come back.
fn taken(error: exarch_common_pg::DbError) -> Problem {
    match error.constraint() {
        Some("service_secret_pkey") => {
            Problem::conflict("another-secret").detail("A retired secret had this key id; make another.")
        }
        _ => error.into(),
    }
}

fn read_key(kid: String, secret: &str) -> Option<ServiceKey> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let named = (1..=MAX_KID).contains(&kid.len()) && kid.bytes().all(plain);
    let secret = B64.decode(secret).ok().filter(|secret| named && secret.len() == 32)?;
    Some(ServiceKey {
        kid,
        secret: secret.into(),
    })
}
