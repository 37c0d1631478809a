//! `POST /v1/auth/next`: the answer to the step that was asked for.
use super::{
    answer::{Answer, Step},
    password,
    proceed::{self, Proved},
    store,
};
use crate::{app::App, audit, gate::Origin, tenants::TenantKey, users};
use axum::{extract::State, response::Response};
use exarch_common_base::SecretString;
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
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantKey>,
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
        // nobody is asked for one yet, so a ticket for it is none of ours
        (Step::SecondFactor, _) => return Err(spent()),
        (Step::SelectTenant, _) => None,
    };
    let mut tx = SystemTx::begin(&app.app_pool, "sign-in-next").await?;
    let ticket = store::spend_ticket(tx.conn(), &hash, now).await?.ok_or_else(spent)?;
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
    };
    let answer = proceed::proceed(&app, &origin, &mut tx, account, proved).await?;
    tx.commit().await?;
    Ok(answer)
}

/// The hash of a new password, if it may be one.
async fn accepted(app: &App, account: &store::Account, email: &str, new: SecretString) -> Result<String, Problem> {
    let weak = |reason: String| {
        Problem::unprocessable("weak-password")
            .detail(format!("The new password {reason}: choose another one."))
            .error("/new_password", reason)
    };
    password::check(&new, email).map_err(|why| weak(why.to_string()))?;
    let same = app
        .signing_in
        .verify(account.password_hash.clone(), new.clone())
        .await?;
    if same != Verdict::Wrong {
        return Err(weak("is the present one".to_owned()));
    }
    app.signing_in.hash(&app.ambient, new).await
}
