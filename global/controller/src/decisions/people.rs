//! People as they stood at a time, as the policy sees them.
use super::store;
use crate::roles::Stored;
use exarch_common_authz::{Binding, BoundRole, Caller, On, Principal, Role, TenantState};
use exarch_common_base::UserId;
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Somebody, with the name they are shown by.
pub type Known = (Caller, String);

/// The people of a tenant, and its state.
pub struct Tenants {
    /// Those who could enter it.
    pub people: Vec<Known>,
    /// Its state.
    pub state: TenantState,
}

/// The people of the transaction's tenant at `at`; since when it is known, where that is later.
///
/// # Errors
/// The database.
pub async fn of_tenant(
    tx: &mut TenantTx,
    at: OffsetDateTime,
) -> Result<Result<Tenants, Option<OffsetDateTime>>, DbError> {
    let tenant = tx.tenant();
    let since = store::since(tx).await?;
    if since.is_none_or(|since| at < since) {
        return Ok(Err(since));
    }
    let state = store::tenant_state(tx.conn(), tenant, at).await?;
    // a state that is not known is an incident, as everywhere
    let Ok(state) = state.as_deref().unwrap_or_default().parse::<TenantState>();
    let custom = store::custom_roles(tx, at).await?;
    let custom: Vec<_> = custom.into_iter().filter_map(Stored::read).collect();
    let members = store::members(tx, at).await?;
    let people = members.into_iter().map(|member| {
        let roles = BoundRole::among(&custom, &member.roles)
            .into_iter()
            .map(|role| Binding {
                role,
                on: On::Tenant(tenant),
                until: member.until_at,
            });
        let caller = Caller::of(Principal::User(member.user_id.into())).tenant(tenant, state);
        (caller.bindings(roles).build(at), member.display_name)
    });
    Ok(Ok(Tenants {
        people: people.collect(),
        state,
    }))
}

/// The provider's people at `at`.
///
/// # Errors
/// The database.
pub async fn staff(tx: &mut SystemTx, at: OffsetDateTime) -> Result<Vec<Known>, DbError> {
    let mut people: BTreeMap<UserId, (String, Vec<Binding>)> = BTreeMap::new();
    for row in store::staff(tx, at).await? {
        // a role that this build does not know gives nothing
        let Ok(role) = row.role.parse::<Role>() else {
            continue;
        };
        let held = people
            .entry(row.user_id.into())
            .or_insert((row.display_name, Vec::new()));
        held.1.push(Binding {
            role: role.into(),
            on: On::System,
            until: row.until_at,
        });
    }
    let people = people.into_iter().map(|(user, (name, bindings))| {
        let caller = Caller::of(Principal::User(user)).bindings(bindings).build(at);
        (caller, name)
    });
    Ok(people.collect())
}
