//! What a step of a sign-in answers.
use crate::{
    memberships::TenantBrief,
    second_factor::{Enrolment, RecoveryCodes},
    sessions::{self, Started},
    users::UserBrief,
};
use axum::response::{IntoResponse, Response};
use exarch_common_base::{Slug, TenantId, UserId};
use exarch_common_http::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// Signed in, or one more step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[schema(as = SignInAnswer)]
pub enum Answer {
    /// Signed in.
    SignedIn(SignedIn),
    /// One more step.
    Next(NextStep),
}

/// Signed in: with a cookie, or with the three tokens here.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedIn {
    /// Who.
    pub user: UserRef,
    /// The tenant in force; absent for staff without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantRef>,
    /// JWT (`at+jwt`), for `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// Opaque; good once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Seconds until the access token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<i64>,
    /// Shown this once, by the step that enrolled an authenticator app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_codes: Option<RecoveryCodes>,
}

/// What is asked for next, and the ticket to answer with.
#[derive(Debug, Serialize, ToSchema)]
pub struct NextStep {
    /// What.
    pub next: Step,
    /// Good once, for a few minutes.
    pub ticket: String,
    /// To choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<TenantName>>,
    /// With `second-factor`, for who has none yet and needs one: enrol this in an authenticator app, and answer with its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<Enrolment>,
    /// Shown this once, by the step before, which enrolled an authenticator app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_codes: Option<RecoveryCodes>,
}

/// The steps after the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A code or a passkey.
    SecondFactor,
    /// Which tenant.
    SelectTenant,
    /// A password of one's own.
    ChangePassword,
}

impl Step {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondFactor => "second-factor",
            Self::SelectTenant => "select-tenant",
            Self::ChangePassword => "change-password",
        }
    }
}

/// A person, by id and address.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserRef {
    /// The person's id.
    #[schema(value_type = String, pattern = "^usr_[0-9a-f]{32}$")]
    pub id: UserId,
    /// The address.
    pub email: String,
}

/// A tenant, by id and slug.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantRef {
    /// Its id.
    #[schema(value_type = String, pattern = "^ten_[0-9a-f]{32}$")]
    pub id: TenantId,
    /// Its slug.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    pub slug: Slug,
}

/// A tenant, by all its names.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantName {
    /// Its id.
    #[schema(value_type = String, pattern = "^ten_[0-9a-f]{32}$")]
    pub id: TenantId,
    /// Its slug.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    pub slug: Slug,
    /// Its name.
    pub name: String,
}

impl From<&TenantBrief> for TenantName {
    fn from(tenant: &TenantBrief) -> Self {
        Self {
            id: tenant.id,
            slug: tenant.slug.clone(),
            name: tenant.name.clone(),
        }
    }
}

/// The answer for a session that was just made.
pub fn signed_in(
    user: &UserBrief,
    tenant: Option<&TenantBrief>,
    started: Started,
    recovery_codes: Option<RecoveryCodes>,
) -> Response {
    let mut answer = SignedIn {
        user: UserRef {
            id: user.id,
            email: user.email.clone(),
        },
        tenant: tenant.map(|tenant| TenantRef {
            id: tenant.id,
            slug: tenant.slug.clone(),
        }),
        access_token: None,
        refresh_token: None,
        expires_in: None,
        recovery_codes,
    };
    match started {
        Started::Cookie(secret, seconds) => sessions::with_cookie(Json(Answer::SignedIn(answer)), &secret, seconds),
        Started::Tokens(pair) => {
            answer.access_token = Some(pair.access_token);
            answer.refresh_token = Some(pair.refresh_token);
            answer.expires_in = Some(pair.expires_in);
            Json(Answer::SignedIn(answer)).into_response()
        }
    }
}
