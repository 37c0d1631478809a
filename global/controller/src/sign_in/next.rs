//! `POST /v1/auth/next`: the answer to the step that was asked for.
use super::{
    answer::{Answer, Step},
    counting,
    password::{self, weak},
    proceed::{self, Proved},
    store,
};
use crate::{
    app::App,
    audit,
    gate::Origin,
    memberships, passports,
    second_factor::{self, Given, RecoveryCodes},
    tenants::TenantKey,
    users,
};
use axum::{extract::State, response::Response};
use exarch_common_base::{ExposeSecret, SecretString};
use exarch_common_crypto::{hash::sha256, password::Verdict};
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::{Actor, PROVIDER};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Next {
    /// From the step before.
    ticket: String,
    /// For `select-tenant`: id or slug.
    #[schema(value_type = Option<String>, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$")]
    tenant: Option<TenantKey>,
    /// For `second-factor`: the six digits of the app, or a recovery code.
    #[schema(value_type = Option<String>)]
    totp: Option<SecretString>,
    /// For `change-password`.
    #[schema(value_type = Option<String>, format = Password)]
    new_password: Option<SecretString>,
}

fn spent() -> Problem {
    Problem::gone("ticket-expired").detail("This step took too long or was answered already: sign in again.")
}

fn unanswered(pointer: &str) -> Problem {
    Problem::unprocessable("step-unanswered")
        .detail("The step that was asked for is not answered; see errors.")
        .error(pointer, "is missing")
}

/// Answers the next step of a sign-in.
#[utoipa::path(post, path = "/v1/auth/next", operation_id = "signInNext", tag = "sign-in", request_body = Next,
    responses((status = 200, description = "Signed in, or one more step", body = Answer),
              (status = 401, description = "The code is wrong or was used, or the account is locked"),
              (status = 403, description = "You have no place in any tenant"),
              (status = 404, description = "You have no place in the tenant asked for"),
              (status = 410, description = "The ticket is spent or over")))]
async fn handler(State(app): State<App>, origin: Origin, Json(input): Json<Next>) -> Result<Response, Problem> {
    let now = app.ambient.now();
    let hash = sha256(input.ticket.as_bytes());
    // looked at first and rolled back: a ticket is spent with the step that it pays for, and a refused answer leaves it good
    let mut tx = SystemTx::begin(&app.app_pool, "sign-in-next").await?;
    let ticket = store::spend_ticket(tx.conn(), &hash, now).await?.ok_or_else(spent)?;
    let account = store::account(tx.conn(), None, Some(ticket.user), now).await?;
    let account = account.filter(|account| account.active).ok_or_else(spent)?;
    let person = users::find(&app, tx.conn(), account.id).await?.ok_or_else(spent)?;
    tx.rollback().await?;

    let new_hash = match (ticket.step, input.new_password) {
        (Step::ChangePassword, None) => return Err(unanswered("/new_password")),
        (Step::ChangePassword, Some(new)) => Some(accepted(&app, &account, &person.email, new).await?),
        (Step::SelectTenant, _) if input.tenant.is_none() => return Err(unanswered("/tenant")),
        (Step::SecondFactor, _) if input.totp.is_none() => return Err(unanswered("/totp")),
        (Step::SelectTenant | Step::SecondFactor, _) => None,
    };
    if ticket.step == Step::SecondFactor {
        app.signing_in.may_try_code(account.id)?;
    }
    let mut tx = SystemTx::begin(&app.app_pool, "sign-in-next").await?;
    // before the ticket: of many who try codes at once each sees what those before it found
    let locked = match ticket.step {
        Step::SecondFactor => counting::is_locked(&app, &mut tx, &account).await?,
        Step::SelectTenant | Step::ChangePassword => false,
    };
    let mut ticket = store::spend_ticket(tx.conn(), &hash, now).await?.ok_or_else(spent)?;
    let mut recovery_codes = None;
    if let (Step::SecondFactor, Some(code)) = (ticket.step, &input.totp) {
        let given = Given::read(code);
        let passed = !locked && second_step(&app, &origin, &mut tx, &ticket, &given, &mut recovery_codes).await?;
        if !passed {
            tx.rollback().await?;
            counting::failed(&app, &origin, &account).await?;
            return Err(second_factor::refused());
        }
        counting::forgive(&mut tx, &account).await?;
        ticket.amr.extend(["otp".to_owned(), second_factor::MFA.to_owned()]);
    }
    if let Some(new_hash) = new_hash {
        store::set_password(tx.conn(), account.id, &new_hash, now).await?;
        let actor = Actor::new("user", account.id);
        let entry = origin.entry(&app, PROVIDER, actor, "user.change_password", ("user", account.id));
        audit::record(&mut tx, &entry).await?;
    }
    let account = store::Account {
        must_change_password: account.must_change_password && ticket.step != Step::ChangePassword,
        ..account
    };
    let asked = ticket.tenant.and_then(|text| TenantKey::parse(&text));
    let proved = Proved {
        amr: ticket.amr,
        auth_time: ticket.auth_time,
        kind: ticket.kind,
        tenant: input.tenant.or(asked),
        recovery_codes,
    };
    let answer = proceed::proceed(&app, &origin, &mut tx, account, proved).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(answer)
}

/// A code of the app in use, or the first one of an app that is enrolled by this.
async fn second_step(
    app: &App,
    origin: &Origin,
    tx: &mut SystemTx,
    ticket: &store::Ticket,
    given: &Given,
    recovery_codes: &mut Option<RecoveryCodes>,
) -> Result<bool, Problem> {
    let user = ticket.user;
    let Some(enrolment) = ticket.totp else {
        let good = second_factor::check(app, tx.conn(), user, given).await?;
        if good && matches!(given, Given::Recovery(_)) {
            let entry = origin.entry(
                app,
                PROVIDER,
                Actor::new("user", user),
                "user.use_recovery_code",
                ("user", user),
            );
            audit::record(tx, &entry).await?;
        }
        return Ok(good);
    };
    let Given::Totp(code) = given else {
        return Ok(false);
    };
    // who enrolled meanwhile elsewhere is asked for a code of that
    let account = store::account(tx.conn(), None, Some(user), app.ambient.now()).await?;
    if account.is_none_or(|account| account.second_factor) {
        return Err(spent());
    }
    *recovery_codes = second_factor::finish(app, tx.conn(), user, enrolment, code.expose_secret()).await?;
    if recovery_codes.is_some() {
        second_factor::enrolled(app, origin, tx, user).await?;
    }
    Ok(recovery_codes.is_some())
}

/// The hash of a new password, if it may be one and is not the present one.
pub(super) async fn accepted(
    app: &App,
    account: &store::Account,
    email: &str,
    new: SecretString,
) -> Result<String, Problem> {
    let least = password::least(memberships::second_factor_required(app, account.id).await?);
    password::check(&new, email, least).map_err(weak)?;
    let same = app
        .signing_in
        .verify(account.password_hash.clone(), new.clone())
        .await?;
    if same != Verdict::Wrong {
        return Err(weak(password::Weak::Present));
    }
    app.signing_in.hash(&app.ambient, new).await
}
