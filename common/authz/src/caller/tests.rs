use super::*;
use crate::Role;
use proptest::prelude::*;
use time::{Duration, macros::datetime};
use uuid::Uuid;

const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

fn tenant(n: u128) -> TenantId {
    Uuid::from_u128(n).into()
}

fn cluster(n: u128) -> ClusterId {
    Uuid::from_u128(n).into()
}

fn user(bindings: &[Binding]) -> Caller {
    let principal = Principal::User(Uuid::from_u128(9).into());
    Caller::of(principal)
        .tenant(tenant(1), TenantState::Active)
        .bindings(bindings.iter().cloned())
        .build(NOW)
}

#[test]
fn a_tenant_role_covers_all_clusters_and_a_cluster_role_its_own() {
    let auditor = user(&[Binding::new(Role::Auditor, On::Tenant(tenant(1)))]);
    assert_eq!(auditor.clusters(), Clusters::All);
    let bound = [4, 2, 4].map(|n| Binding::new(Role::ClusterOperator, On::Cluster(tenant(1), cluster(n))));
    let operator = user(&bound);
    assert_eq!(operator.clusters(), Clusters::Only(vec![cluster(2), cluster(4)]));
    assert!(operator.sees(cluster(4)) && !operator.sees(cluster(3)));
    assert_eq!(user(&[]).clusters(), Clusters::Only(vec![]));
}

#[test]
fn roles_in_the_same_cluster_add_up() {
    let on = On::Cluster(tenant(1), cluster(2));
    let both = user(&[
        Binding::new(Role::ClusterOperator, on),
        Binding::new(Role::ClusterAdmin, on),
    ]);
    assert_eq!(both.in_cluster(cluster(2)), Role::ClusterAdmin.permissions());
    assert!(both.in_cluster(cluster(3)).is_empty());
}

#[test]
fn a_binding_that_has_ended_gives_nothing() {
    let until = |until| Binding {
        until: Some(until),
        ..Binding::new(Role::Auditor, On::Tenant(tenant(1)))
    };
    assert!(user(&[until(NOW)]).tenant_wide().is_empty());
    assert!(!user(&[until(NOW + Duration::SECOND)]).tenant_wide().is_empty());
}

#[test]
fn a_binding_in_another_tenant_gives_nothing() {
    let other = user(&[
        Binding::new(Role::TenantAdmin, On::Tenant(tenant(2))),
        Binding::new(Role::ClusterAdmin, On::Cluster(tenant(2), cluster(2))),
    ]);
    assert!(other.tenant_wide().is_empty() && !other.reads_in_incident());
    assert_eq!(other.clusters(), Clusters::Only(vec![]));
}

#[test]
fn a_role_bound_at_a_scope_that_is_not_its_own_gives_nothing() {
    let wrong = user(&[
        Binding::new(Role::SystemAdmin, On::Tenant(tenant(1))),
        Binding::new(Role::TenantAdmin, On::System),
        Binding::new(Role::TenantAdmin, On::Cluster(tenant(1), cluster(2))),
        Binding::new(Role::ClusterAdmin, On::Tenant(tenant(1))),
    ]);
    assert!(wrong.system().is_empty() && wrong.tenant_wide().is_empty());
    assert_eq!(wrong.clusters(), Clusters::Only(vec![]));
}

#[test]
fn agents_and_peers_hold_nothing_and_operators_only_their_region() {
    let all = [
        Binding::new(Role::SystemAdmin, On::System),
        Binding::new(Role::TenantAdmin, On::Tenant(tenant(1))),
        Binding::new(Role::ClusterAdmin, On::Cluster(tenant(1), cluster(2))),
        Binding::new(Role::RegionalOperator, On::Region),
    ];
    let held = |principal| {
        let caller = Caller::of(principal)
            .tenant(tenant(1), TenantState::Active)
            .bindings(all.clone())
            .build(NOW);
        let sets = [
            caller.system(),
            caller.tenant_wide(),
            caller.region(),
            caller.bound_to(cluster(2)),
        ];
        sets.map(|set| !set.is_empty())
    };
    let id = Uuid::from_u128(7);
    assert_eq!(held(Principal::User(id.into())), [true, true, false, true]);
    assert_eq!(held(Principal::ApiKey(id.into())), [false, true, false, true]);
    assert_eq!(held(Principal::Operator(id.into())), [false, false, true, false]);
    assert_eq!(held(Principal::Agent(id.into())), [false; 4]);
    assert_eq!(held(Principal::Region(id.into())), [false; 4]);
    assert_eq!(held(Principal::Global), [false; 4]);
}

fn roles() -> impl Strategy<Value = BoundRole> {
    let custom = (
        proptest::sample::select(&Scope::ALL[..]),
        proptest::collection::vec(proptest::sample::select(Permission::all().collect::<Vec<_>>()), 0..8),
    );
    let custom = custom.prop_map(|(scope, some)| {
        let names = some.iter().map(|permission| permission.name());
        BoundRole::Custom(Arc::new(crate::CustomRole::new("own".into(), scope, names)))
    });
    prop_oneof![
        proptest::sample::select(&Role::ALL[..]).prop_map(BoundRole::from),
        custom
    ]
}

proptest! {
    #[test]
    fn a_key_never_holds_what_its_owner_or_its_role_does_not(
        bound in proptest::collection::vec((roles(), 0..6_u128, -1..2_i64), 0..6),
        role in roles(),
    ) {
        let bindings = bound.into_iter().map(|(role, place, until)| Binding {
            role,
            on: match place {
                0 => On::System,
                1 => On::Region,
                2 => On::Tenant(tenant(1)),
                3 => On::Tenant(tenant(2)),
                n => On::Cluster(tenant(1), cluster(n)),
            },
            until: (until != 0).then(|| NOW + Duration::hours(until)),
        });
        let bindings: Vec<_> = bindings.collect();
        let owner = user(&bindings);
        let key = Caller::of(Principal::ApiKey(Uuid::from_u128(8).into()))
            .tenant(tenant(1), TenantState::Active)
            .bindings(bindings)
            .at_most(role.clone())
            .build(NOW);
        prop_assert!(key.system().is_empty() && key.region().is_empty());
        prop_assert!(key.tenant_wide().is_subset(owner.tenant_wide()));
        prop_assert!(key.tenant_wide().is_subset(role.permissions()));
        for n in 4..6 {
            prop_assert!(key.in_cluster(cluster(n)).is_subset(owner.in_cluster(cluster(n))));
            prop_assert!(key.in_cluster(cluster(n)).is_subset(role.permissions()));
            prop_assert!(!key.sees(cluster(n)) || owner.sees(cluster(n)));
        }
        prop_assert!(!key.reads_in_incident() || owner.reads_in_incident());
    }
}

#[test]
fn a_key_of_an_administrator_with_the_role_of_an_auditor_audits() {
    let key = Caller::of(Principal::ApiKey(Uuid::from_u128(8).into()))
        .tenant(tenant(1), TenantState::SuspendedIncident)
        .bindings([Binding::new(Role::TenantAdmin, On::Tenant(tenant(1)))])
        .at_most(Role::Auditor.into())
        .build(NOW);
    assert_eq!(key.tenant_wide(), Role::Auditor.permissions());
    assert!(key.reads_in_incident());
}
