//! The reverse question: who may do this, there, and by which of their bindings? It is put to the same policy as every request.
use crate::{Binding, Caller, Permission, Target, TenantState, policy};

/// Those of `callers` whom the policy allows `permission` on `target`, each with the bindings any of which would be enough.
pub fn who_can(
    callers: impl IntoIterator<Item = Caller>,
    permission: Permission,
    target: Target,
) -> Vec<(Caller, Vec<Binding>)> {
    let allowed = callers
        .into_iter()
        .filter(|caller| policy::allows(caller, permission, target).is_ok());
    allowed
        .map(|caller| {
            let enough = caller
                .bindings()
                .iter()
                .filter(|binding| alone(&caller, binding, permission, target));
            let enough = enough.cloned().collect();
            (caller, enough)
        })
        .collect()
}

/// Whether somebody who had this binding and no other could do it, as far as bindings go.
fn alone(caller: &Caller, binding: &Binding, permission: Permission, target: Target) -> bool {
    let mut one = Caller::of(caller.principal());
    if let Some(tenant) = caller.tenant() {
        one = one.tenant(tenant, TenantState::Active);
    }
    if let Some(role) = caller.at_most() {
        one = one.at_most(role.clone());
    }
    let one = one.bindings([binding.clone()]).build(caller.as_of());
    policy::allows(&one, permission, target).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{On, Principal, Role, Scope};
    use proptest::prelude::*;
    use time::{Duration, OffsetDateTime, macros::datetime};
    use uuid::Uuid;

    const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn some_binding() -> impl Strategy<Value = Binding> {
        let end = proptest::option::of((-2i64..3).prop_map(|hours| NOW + Duration::hours(hours)));
        let role = proptest::sample::select(Role::ALL.to_vec());
        (role, 1u128..3, 1u128..3, end).prop_map(|(role, t, c, until)| {
            let (t, c) = (Uuid::from_u128(t).into(), Uuid::from_u128(c).into());
            let on = match role.scope() {
                Scope::System => On::System,
                Scope::Tenant => On::Tenant(t),
                Scope::Region => On::Region,
                Scope::Cluster => On::Cluster(t, c),
            };
            Binding {
                until,
                ..Binding::new(role, on)
            }
        })
    }

    fn caller(n: u128, state: TenantState, bindings: Vec<Binding>) -> Caller {
        Caller::of(Principal::User(Uuid::from_u128(n).into()))
            .tenant(Uuid::from_u128(1).into(), state)
            .bindings(bindings)
            .build(NOW)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn it_names_exactly_those_whom_the_policy_allows_and_what_they_need_for_it(
            people in proptest::collection::vec(proptest::collection::vec(some_binding(), 0..4), 0..6),
            state in proptest::sample::select(TenantState::ALL.to_vec()),
            permission in proptest::sample::select(Permission::all().collect::<Vec<_>>()),
            (kind, cluster) in (0..4, 1u128..3),
        ) {
            let (tenant, cluster) = (Uuid::from_u128(1).into(), Uuid::from_u128(cluster).into());
            let target = match kind {
                0 => Target::System,
                1 => Target::Tenant(tenant),
                2 => Target::Clusters(tenant),
                _ => Target::Cluster(tenant, cluster),
            };
            let callers: Vec<Caller> = (0u128..).zip(people).map(|(n, held)| caller(n, state, held)).collect();
            let named = who_can(callers.clone(), permission, target);
            for each in &callers {
                let found = named.iter().find(|(caller, _)| caller.principal() == each.principal());
                prop_assert_eq!(found.is_some(), policy::allows(each, permission, target).is_ok());
                if let Some((_, enough)) = found {
                    prop_assert!(!enough.is_empty());
                    let rest = each.bindings().iter().filter(|b| !enough.contains(b)).cloned().collect();
                    prop_assert!(policy::allows(&caller(99, state, rest), permission, target).is_err());
                }
            }
        }
    }
}
