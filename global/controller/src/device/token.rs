//! `POST /oauth2/token`, with the device grant; its errors are those of RFC 6749, section 5.2, and RFC 8628, section 3.5.
use super::{
    grant::Poll,
    store::{self, Approved},
};
use crate::{
    app::App,
    audit,
    gate::Origin,
    memberships, passports,
    sessions::{self, Session, SessionKind, Started},
    sign_in::{TenantRef, UserRef},
    users,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use exarch_common_crypto::hash::sha256;
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::audit::{Actor, PROVIDER};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// The grant type of RFC 8628.
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Programs that may ask, and how people are shown them.
const CLIENTS: [(&str, &str); 1] = [("exarch-cli", "exarch, the command line")];

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(handler))
}

/// How the program is shown to people.
pub fn client_name(id: &str) -> Result<&'static str, Refusal> {
    let known = CLIENTS.into_iter().find(|(known, _)| *known == id);
    known
        .map(|(_, name)| name)
        .ok_or(Refusal::OAuth(StatusCode::UNAUTHORIZED, "invalid_client"))
}

/// Why there are no tokens.
#[derive(Debug)]
pub enum Refusal {
    /// An error by the RFCs.
    OAuth(StatusCode, &'static str),
    /// Our own: too many, no database.
    Problem(Problem),
    /// Try again.
    Busy,
}

const fn oauth(error: &'static str) -> Refusal {
    Refusal::OAuth(StatusCode::BAD_REQUEST, error)
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Busy => Problem::unavailable("try-again", std::time::Duration::from_secs(1)).into_response(),
            Self::OAuth(status, error) => {
                let told = match error {
                    "authorization_pending" => "Nobody has answered yet: ask again after the interval.",
                    "slow_down" => "Asked too often: wait five seconds longer between two questions from now on.",
                    "expired_token" => "The code is over: begin again.",
                    "access_denied" => "The sign-in was refused.",
                    "invalid_client" => "There is no such client.",
                    "invalid_grant" => "This code is none of ours, or was used.",
                    "unsupported_grant_type" => "Only the device grant is known here.",
                    _ => "The form is not as the standard has it.",
                };
                let body = Json(OAuthError {
                    error,
                    error_description: told,
                });
                (status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
            }
        }
    }
}

/// A refusal in the form of RFC 6749, section 5.2.
#[derive(Serialize, ToSchema)]
pub struct OAuthError {
    /// Which.
    #[schema(value_type = String)]
    error: &'static str,
    /// One sentence.
    #[schema(value_type = String)]
    error_description: &'static str,
}

/// A form in which no name comes twice.
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads the body.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            return Err(oauth("invalid_request"));
        }
        if std::str::from_utf8(body).is_err() {
            return Err(oauth("invalid_request"));
        }
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if fields.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(oauth("invalid_request"));
            }
        }
        Ok(Self(fields))
    }

    /// A field that has to be there.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        let value = self.0.get(name).filter(|value| !value.is_empty());
        value.map(String::as_str).ok_or(oauth("invalid_request"))
    }
}

#[derive(serde::Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form; it is read by hand, since its errors are of another shape"
)]
struct TokenForm {
    /// `urn:ietf:params:oauth:grant-type:device_code`.
    grant_type: String,
    /// From `/oauth2/device_authorization`.
    device_code: String,
    /// The same as there.
    client_id: String,
}

/// The tokens, and who signed in.
#[derive(Serialize, ToSchema)]
struct TokenAnswer {
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// For `/v1/auth/refresh`.
    refresh_token: String,
    user: UserRef,
    /// The tenant in force; absent for staff without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantRef>,
}

/// Gives the tokens of a device grant that somebody approved.
#[utoipa::path(post, path = "/oauth2/token", operation_id = "token", tag = "oauth2",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The tokens", body = TokenAnswer),
              (status = 400, description = "`authorization_pending`, `slow_down`, `expired_token`, `access_denied`, \
                                            `invalid_grant`, `invalid_request`, `unsupported_grant_type`", body = OAuthError),
              (status = 401, description = "`invalid_client`", body = OAuthError)))]
