//! One row, in the transaction of the change.
use super::store;
use crate::gate::UserCaller;
use axum::http::{header, request::Parts};
use exarch_common_authz::{Action, Permit};
use exarch_common_base::RequestId;
use exarch_common_http::{RequestContext, serve::Peer};
use exarch_common_pg::{AppPool, Clusters, DbError, TenantContext, TenantTx};
use exarch_common_wire::audit::{Actor, Entry, Flag, Head, Source};

/// Longest name of a client for itself, in characters.
const USER_AGENT: usize = 256;
/// Characters of a path that are kept.
const PATH: usize = 200;

/// Appends `entry` to the chain of the tenant in force and locks the chain until the transaction ends. Call it last.
///
/// # Errors
/// The row cannot be written; the change must not be made then. An entry of another tenant is refused by the database.
pub async fn record(tx: &mut TenantTx, entry: &Entry) -> Result<Head, DbError> {
    let head = store::lock_head(tx).await?;
    let next = entry.chain(&head);
    store::append(tx, entry, &head, &next).await?;
    Ok(next)
}

/// By which request something was done, and from where.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The request.
    pub request: Option<RequestId>,
    /// From where.
    pub source: Source,
}

impl Origin {
    /// Of the request with this head.
    pub fn of(parts: &Parts) -> Self {
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok());
        Self {
            request: parts.extensions.get::<RequestContext>().map(|c| c.request_id),
            source: Source {
                address: parts.extensions.get::<Peer>().map(|peer| peer.addr.ip().to_string()),
                user_agent: user_agent.map(|text| text.chars().take(USER_AGENT).collect()),
            },
        }
    }

    /// `entry` with this as its origin.
    pub fn stamp(&self, entry: Entry) -> Entry {
        Entry {
            request: self.request,
            source: self.source.clone(),
            ..entry
        }
    }
}

/// What `caller` did by `permit`, to be completed with what changed.
pub fn entry<A: Action>(caller: &UserCaller, permit: &Permit<A>, target_kind: &str, target_id: impl ToString) -> Entry {
    by(caller, permit.permission().name(), target_kind, target_id)
}

/// Writes down the request with this head, reading or not, if `caller` is in the tenant by break-glass.
///
/// # Errors
/// The database: what cannot be written down is not answered.
pub async fn accessed(pool: &AppPool, caller: &UserCaller, parts: &Parts) -> Result<(), DbError> {
    if caller.break_glass.is_none() {
        return Ok(());
    }
    let path: String = parts.uri.path().chars().take(PATH).collect();
    let context = TenantContext {
        tenant: caller.tenant_id(),
        clusters: Clusters::Only(Vec::new()),
        actor: caller.principal().to_string(),
    };
    let mut tx = TenantTx::begin(pool, &context).await?;
    let route = format!("{} {path}", parts.method);
    record(&mut tx, &by(caller, "break_glass.access", "route", route)).await?;
    tx.commit().await
}

/// What `caller` did or wanted to do.
pub(super) fn by(caller: &UserCaller, action: &str, target_kind: &str, target_id: impl ToString) -> Entry {
    let actor = Actor::new(caller.kind().as_str(), caller.principal());
    let mut entry = Entry::new(&caller.ids, caller.tenant_id(), actor, action, target_kind, target_id);
    entry.on_behalf_of = caller.owner.map(|owner| owner.to_string());
    if caller.decided_offline() {
        entry.flags.insert(Flag::Offline);
    }
    entry.break_glass = caller.break_glass.map(|grant| grant.to_string());
    caller.origin.stamp(entry)
}
