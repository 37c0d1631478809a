//! `POST /v1/auth/sign-in`: the password.
use super::{
    answer::Answer,
    attempts::Attempts,
    counting,
    proceed::{self, Proved},
    store,
};
use crate::{app::App, gate::Origin, memberships, passports, sessions::SessionKind, tenants::TenantKey, users::Email};
use axum::{extract::State, response::Response};
use exarch_common_base::{ExposeSecret, SecretString};
use exarch_common_crypto::password::{MAX_CHARACTERS, Verdict};
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The address.
    email: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// Id or slug of the tenant to work in; the last one, or a question, when left out.
    #[schema(value_type = Option<String>, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$")]
    tenant: Option<TenantKey>,
    /// What the client keeps.
    session: Kind,
}

/// What the client keeps.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SessionKind)]
enum Kind {
    /// A cookie: for browsers.
    Cookie,
    /// A pair of tokens.
    Token,
}

/// The one answer for unknown, wrong, locked and disabled.
fn refused() -> Problem {
    metrics::counter!("exarch_sign_in_refused_total").increment(1);
    Problem::unauthorized("sign-in-refused")
        .detail("This e-mail address and password do not match an account that can sign in.")
}

/// Begins a sign-in with a password.
#[utoipa::path(post, path = "/v1/auth/sign-in", operation_id = "signIn", tag = "sign-in", request_body = SignIn,
    responses((status = 200, description = "Signed in, or one more step", body = Answer),
              (status = 401, description = "No account that can sign in has this address and password"),
              (status = 403, description = "You have no place in any tenant"),
              (status = 404, description = "You have no place in the tenant asked for")))]
async fn handler(State(app): State<App>, origin: Origin, Json(input): Json<SignIn>) -> Result<Response, Problem> {
    let kind = match input.session {
        Kind::Cookie => SessionKind::Cookie,
        Kind::Token => SessionKind::Token,
    };
    // a text that is no address has no account, which is nothing special
    let email = input
        .email
        .parse::<Email>()
        .map_or(input.email, |email| email.as_str().to_owned());
    let index = app.keys.email_index(&email);
    app.signing_in.may_try(&index)?;
    if input.password.expose_secret().chars().nth(MAX_CHARACTERS).is_some() {
        return Err(refused());
    }
    let mut tx = SystemTx::begin(&app.app_pool, "sign-in").await?;
    let account = store::account(tx.conn(), Some(&index), None, app.ambient.now()).await?;
    tx.rollback().await?;
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());
    let verdict = app.signing_in.verify(stored.clone(), input.password.clone()).await?;
    // only for who has the password: it tells nobody else anything, in its time either
    let more_to_come = match (&account, verdict) {
        (Some(account), Verdict::Right | Verdict::RightButOutdated) => {
            account.needs_second_factor() || memberships::second_factor_required(&app, account.id).await?
        }
        _ => false,
    };
    let Some(account) = judge(&app, &origin, &index, account, verdict, more_to_come).await? else {
        return Err(refused());
    };
    if let (Verdict::RightButOutdated, Some(old)) = (verdict, stored) {
        let new = app.signing_in.hash(&app.ambient, input.password).await?;
        let mut tx = SystemTx::begin(&app.app_pool, "sign-in").await?;
        store::rehash(tx.conn(), account.id, &old, &new).await?;
        tx.commit().await?;
    }
    let proved = Proved {
        amr: vec!["pwd".to_owned()],
        auth_time: app.ambient.now(),
        kind,
        tenant: input.tenant,
        recovery_codes: None,
    };
    let mut tx = SystemTx::begin(&app.app_pool, "sign-in").await?;
    let answer = proceed::proceed(&app, &origin, &mut tx, account, proved).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(answer)
}

/// Counts a failure or forgets the earlier ones; the account, when it may go on. The same statements run in every case. With
/// `more_to_come` a second factor is asked for next.
async fn judge(
    app: &App,
    origin: &Origin,
    index: &[u8; 32],
    account: Option<store::Account>,
    verdict: Verdict,
    more_to_come: bool,
) -> Result<Option<store::Account>, Problem> {
    let now = app.ambient.now();
    let right = matches!(verdict, Verdict::Right | Verdict::RightButOutdated);
    let mut tx = SystemTx::begin(&app.app_pool, "sign-in").await?;
    let attempts = store::lock_attempts(tx.conn(), index, now).await?;
    let known = account.as_ref().map(|account| account.id);
    let passed = account.filter(|account| right && account.active && !attempts.is_locked(now));
    let (attempts, locked) = match &passed {
        // half way: who has the password must not wipe out, with it, the wrong codes they tried
        Some(_) if more_to_come => (attempts, false),
        Some(_) => (Attempts::default(), false),
        None => attempts.failed(now),
    };
    counting::save(app, origin, &mut tx, index, known, &attempts, locked).await?;
    tx.commit().await?;
    Ok(passed)
}
