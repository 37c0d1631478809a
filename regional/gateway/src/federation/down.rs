//! What the global may call: HTTP/2 on a connection that the gateway dialled.
//!
//! A request is served when its token is for this very request on this very connection and was not used before; what has
//! an effect uses the token up in the transaction of the effect. Every answer to a genuine request is signed.
use super::probe;
use crate::{
    app::App,
    directory::{Offer, TakeError, Taken},
};
use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use exarch_common_base::BootTime;
use exarch_common_crypto::jws;
use exarch_common_http::{
    Api, Gate, Json, PeerBody, Problem, RouteKind,
    layers::{LayerOptions, standard},
    serve::Peer,
    tunnel::MAX_ANSWER,
};
use exarch_common_pg::SystemTx;
use exarch_common_wire::{
    federation::paths,
    health::{Probe, ProbeAnswer},
    names,
    passport::Push,
    service::{self, About, Refusal, ServiceKey},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

/// The longest that a token can be good, with the skew at both ends.
const KEEP: Duration = Duration::from_secs(121);
/// Requests remembered on one connection; far above what the global sends in two minutes.
const MOST: usize = 10_000;

/// The router of one connection.
pub(super) fn router(app: &App) -> Router {
    let gate = PeerGate {
        app: app.clone(),
        used: Arc::default(),
    };
    let api = Api::new(OpenApi::default(), gate)
        .route(RouteKind::Peer, routes!(probed))
        .route(RouteKind::Peer, routes!(pushed));
    let router = api.split().0.with_state(app.clone());
    let layers = LayerOptions::new(app.ambient.clone(), "federation");
    // Outermost: nothing changes an answer after it was signed.
    standard(router, &layers).layer(from_fn_with_state(app.clone(), sign))
}

/// A genuine request of the global.
#[derive(Clone, Debug)]
struct Global {
    /// Its number, to be used up by its effect.
    jti: String,
    /// The secret it is signed with, and so its answer.
    key: ServiceKey,
}

/// Where the gate leaves what the answer is signed with.
#[derive(Clone, Default)]
struct ToSign(Arc<OnceLock<Global>>);

#[derive(Clone)]
struct PeerGate {
    app: App,
    used: Arc<Mutex<HashMap<String, BootTime>>>,
}

fn refused(cause: &'static str) -> Problem {
    metrics::counter!("exarch_service_token_refusals_total", "cause" => cause).increment(1);
    tracing::debug!(cause, "a service token was refused");
    Problem::unauthorized("service-token-refused").detail("The service token was not accepted.")
}

const fn cause(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Token(_) => "token",
        Refusal::Pair => "pair",
        Refusal::Request => "request",
        Refusal::Body => "body",
        Refusal::Connection => "connection",
        Refusal::Time => "time",
        Refusal::Answer => "answer",
    }
}

impl Gate for PeerGate {
    async fn admit(&self, kind: RouteKind, parts: &mut Parts) -> Result<(), Problem> {
        let app = &self.app;
        let exporter = parts.extensions.get::<Peer>().and_then(|peer| peer.exporter().copied());
        let (Some(exporter), RouteKind::Peer) = (exporter, kind) else {
            return Err(refused("connection"));
        };
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(|| refused("none"))?;
        let body = parts
            .extensions
            .get::<PeerBody>()
            .map(|body| body.0.clone())
            .unwrap_or_default();
        let region = names::region(app.region.id);
        let about = About {
            from: names::GLOBAL,
            to: &region,
            method: parts.method.as_str(),
            path: parts.uri.path_and_query().map_or("/", |path| path.as_str()),
            body: &body,
            exporter: &exporter,
        };
        let kid = jws::peek_kid(token).ok_or_else(|| refused("token"))?;
        let mut secrets = app.secrets.service();
        if secrets.down(&kid).is_none() {
            // Another replica may have handed it to the global a moment ago; it was in the database before it left.
            let reloaded = app.secrets.reload_service(&app.app_pool).await;
            secrets = reloaded
                .inspect_err(|cause| tracing::warn!(%cause, "service secrets could not be read"))
                .unwrap_or(secrets);
        }
        let keys = |kid: &str| secrets.down(kid);
        let claims = service::verify_challenged(token, keys, &about).map_err(|r| refused(cause(r)))?;
        let now = app.ambient.now();
        let in_time = service::verify_request(token, keys, &about, now.unix_timestamp()).is_ok();
        let global = Global {
            jti: claims.jti,
            key: keys(&kid).ok_or_else(|| refused("token"))?.clone(),
        };
        if !self.first_use(&global.jti) {
            return Err(refused("replay"));
        }
        if let Some(slot) = parts.extensions.get::<ToSign>() {
            let _ = slot.0.set(global.clone());
        }
        // A probe proves by its challenge that it is of now, and must also reach a region whose clock is wrong.
        if !in_time && parts.uri.path() != paths::PROBE {
            let _ = refused(cause(Refusal::Time));
            return Err(Problem::unauthorized("clock-skew")
                .detail("The clocks of global and region differ too much; see server_time.")
                .with("server_time", now.unix_timestamp()));
        }
        app.federation.heard(now);
        parts.extensions.insert(global);
        Ok(())
    }
}

