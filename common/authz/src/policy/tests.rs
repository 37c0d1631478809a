use super::*;
use crate::{Access, Binding, CallerKind, On, PermissionSet, perm};
use proptest::prelude::*;
use time::macros::datetime;
use uuid::Uuid;

fn tenant(n: u128) -> TenantId {
    Uuid::from_u128(n).into()
}

fn cluster(n: u128) -> ClusterId {
    Uuid::from_u128(n).into()
}

fn user() -> Principal {
    Principal::User(Uuid::from_u128(9).into())
}

/// A person in tenant 1 with these bindings.
fn caller(state: TenantState, bindings: &[Binding]) -> Caller {
    Caller::of(user())
        .tenant(tenant(1), state)
        .bindings(bindings.iter().cloned())
        .build(datetime!(2026-01-01 12:00 UTC))
}

fn tenant_role(role: Role, state: TenantState) -> Caller {
    caller(state, &[Binding::new(role, On::Tenant(tenant(1)))])
}

fn status<A: Action>(caller: &Caller, target: Target) -> u16 {
    match check::<A>(caller, target) {
        Ok(_) => 200,
        Err(refusal) => refusal.status(),
    }
}

#[test]
fn the_permit_says_who_may_do_what_on_which_target() {
    let admin = tenant_role(Role::TenantAdmin, TenantState::Active);
    let target = Target::Cluster(tenant(1), cluster(2));
    let permit = check::<perm::agent::Revoke>(&admin, target).expect("a tenant-admin may revoke agents");
    assert_eq!(permit.caller().principal(), user());
    assert_eq!(permit.on(), target);
    assert_eq!(permit.permission().name(), "agent.revoke");
    assert_eq!(permit.clusters(), Clusters::Only(vec![cluster(2)]));
}

#[test]
fn a_cluster_role_lists_its_clusters_and_makes_none() {
    let bound = [3, 2].map(|n| Binding::new(Role::ClusterAdmin, On::Cluster(tenant(1), cluster(n))));
    let admin = caller(TenantState::Active, &bound);
    let listed = check::<perm::cluster::List>(&admin, Target::Clusters(tenant(1))).expect("it has clusters to list");
    assert_eq!(listed.clusters(), Clusters::Only(vec![cluster(2), cluster(3)]));
    assert_eq!(status::<perm::cluster::Create>(&admin, Target::Tenant(tenant(1))), 403);
    assert_eq!(status::<perm::membership::List>(&admin, Target::Tenant(tenant(1))), 403);
    assert_eq!(
        status::<perm::agent::Revoke>(&admin, Target::Cluster(tenant(1), cluster(2))),
        200
    );
    assert_eq!(
        status::<perm::agent::Revoke>(&admin, Target::Cluster(tenant(1), cluster(4))),
        404
    );
}

#[test]
fn a_list_covers_only_the_clusters_in_which_its_permission_is_held() {
    let leases: PermissionSet = [perm::lease::List::PERMISSION].into_iter().collect();
    let hosts: PermissionSet = [perm::host::List::PERMISSION].into_iter().collect();
    let sets = [
        (leases, On::Cluster(tenant(1), cluster(1))),
        (hosts, On::Cluster(tenant(1), cluster(2))),
    ];
    let mixed = Caller::of(user())
        .tenant(tenant(1), TenantState::Active)
        .holding(&sets, false);
    let listed =
        check::<perm::lease::List>(&mixed, Target::Clusters(tenant(1))).expect("it lists leases in one cluster");
    assert_eq!(listed.clusters(), Clusters::Only(vec![cluster(1)]));
}

#[test]
fn seeing_without_doing_is_403_and_not_seeing_is_404() {
    let reader = tenant_role(Role::ReadOnly, TenantState::Active);
    assert_eq!(
        status::<perm::agent::Revoke>(&reader, Target::Cluster(tenant(1), cluster(2))),
        403
    );
    assert_eq!(
        status::<perm::lease::Read>(&reader, Target::Cluster(tenant(2), cluster(2))),
        404
    );
    assert_eq!(status::<perm::tenant::List>(&reader, Target::System), 403);
}

#[test]
fn staff_see_no_tenant_from_inside() {
    let staff = Caller::of(user())
        .bindings([Binding::new(Role::SystemAdmin, On::System)])
        .build(datetime!(2026-01-01 12:00 UTC));
    assert_eq!(status::<perm::tenant::Create>(&staff, Target::System), 200);
    assert_eq!(status::<perm::user::List>(&staff, Target::Tenant(tenant(1))), 404);
    assert_eq!(status::<perm::user::List>(&staff, Target::System), 403);
    assert_eq!(status::<perm::lease::List>(&staff, Target::Clusters(tenant(1))), 404);
}

#[test]
fn a_local_operator_runs_the_region_and_sees_no_tenant_from_inside() {
    let operator = Caller::of(Principal::Operator(Uuid::from_u128(5).into()))
        .bindings([Binding::new(Role::RegionalOperator, On::Region)])
        .build(datetime!(2026-01-01 12:00 UTC));
    assert_eq!(status::<perm::agent::Revoke>(&operator, Target::Region), 200);
    assert_eq!(status::<perm::workload::List>(&operator, Target::Region), 403);
    assert_eq!(
        status::<perm::agent::Revoke>(&operator, Target::Cluster(tenant(1), cluster(1))),
        404
    );
}

