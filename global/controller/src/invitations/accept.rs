//! `POST /v1/auth/invitation` and `…/accept`: what the link in the mail leads to. Who holds the token reads the mail of the address,
//! so they may be told whether the address has an account.
use super::{Invitation, Token, store};
use crate::{
    app::App,
    audit,
    gate::Origin,
    memberships::{self, TenantBrief},
    passports, roles,
    sign_in::{TenantName, password},
    users::{self, Email, EmailError, NewUser, UserBrief},
};
use axum::extract::State;
use exarch_common_authz::{Action, PermissionSet, TenantState, perm};
use exarch_common_base::{SecretString, TenantId};
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::{Clusters, TenantContext, TenantTx};
use exarch_common_wire::audit::Actor;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(look))
        .route(RouteKind::Public, routes!(accept))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Look {
    /// From the mail.
    #[schema(value_type = String)]
    token: SecretString,
}

/// What an invitation is to.
#[derive(Serialize, ToSchema)]
struct InvitedTo {
    /// Into which tenant.
    tenant: TenantName,
    /// The address that was invited.
    email: String,
    /// Whether the address has an account: then no password is asked for here.
    has_account: bool,
    /// Characters that a new password has at least.
    password_characters: usize,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Accept {
    /// From the mail.
    #[schema(value_type = String)]
    token: SecretString,
    /// Of the new account; not for an address that has one.
    #[schema(value_type = Option<String>, format = Password)]
    new_password: Option<SecretString>,
}

/// Where to sign in now.
#[derive(Serialize, ToSchema)]
struct Accepted {
    /// The tenant in which you have a place.
    tenant: TenantName,
    /// By which you sign in.
    email: String,
}

fn over() -> Problem {
    Problem::gone("token-expired")
        .detail("This invitation was used, cancelled, or is older than a day: ask for another one.")
}

/// An invitation that stands: in a tenant that works, from somebody who may still give what it gives.
struct Standing {
    invitation: Invitation,
    tenant: TenantBrief,
    account: Option<UserBrief>,
}

async fn find(app: &App, tx: &mut TenantTx, token: &Token) -> Result<Standing, Problem> {
    let found = store::lock_by_token(tx, &token.hash, app.ambient.now()).await?;
    let invitation = Invitation::open(app, tx.tenant(), found.ok_or_else(over)?)?;
    let inviter = memberships::seat_in(app, tx, invitation.invited_by).await?;
    let inviter = inviter.ok_or_else(over)?;
    let active = users::find(app, tx.conn(), invitation.invited_by).await?;
    let held = inviter.gives();
    let roles = roles::resolve(tx, &invitation.roles).await?;
    let needed = roles
        .iter()
        .fold(INVITING, |needed, role| needed.union(role.permissions()));
    let stands = active.is_some_and(|user| user.state == "active")
        && inviter.tenant.state == TenantState::Active
        && roles.len() == invitation.roles.len()
        && needed.is_subset(held);
    if !stands {
        return Err(over());
    }
    let email = address(&invitation)?;
    Ok(Standing {
        account: users::find_by_email(app, tx.conn(), &email).await?,
        tenant: inviter.tenant,
        invitation,
    })
}

/// What inviting takes, whatever the roles.
const INVITING: PermissionSet = PermissionSet::EMPTY
    .with(<perm::user::Invite as Action>::PERMISSION)
    .with(<perm::membership::Grant as Action>::PERMISSION);

async fn begin(app: &App, tenant: TenantId) -> Result<TenantTx, Problem> {
    let context = TenantContext {
        tenant,
        clusters: Clusters::All,
        actor: "system:invitation".to_owned(),
    };
    Ok(TenantTx::begin(&app.app_pool, &context).await?)
}

/// Shows what an invitation is to; it stays good.
#[utoipa::path(post, path = "/v1/auth/invitation", operation_id = "lookAtInvitation", tag = "sign-in",
    request_body = Look,
    responses((status = 200, description = "The invitation", body = InvitedTo),
              (status = 410, description = "The token was used before, is over, or none of ours")))]