impl PeerGate {
    /// Whether this is the first use of a number on this connection, of which a token is good on no other.
    fn first_use(&self, jti: &str) -> bool {
        let now = self.app.ambient.boot();
        let mut used = self.used.lock().expect("no holder of this lock panics");
        if used.len() >= MOST {
            used.retain(|_, at| now.since(*at) <= KEEP);
        }
        used.len() < MOST && used.insert(jti.to_owned(), now).is_none()
    }
}

async fn sign(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let slot = ToSign::default();
    request.extensions_mut().insert(slot.clone());
    let exporter = request
        .extensions()
        .get::<Peer>()
        .and_then(|peer| peer.exporter().copied());
    let method = request.method().clone();
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let (mut parts, body) = next.run(request).await.into_parts();
    let genuine = slot.0.get().and_then(|global| Some((global, exporter?)));
    let Some((global, exporter)) = genuine else {
        return Response::from_parts(parts, body);
    };
    let body = match to_bytes(body, MAX_ANSWER).await {
        Ok(body) => body,
        Err(e) => return Problem::internal(&e).into_response(),
    };
    let region = names::region(app.region.id);
    let about = About {
        from: &region,
        to: names::GLOBAL,
        method: method.as_str(),
        path: &path,
        body: &body,
        exporter: &exporter,
    };
    let token = service::answer(&app.ambient, &global.key, &about, &global.jti, parts.status.as_u16());
    match HeaderValue::from_str(&token) {
        Ok(value) => {
            parts
                .headers
                .insert(HeaderName::from_static(names::ANSWER_HEADER), value);
            Response::from_parts(parts, Body::from(body))
        }
        Err(e) => Problem::internal(&e).into_response(),
    }
}

fn malformed() -> Problem {
    Problem::bad_request("malformed-message").detail("The message is not what this path takes.")
}

#[utoipa::path(post, path = "/federation/v1/probe", responses((status = 200)))]
async fn probed(State(app): State<App>, Extension(body): Extension<PeerBody>) -> Result<Json<ProbeAnswer>, Problem> {
    let probe: Probe = serde_json::from_slice(&body.0).map_err(|_| malformed())?;
    Ok(Json(probe::answer(&app, probe).await))
}

#[utoipa::path(post, path = "/federation/v1/passport", responses((status = 204), (status = 202)))]
async fn pushed(
    State(app): State<App>,
    Extension(global): Extension<Global>,
    Extension(body): Extension<PeerBody>,
) -> Result<StatusCode, Problem> {
    let push = Push::from_bytes(&body.0).ok_or_else(malformed)?;
    let taken = app.directory.take(Offer::Changes(&push), Some(&global.jti)).await;
    match taken.map_err(untaken)? {
        Taken::Applied(_) | Taken::Confirmed | Taken::Known => Ok(StatusCode::NO_CONTENT),
        Taken::Needs(_) | Taken::OutOfStep => {
            let mut tx = SystemTx::begin(&app.app_pool, "poll-soon").await?;
            if !exarch_regional_state::spend(&mut tx, &global.jti, app.ambient.now()).await? {
                return Err(refused("replay"));
            }
            tx.commit().await?;
            app.federation.poll_soon();
            Ok(StatusCode::ACCEPTED)
        }
        Taken::Refused(cause) => Err(Problem::unprocessable("passport-refused").detail(cause.to_string())),
    }
}

fn untaken(error: TakeError) -> Problem {
    match error {
        TakeError::Replayed => refused("replay"),
        TakeError::Busy => Problem::unavailable("try-again", Duration::from_secs(1)).detail(error.to_string()),
        TakeError::Db(error) => error.into(),
    }
}
