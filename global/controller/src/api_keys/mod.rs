//! API keys: what software of a tenant shows in the place of a person. A key has one role and an owner, the membership of
//! whoever made it; whoever judges it leaves of the role only what the owner holds at that moment. A regional key is known in one
//! region, by its passport; a federated one is known here alone.
mod change;
mod create;
mod holder;
mod list;
mod read;
mod revoke;
mod rotate;
mod store;

pub use holder::{Holder, authenticate, presented};

use crate::{app::App, entitlements::RegionName, users::UserBrief};
use exarch_common_base::{KeyId, MembershipId, RegionId, UserId};
use exarch_common_http::{Api, Problem};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::api_key::{self, Cidr, Verifier};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;

/// Keys that a tenant has at most.
const MOST: i64 = 500;
/// Ranges that a key names at most.
const MOST_CIDRS: usize = 32;

/// Where a key is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ApiKeyKind)]
pub enum Kind {
    /// In one region, also while the global is away.
    Regional,
    /// At the global, which gives tokens for regions for it.
    Federated,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Regional => "regional",
            Self::Federated => "federated",
        }
    }
}

/// A key as it is stored.
#[derive(Clone, Debug)]
struct ApiKey {
    id: KeyId,
    name: String,
    kind: String,
    region: Option<RegionId>,
    owner: Owner,
    role: String,
    cidrs: Vec<String>,
    expires_at: Option<OffsetDateTime>,
    verifier: Verifier,
    rotated_at: Option<OffsetDateTime>,
    previous: Option<(Verifier, OffsetDateTime)>,
    last_used_on: Option<Date>,
    version: u64,
    created_at: OffsetDateTime,
}

/// On whose rights it rests.
#[derive(Clone, Debug)]
struct Owner {
    membership: MembershipId,
    user: UserId,
    /// Whether the membership has ended, or the person may not sign in.
    gone: bool,
}

/// A key as it is told.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct ApiKeyOut {
    #[schema(value_type = String, pattern = "^key_[0-9a-f]{32}$")]
    id: KeyId,
    /// For people; unique among the keys of the tenant that were not revoked.
    name: String,
    /// `regional` or `federated`.
    kind: String,
    /// The one region of a regional key.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<RegionName>,
    /// `active`; `expired`; or `void`, when its owner has left the tenant or may not sign in.
    state: &'static str,
    owner: OwnerOut,
    /// What it may do at most; at each use what its owner does not hold then is left out.
    role: String,
    /// From where it may be used; from anywhere when empty.
    cidrs: Vec<String>,
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    expires_at: Option<OffsetDateTime>,
    /// When it got the secret that it has.
    #[serde(with = "time::serde::rfc3339")]
    secret_since: OffsetDateTime,
    /// Until when the secret before that is good too.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    previous_secret_until: Option<OffsetDateTime>,
    /// The day on which it was used last, as far as is known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    last_used_on: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// On whose rights a key rests.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyOwner)]
struct OwnerOut {
    /// The key gives nothing once this membership has ended.
    #[schema(value_type = String, pattern = "^mem_[0-9a-f]{32}$")]
    membership_id: MembershipId,
    user: UserBrief,
}

/// A key with its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyWithSecret)]
struct Shown {
    #[serde(flatten)]
    key: ApiKeyOut,
    /// For `Authorization: Bearer`; it is shown this once.
    secret: String,
}

impl ApiKey {
    fn is_federated(&self) -> bool {
        self.kind == Kind::Federated.as_str()
    }

    /// Whether the secret is the one it has, or for a while the one before.
    fn opened_by(&self, secret: &api_key::ApiKey, now: OffsetDateTime) -> bool {
        let before = self.previous.as_ref().filter(|(_, until)| now < *until);
        secret.matches(&self.verifier) || before.is_some_and(|(verifier, _)| secret.matches(verifier))
    }

    fn state(&self, now: OffsetDateTime) -> &'static str {
        match self.expires_at {
            _ if self.owner.gone => "void",
            Some(end) if end <= now => "expired",
            _ => "active",
        }
    }

    fn out(self, user: UserBrief, region: Option<RegionName>, now: OffsetDateTime) -> ApiKeyOut {
        let previous = self.previous.as_ref().map(|(_, until)| *until);
        ApiKeyOut {
            state: self.state(now),
            id: self.id,
            name: self.name,
            kind: self.kind,
            region,
            owner: OwnerOut {
                membership_id: self.owner.membership,
                user,
            },
            role: self.role,
            cidrs: self.cidrs,
            expires_at: self.expires_at,
            secret_since: self.rotated_at.unwrap_or(self.created_at),
            previous_secret_until: previous.filter(|until| now < *until),
            last_used_on: self.last_used_on.map(|day| day.to_string()),
            created_at: self.created_at,
        }
    }

    /// As the audit has it.
    fn recorded(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "kind": self.kind,
            "region": self.region,
            "owner": self.owner.user,
            "role": self.role,
            "cidrs": self.cidrs,
            "expires_at": self.expires_at.map(OffsetDateTime::unix_timestamp),
        })
    }
}

/// Reads the ranges of a key.
///
/// # Errors
/// 422 with the one that cannot be accepted.
fn ranges(asked: &[String]) -> Result<Vec<String>, Problem> {
    if asked.len() > MOST_CIDRS {
        return Err(refused("/cidrs", &format!("holds more than {MOST_CIDRS}")));
    }
    let mut ranges: Vec<String> = Vec::with_capacity(asked.len());
    for (at, text) in asked.iter().enumerate() {
        let cidr: Cidr = text
            .parse()
            .map_err(|reason| refused(&format!("/cidrs/{at}"), &format!("{reason}")))?;
        if !ranges.contains(&cidr.to_string()) {
            ranges.push(cidr.to_string());
        }
    }
    Ok(ranges)
}

/// An end must lie ahead.
///
/// # Errors
/// 422.
fn ahead(expires_at: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<(), Problem> {
    match expires_at {
        Some(end) if end <= now => Err(refused("/expires_at", "is not in the future")),
        _ => Ok(()),
    }
}

fn refused(pointer: &str, reason: &str) -> Problem {
    Problem::unprocessable("invalid-api-key")
        .detail("A value of the API key cannot be accepted; see errors.")
        .error(pointer, reason)
}

/// 404: the tenant has no such key.
fn not_found() -> Problem {
    Problem::not_found("api-key-not-found").detail("The tenant has no such API key, or it was revoked.")
}

fn taken() -> Problem {
    Problem::conflict("api-key-exists").detail("The tenant has an API key of this name: choose another one.")
}

/// Writes down on which days a region's own keys were used there, as it tells: days since 1970.
///
/// # Errors
/// The database.
pub async fn used_in(app: &App, region: RegionId, uses: &BTreeMap<KeyId, i64>) -> Result<(), DbError> {
    if uses.is_empty() {
        return Ok(());
    }
    let today = app.ambient.now().date();
    let day = |days: i64| OffsetDateTime::from_unix_timestamp(days.checked_mul(24 * 3600)?).ok();
    // Nothing was used later than now, whatever a region says.
    let uses = uses
        .iter()
        .filter_map(|(key, days)| Some((*key, day(*days)?.date().min(today))));
    let mut tx = SystemTx::begin(&app.sweep_pool, "uses-of-api-keys").await?;
    for (key, day) in uses {
        store::used_in(&mut tx, region, key, day).await?;
    }
    tx.commit().await
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    let api = list::routes(api);
    let api = create::routes(api);
    let api = read::routes(api);
    let api = change::routes(api);
    let api = rotate::routes(api);
    revoke::routes(api)
}
