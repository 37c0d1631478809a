//! What the passport said of a tenant at a time that is past.
use super::{Current, Ready, TenantEntry, index, store};
use exarch_common_base::TenantId;
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use exarch_common_wire::{
    passport::{CustomRole, Membership, Tenant, User, tenant_section},
    user_token::Version,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use time::OffsetDateTime;

/// What is known of a tenant at a time.
#[derive(Debug)]
pub enum Then {
    /// As the passport had it; nobody is named, ids alone are kept.
    Known(Box<TenantEntry>),
    /// The tenant had no right to this region.
    Nothing,
    /// Nothing is known of that time; since when something is.
    NotKnown(Option<OffsetDateTime>),
}

/// Adds what `ready` changes to what was remembered of each tenant, in the transaction that applies it.
pub(super) async fn remember(
    tx: &mut SystemTx,
    ready: &Ready,
    before: Option<&Current>,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let section =
        |current: &Current, tenant: TenantId| current.passport.entries.get(&tenant_section(tenant)).map(|e| e.sha256);
    let tenants = &ready.verified.contents.tenants;
    let mut touched = false;
    for (id, (_, tenant)) in tenants {
        let new = ready
            .passport
            .entries
            .get(&tenant_section(*id))
            .map(|entry| entry.sha256);
        if before.is_none_or(|current| section(current, *id) != new) {
            store::remember(tx, *id, &states(tenant), now).await?;
            touched = true;
        }
    }
    let there: BTreeSet<String> = tenants.keys().map(|id| tenant_section(*id)).collect();
    let gone = before.iter().flat_map(|current| current.passport.entries.keys());
    let gone = gone
        .filter(|id| !there.contains(*id))
        .filter_map(|id| id.strip_prefix("tenant/")?.parse().ok());
    for id in gone.collect::<Vec<TenantId>>() {
        store::remember(tx, id, &json!([]), now).await?;
        touched = true;
    }
    if touched {
        store::enter(tx, None).await?;
    }
    Ok(())
}

/// A tenant's section in the parts in which it is remembered; no names of people.
fn states(tenant: &Tenant) -> Value {
    let mut parts = Vec::new();
    let mut part = |kind: &str, subject: String, state: Value| {
        parts.push(json!({ "kind": kind, "subject": subject, "state": state }));
    };
    let head = Tenant {
        users: Vec::new(),
        memberships: Vec::new(),
        custom_roles: Vec::new(),
        ..tenant.clone()
    };
    part("tenant", String::new(), value(&head));
    for user in &tenant.users {
        let unnamed = User {
            display_name: String::new(),
            ..user.clone()
        };
        part("user", user.id.to_string(), value(&unnamed));
    }
    for membership in &tenant.memberships {
        let id = membership
            .id
            .map_or_else(|| membership.user.to_string(), |id| id.to_string());
        part("membership", id, value(membership));
    }
    for role in &tenant.custom_roles {
        part("role", role.name.clone(), value(role));
    }
    Value::Array(parts)
}

fn value(part: &impl Serialize) -> Value {
    serde_json::to_value(part).expect("a section holds nothing that JSON has no form for")
}

/// The transaction's tenant as it was known here at `at`.
///
/// # Errors
/// The database, or rows that cannot be read.
pub async fn then(tx: &mut TenantTx, at: OffsetDateTime) -> Result<Then, DbError> {
    let since = store::remembered_since(tx).await?;
    if since.is_none_or(|since| at < since) {
        return Ok(Then::NotKnown(since));
    }
    let rows = store::remembered(tx, at).await?;
    let Some(head) = rows.iter().find(|row| row.kind == "tenant") else {
        return Ok(Then::Nothing);
    };
    let tenant = Tenant {
        users: read::<User>(&rows, "user")?,
        memberships: read::<Membership>(&rows, "membership")?,
        custom_roles: read::<CustomRole>(&rows, "role")?,
        ..serde_json::from_value(head.state.clone()).map_err(damaged)?
    };
    let entry = index::entry(Version::default(), &tenant).map_err(damaged)?;
    Ok(Then::Known(Box::new(entry)))
}

fn read<T: serde::de::DeserializeOwned>(rows: &[store::Remembered], kind: &str) -> Result<Vec<T>, DbError> {
    let rows = rows.iter().filter(|row| row.kind == kind);
    rows.map(|row| serde_json::from_value(row.state.clone()).map_err(damaged))
        .collect()
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> DbError {
    sqlx::Error::Decode(Box::new(error)).into()
}