#[test]
fn billing_stops_writes_with_402_and_only_for_those_who_hold_them() {
    let target = Target::Cluster(tenant(1), cluster(2));
    let admin = tenant_role(Role::TenantAdmin, TenantState::SuspendedBilling);
    assert_eq!(status::<perm::lease::Read>(&admin, target), 200);
    assert_eq!(status::<perm::agent::Revoke>(&admin, target), 402);
    let reader = tenant_role(Role::ReadOnly, TenantState::SuspendedBilling);
    assert_eq!(status::<perm::agent::Revoke>(&reader, target), 403);
}

#[test]
fn in_an_incident_only_administrators_and_auditors_read() {
    for role in Role::ALL.into_iter().filter(|role| role.scope() == Scope::Tenant) {
        let caller = tenant_role(role, TenantState::SuspendedIncident);
        let expected = if matches!(role, Role::TenantAdmin | Role::Auditor) {
            200
        } else {
            403
        };
        assert_eq!(
            status::<perm::lease::Read>(&caller, Target::Cluster(tenant(1), cluster(2))),
            expected,
            "{role}"
        );
        assert_eq!(
            status::<perm::agent::Revoke>(&caller, Target::Cluster(tenant(1), cluster(2))),
            403,
            "{role}"
        );
    }
}

#[test]
fn nobody_is_asked_to_sign_in() {
    let refusal = Refusal::unknown(perm::agent::Revoke::PERMISSION, Target::Clusters(tenant(1)));
    assert_eq!(refusal.status(), 401);
    assert_eq!(refusal.to_string(), "Sign in first.");
    assert!(
        refusal
            .why()
            .to_string()
            .starts_with("an unknown caller may not agent.revoke (cluster scope) on ")
    );
}

#[test]
fn why_names_the_permission_its_scope_and_the_missing_grant() {
    let reader = tenant_role(Role::ReadOnly, TenantState::Active);
    let refusal = check::<perm::agent::Revoke>(&reader, Target::Cluster(tenant(1), cluster(2))).unwrap_err();
    assert_eq!(
        refusal.why().to_string(),
        "user usr_00000000000000000000000000000009 may not agent.revoke (cluster scope) on \
         clu_00000000000000000000000000000002 of ten_00000000000000000000000000000001: no binding that covers it holds the \
         permission; missing is one of tenant-admin, cluster-admin"
    );
    assert_eq!(refusal.to_string(), "You need the permission agent.revoke for this.");
}

#[test]
fn a_404_tells_nothing_of_what_it_hides() {
    let reader = tenant_role(Role::ReadOnly, TenantState::Active);
    let foreign = check::<perm::agent::Revoke>(&reader, Target::Cluster(tenant(2), cluster(2))).unwrap_err();
    assert_eq!(foreign.to_string(), "There is no such thing here.");
}

// --- properties -----------------------------------------------------------------------------------------------

fn some_permission() -> impl Strategy<Value = Permission> {
    proptest::sample::select(Permission::all().collect::<Vec<_>>())
}

fn some_set() -> impl Strategy<Value = PermissionSet> {
    let all: Vec<Permission> = Permission::all().collect();
    let count = all.len();
    proptest::sample::subsequence(all, 0..=count).prop_map(|some| some.into_iter().collect())
}

/// Few tenants and clusters, so that they often meet.
fn some_tenant() -> impl Strategy<Value = TenantId> {
    (1u128..3).prop_map(tenant)
}

fn some_cluster() -> impl Strategy<Value = ClusterId> {
    (1u128..4).prop_map(cluster)
}

fn somewhere() -> impl Strategy<Value = On> {
    prop_oneof![
        Just(On::System),
        Just(On::Region),
        some_tenant().prop_map(On::Tenant),
        (some_tenant(), some_cluster()).prop_map(|(t, c)| On::Cluster(t, c)),
    ]
}

fn some_target() -> impl Strategy<Value = Target> {
    prop_oneof![
        Just(Target::System),
        Just(Target::Region),
        some_tenant().prop_map(Target::Tenant),
        some_tenant().prop_map(Target::Clusters),
        (some_tenant(), some_cluster()).prop_map(|(t, c)| Target::Cluster(t, c)),
    ]
}

/// Mostly people, as most bindings are theirs.
fn some_principal() -> impl Strategy<Value = Principal> {
    let id = Uuid::from_u128(9);
    prop_oneof![
        5 => Just(Principal::User(id.into())),
        1 => Just(Principal::ApiKey(id.into())),
        1 => Just(Principal::Agent(id.into())),
        1 => Just(Principal::Region(id.into())),
        1 => Just(Principal::Global),
        2 => Just(Principal::Operator(id.into())),
    ]
}

/// Mostly active, as a suspended tenant hides what else may be wrong.
fn some_state() -> impl Strategy<Value = TenantState> {
    prop_oneof![1 => Just(TenantState::Active), 1 => proptest::sample::select(TenantState::ALL.to_vec())]
}

