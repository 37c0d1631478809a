//! `POST /v1/users`: by mail, or with an initial password; and the use cases by which others make a person.
use super::{Email, UserBrief, place, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    invitations::{self, InvitationOut},
    mail, memberships, passports, roles,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::{ExposeSecret, SecretString, UserId};
use exarch_common_http::{
    Api, Json, Problem, Text,
    repeats::{Kept, Once, Repeat},
};
use exarch_common_pg::{OnConstraint, TenantTx};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.creates(needs::<perm::user::Invite>(), Repeat::Secret, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invite {
    /// By which the person will sign in.
    #[schema(value_type = String, format = Email, max_length = 254)]
    email: Email,
    /// How the person is shown.
    display_name: Text<100>,
    /// Names of tenant-scope roles in the tenant in force.
    roles: Vec<String>,
    /// True makes the person at once, with a password to hand over; false invites by mail. Left out it is by mail wherever the
    /// installation sends any.
    initial_password: Option<bool>,
}

/// A new person.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Created {
    /// The person.
    #[serde(flatten)]
    pub user: UserBrief,
    /// Shown this once; to be changed at the first sign-in. Absent for a person who was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_password: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Invited {
    #[serde(flatten)]
    created: Created,
    /// Roles in the tenant in force.
    roles: Vec<String>,
}

/// Brings a person into the tenant in force: invites by mail, with one answer whether or not the address has an account; or, by
/// `initial_password`, makes a new person at once.
#[utoipa::path(post, path = "/v1/users", operation_id = "createUser", tag = "users", request_body = Invite,
    responses((status = 201, description = "The person, with the initial password this once", body = Invited),
              (status = 202, description = "An invitation is on its way by mail", body = InvitationOut),
              (status = 403, description = "You do not hold what the roles hold"),
              (status = 409, description = "Somebody with the address is a member already; or, with an initial password, the \
                                            address is taken: grant a membership instead; or this installation sends no mail"),
              (status = 429, description = "This address was invited three times within an hour")))]
async fn handler(State(app): State<App>, who: Who, once: Once, Json(input): Json<Invite>) -> Result<Kept, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::user::Invite>(&app, Target::Tenant(tenant))?;
    // to invite somebody is to give roles
    let _grant = who.check::<perm::membership::Grant>(&app, Target::Tenant(tenant))?;
    let held = who.gives();
    if !input.initial_password.unwrap_or(mail::is_on(&app).is_err()) {
        mail::is_on(&app)?;
        let new = invitations::New {
            email: input.email,
            display_name: input.display_name.into_inner(),
            roles: input.roles,
            held,
        };
        return invitations::invite(&app, &who, tenant, new, once).await;
    }
    let new = NewUser::with_initial_password(&app, input.email, input.display_name.into_inner()).await?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let roles = roles::grantable(&mut tx, &input.roles, held).await?;
    let created = create(&app, tx.conn(), new).await?;
    let id = created.user.id;
    audit::record(&mut tx, &who.entry(&app, tenant, "user.create", ("user", id))).await?;
    let names = roles.clone();
    let membership = memberships::New {
        user: id,
        roles,
        regions: None,
        until: None,
        created_by: who.user().to_string(),
    };
    memberships::add(&app, &mut tx, membership, |id, after| {
        who.entry(&app, tenant, "membership.grant", ("membership", id))
            .after(after)
    })
    .await?;
    passports::touch_tenant(&app, &mut tx).await?;
    let answer = (StatusCode::CREATED, Json(Invited { created, roles: names }));
    let kept = once.commit(tx, id, answer).await?;
    passports::nudge(&app);
    Ok(kept)
}

/// What is needed to make a person. The password is hashed before a transaction is open: that takes its time.
pub struct NewUser {
    email: Email,
    display_name: String,
    hash: String,
    initial_password: Option<SecretString>,
}

impl NewUser {
    /// With a password that is made now and must be changed at the first sign-in.
    ///
    /// # Errors
    /// 429 when too many passwords wait to be hashed.
    pub async fn with_initial_password(app: &App, email: Email, display_name: String) -> Result<Self, Problem> {
        let password = initial_password(app.ambient.bytes());
        Ok(Self {
            email,
            display_name,
            hash: app.signing_in.hash(&app.ambient, password.clone()).await?,
            initial_password: Some(password),
        })
    }

    /// With a password of the person's own choice.
    ///
    /// # Errors
    /// As [`NewUser::with_initial_password`].
    pub async fn with_password(
        app: &App,
        email: Email,
        display_name: String,
        password: SecretString,
    ) -> Result<Self, Problem> {
        Ok(Self {
            email,
            display_name,
            hash: app.signing_in.hash(&app.ambient, password).await?,
            initial_password: None,
        })
    }
}

/// 24 characters of an alphabet without look-alikes, 120 bits, in groups.
fn initial_password(random: [u8; 24]) -> SecretString {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut text = String::with_capacity(27);
    for (at, byte) in random.iter().enumerate() {
        if at > 0 && at % 6 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    text.into()
}

/// Makes a person.
///
/// # Errors
/// 409 `email-taken`; the database.
pub async fn create(app: &App, conn: &mut PgConnection, new: NewUser) -> Result<Created, Problem> {
    let id: UserId = app.ambient.id();
    let text = id.to_string();
    let sealed = app
        .sealer
        .seal(&app.ambient, place(&text), new.email.as_str().as_bytes());
    let row = store::Insert {
        id,
        email_sealed: &sealed,
        email_index: &app.keys.email_index(new.email.as_str()),
        display_name: &new.display_name,
        password_hash: &new.hash,
        must_change_password: new.initial_password.is_some(),
        at: app.ambient.now(),
    };
    store::insert(conn, &row).await.on_constraint("user_email_key", || {
        Problem::conflict("email-taken")
            .detail("Somebody signs in with this address already: grant that person a membership instead.")
            .error("/email", "belongs to somebody already")
    })?;
    Ok(Created {
        user: UserBrief {
            id,
            email: new.email.as_str().to_owned(),
            display_name: new.display_name,
            state: "active".to_owned(),
        },
        initial_password: new.initial_password.map(|password| password.expose_secret().to_owned()),
    })
}

/// The person of that address, or a new one; true when new.
///
/// # Errors
/// The database.
pub async fn ensure(app: &App, conn: &mut PgConnection, new: NewUser) -> Result<(Created, bool), Problem> {
    if let Some(user) = super::find_by_email(app, conn, &new.email).await? {
        let found = Created {
            user,
            initial_password: None,
        };
        return Ok((found, false));
    }
    Ok((create(app, conn, new).await?, true))
}