async fn handler(
    State(app): State<App>,
    origin: Origin,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<Response, Refusal> {
    let form = Form::read(&headers, &body)?;
    if form.required("grant_type")? != DEVICE {
        return Err(oauth("unsupported_grant_type"));
    }
    let client = client_name(form.required("client_id")?)?;
    let hash = sha256(form.required("device_code")?.as_bytes());
    let mut tx = SystemTx::begin(&app.app_pool, "device-token").await?;
    let found = store::lock(tx.conn(), &hash).await?;
    let found = found
        .filter(|found| found.client == client)
        .ok_or(oauth("invalid_grant"))?;
    let (grant, poll) = found.grant.poll(app.ambient.now());
    store::save(tx.conn(), found.id, &grant).await?;
    let error = match (poll, found.approved) {
        (Poll::Give, Some(approved)) => {
            let answer = give(&app, &origin, &mut tx, approved).await?;
            tx.commit().await?;
            passports::nudge(&app);
            return Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response());
        }
        (Poll::Pending, _) => "authorization_pending",
        (Poll::SlowDown, _) => "slow_down",
        (Poll::Expired, _) => "expired_token",
        (Poll::Denied, _) => "access_denied",
        (Poll::Spent | Poll::Give, _) => "invalid_grant",
    };
    tx.commit().await?;
    Err(oauth(error))
}

/// A session of the person who approved, begun from the program's address, and not longer than that person's own.
async fn give(app: &App, origin: &Origin, tx: &mut SystemTx, approved: Approved) -> Result<TokenAnswer, Refusal> {
    let denied = || oauth("access_denied");
    let now = app.ambient.now();
    let person = users::find(app, tx.conn(), approved.user).await?;
    let person = person.filter(|person| person.state == "active").ok_or_else(denied)?;
    // who lost their place, or their session, after they approved lets nobody in
    if approved.session_end <= now {
        return Err(denied());
    }
    let seat = match approved.tenant {
        Some(tenant) => {
            let seat = memberships::seat(app, tenant, approved.user).await?;
            Some(seat.filter(|seat| seat.admits(&approved.amr)).ok_or_else(denied)?)
        }
        None => None,
    };
    let staff = sessions::staff_roles(tx, approved.user, now).await?;
    let session = Session {
        id: app.ambient.id(),
        user: approved.user,
        tenant: approved.tenant,
        break_glass: None,
        kind: SessionKind::Token,
        amr: approved.amr,
        auth_time: approved.auth_time,
        expires_at: approved.session_end.min(now + sessions::life(app, &staff)),
    };
    let roles = memberships::role_names(seat.as_ref(), staff);
    let (started, displaced) = sessions::start(app, tx.conn(), &session, &origin.source, &roles).await?;
    let Started::Tokens(pair) = started else {
        return Err(Refusal::Busy);
    };
    let actor = Actor::new("user", approved.user);
    let tenant = approved.tenant.unwrap_or(PROVIDER);
    let entry = origin.entry(app, tenant, actor, "session.begin", ("session", session.id));
    let after =
        json!({ "kind": session.kind.as_str(), "amr": session.amr, "by": "device", "displaced": displaced.count() });
    audit::record(tx, &entry.after(after)).await?;
    displaced.touch(app, tx).await?;
    Ok(TokenAnswer {
        access_token: pair.access_token,
        token_type: "Bearer",
        expires_in: pair.expires_in,
        refresh_token: pair.refresh_token,
        user: UserRef {
            id: person.id,
            email: person.email,
        },
        tenant: seat.map(|seat| TenantRef {
            id: seat.tenant.id,
            slug: seat.tenant.slug,
        }),
    })
}