type Held = Vec<(PermissionSet, On)>;

fn some_holdings() -> impl Strategy<Value = Held> {
    proptest::collection::vec((some_set(), somewhere()), 0..5)
}

#[derive(Debug, Clone)]
struct Someone {
    principal: Principal,
    tenant: Option<(TenantId, TenantState)>,
    reads_in_incident: bool,
}

impl Someone {
    fn holding(&self, held: &Held) -> Caller {
        let mut builder = Caller::of(self.principal);
        if let Some((tenant, state)) = self.tenant {
            builder = builder.tenant(tenant, state);
        }
        builder.holding(held, self.reads_in_incident)
    }
}

fn someone() -> impl Strategy<Value = Someone> {
    let tenant = proptest::option::weighted(0.9, (some_tenant(), some_state()));
    (some_principal(), tenant, any::<bool>()).prop_map(|(principal, tenant, reads_in_incident)| Someone {
        principal,
        tenant,
        reads_in_incident,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn more_bindings_never_turn_a_yes_into_a_no(
        who in someone(), held in some_holdings(), more in some_holdings(),
        permission in some_permission(), target in some_target(),
    ) {
        let before = decide(&who.holding(&held), permission, target);
        let all = held.iter().chain(&more).copied().collect();
        if before.is_ok() {
            prop_assert_eq!(decide(&who.holding(&all), permission, target), Ok(()));
        }
    }

    #[test]
    fn another_tenant_is_always_404(
        who in someone(), held in some_holdings(), permission in some_permission(), target in some_target(),
    ) {
        if target.tenant().is_some() && target.tenant() != who.tenant.map(|(id, _)| id) {
            prop_assert_eq!(decide(&who.holding(&held), permission, target), Err(Reason::OtherTenant));
        }
    }

    #[test]
    fn what_is_bound_to_clusters_never_passes_for_another(
        who in someone(), held in some_holdings(), permission in some_permission(), t in some_tenant(), c in some_cluster(),
    ) {
        let elsewhere: Held = held.into_iter().filter(|(_, on)| matches!(on, On::Cluster(at, in_) if (*at, *in_) != (t, c))).collect();
        let caller = who.holding(&elsewhere);
        let refused = decide(&caller, permission, Target::Cluster(t, c));
        prop_assert!(matches!(refused, Err(Reason::OtherTenant | Reason::OtherCluster)), "{:?}", refused);
        prop_assert!(decide(&caller, permission, Target::Tenant(t)).is_err());
    }

    /// A second writing of the policy, by search through the bindings as they were given.
    #[test]
    fn a_yes_rests_on_a_binding_that_covers_the_target(
        who in someone(), held in some_holdings(), permission in some_permission(), target in some_target(),
    ) {
        let kind = who.principal.kind();
        let rests = held.iter().any(|(set, on)| set.contains(permission) && match (on, target) {
            (On::System, Target::System) => kind == CallerKind::User && permission.scope() == Scope::System,
            (On::Region, Target::Region) =>
                kind == CallerKind::Operator && matches!(permission.scope(), Scope::Region | Scope::Cluster),
            (On::Tenant(a), Target::Tenant(b)) => a == &b && matches!(permission.scope(), Scope::Tenant | Scope::Cluster),
            (On::Tenant(a), Target::Clusters(b) | Target::Cluster(b, _)) | (On::Cluster(a, _), Target::Clusters(b)) =>
                a == &b && permission.scope() == Scope::Cluster,
            (On::Cluster(a, c), Target::Cluster(b, d)) => (a, c) == (&b, &d) && permission.scope() == Scope::Cluster,
            _ => false,
        });
        let in_tenant = target.tenant().is_some();
        let person = matches!(kind, CallerKind::User | CallerKind::ApiKey);
        let in_force = who.tenant.map(|(id, _)| id) == target.tenant();
        let state_leaves_it = match who.tenant {
            Some((_, TenantState::Active | TenantState::SuspendedHold)) => true,
            Some((_, TenantState::SuspendedBilling)) => permission.access() != Access::Write,
            Some((id, TenantState::SuspendedIncident)) => {
                let tenant_wide = held.iter().any(|(set, on)| *on == On::Tenant(id) && !set.is_empty());
                who.reads_in_incident && tenant_wide && permission.access() == Access::Read
            }
            Some((_, TenantState::Deleting)) => permission.access() == Access::Export,
            Some((_, TenantState::Deleted)) | None => false,
        };
        let expected = rests && (!in_tenant || (person && in_force && state_leaves_it));
        prop_assert_eq!(decide(&who.holding(&held), permission, target).is_ok(), expected);
    }

    #[test]
    fn every_refusal_has_a_status_of_the_written_policy(
        who in someone(), held in some_holdings(), target in some_target(),
    ) {
        if let Err(refusal) = check::<perm::agent::Revoke>(&who.holding(&held), target) {
            prop_assert!([402, 403, 404].contains(&refusal.status()));
            prop_assert!(refusal.why().to_string().contains("may not agent.revoke"));
        }
    }
}