async fn look(State(app): State<App>, Json(input): Json<Look>) -> Result<Json<InvitedTo>, Problem> {
    let token = Token::of(input.token);
    let mut tx = begin(&app, token.tenant().ok_or_else(over)?).await?;
    let standing = find(&app, &mut tx, &token).await?;
    tx.rollback().await?;
    Ok(Json(InvitedTo {
        password_characters: password::least(standing.tenant.second_factor_required),
        tenant: TenantName::from(&standing.tenant),
        email: standing.invitation.email,
        has_account: standing.account.is_some(),
    }))
}

/// Accepts an invitation: with a password of your own where the address has no account yet.
#[utoipa::path(post, path = "/v1/auth/invitation/accept", operation_id = "acceptInvitation", tag = "sign-in",
    request_body = Accept,
    responses((status = 200, description = "You have your place: sign in", body = Accepted),
              (status = 409, description = "The account is disabled, or a member already"),
              (status = 410, description = "The token was used before, is over, or none of ours"),
              (status = 422, description = "The password is missing, not asked for, or not accepted")))]
async fn accept(State(app): State<App>, origin: Origin, Json(input): Json<Accept>) -> Result<Json<Accepted>, Problem> {
    let token = Token::of(input.token);
    let tenant = token.tenant().ok_or_else(over)?;
    // looked at first and rolled back: hashing takes its time
    let mut tx = begin(&app, tenant).await?;
    let standing = find(&app, &mut tx, &token).await?;
    tx.rollback().await?;
    let new = newcomer(&app, &standing, input.new_password).await?;

    let mut tx = begin(&app, tenant).await?;
    let Standing {
        invitation,
        tenant: brief,
        account,
    } = find(&app, &mut tx, &token).await?;
    let (user, is_new) = match (account, new) {
        (Some(account), None) => (account.id, false),
        (None, Some(new)) => (users::create(&app, tx.conn(), new).await?.user.id, true),
        // somebody made the account while the password was hashed, or ended it
        _ => {
            return Err(
                Problem::conflict("try-again").detail("Your account changed at this moment: open the link again.")
            );
        }
    };
    let entry =
        |action: &str, target: (&str, String)| origin.entry(&app, tenant, Actor::new("user", user), action, target);
    if is_new {
        audit::record(&mut tx, &entry("user.create", ("user", user.to_string()))).await?;
    }
    let id = invitation.id;
    let membership = memberships::New {
        user,
        roles: invitation.roles,
        regions: None,
        until: None,
        created_by: invitation.invited_by.to_string(),
    };
    let accepted = entry("invitation.accept", ("invitation", id.to_string()));
    memberships::add(&app, &mut tx, membership, |id, after| {
        entry("membership.grant", ("membership", id)).after(after)
    })
    .await?;
    store::end(&mut tx, id, app.ambient.now()).await?;
    audit::record(
        &mut tx,
        &accepted.after(json!({ "user": user, "invited_by": invitation.invited_by })),
    )
    .await?;
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(Json(Accepted {
        tenant: TenantName::from(&brief),
        email: invitation.email,
    }))
}

/// It was an address when it was invited.
fn address(invitation: &Invitation) -> Result<Email, Problem> {
    let parsed: Result<Email, EmailError> = invitation.email.parse();
    parsed.map_err(|e| Problem::internal(&e))
}

/// The account to be made, for an address that has none.
async fn newcomer(app: &App, standing: &Standing, password: Option<SecretString>) -> Result<Option<NewUser>, Problem> {
    match (&standing.account, password) {
        (Some(account), _) if account.state != "active" => {
            Err(Problem::conflict("user-disabled").detail("This account cannot be used: ask your administrator."))
        }
        (Some(_), None) => Ok(None),
        (Some(_), Some(_)) => Err(Problem::unprocessable("account-exists")
            .detail("This address has an account: accept without a password, and sign in with your own.")
            .error("/new_password", "is not asked for")),
        (None, None) => Err(Problem::unprocessable("password-missing")
            .detail("Choose a password for your new account.")
            .error("/new_password", "is missing")),
        (None, Some(new)) => {
            let Invitation {
                email, display_name, ..
            } = &standing.invitation;
            let least = password::least(standing.tenant.second_factor_required);
            password::check(&new, email, least).map_err(password::weak)?;
            let address = address(&standing.invitation)?;
            NewUser::with_password(app, address, display_name.clone(), new)
                .await
                .map(Some)
        }
    }
}
