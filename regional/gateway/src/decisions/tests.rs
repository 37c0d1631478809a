//! Refusals, kept and explained, at the real router.
use super::Forget;
use crate::{
    audit::{Origin, Refusals},
    gate::UserCaller,
    testing::{Actor, Limits, World},
};
use exarch_common_authz::{Binding, Caller, On, Principal, Role, Target, TenantState, perm};
use exarch_common_base::TenantId;
use exarch_common_runtime::Reconcile;
use exarch_common_testkit::cut::{Break, Call, Moment};
use exarch_common_wire::passport::{Membership, User};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Writes what waits.
async fn write(world: &World) {
    let stop = CancellationToken::new();
    stop.cancel();
    Refusals::keep(world.app.clone(), stop).await;
}

fn path(refused: &Value) -> String {
    format!("/v1/decisions/{}", refused["decision_id"].as_str().unwrap())
}

/// Somebody who signs in as the passport has it, with `role` in the whole tenant.
fn known(world: &World, tenant: TenantId, role: Role) -> String {
    let user = world.app.ambient.id();
    let membership = Membership {
        id: Some(world.app.ambient.id()),
        user,
        roles: vec![role.slug().to_owned()],
        until: None,
        break_glass: None,
    };
    world.alter(tenant, |tenant| {
        tenant.users.push(User {
            id: user,
            display_name: "Ada".to_owned(),
            state: "active".to_owned(),
        });
        tenant.memberships.push(membership);
    });
    user.to_string()
}

#[tokio::test]
async fn who_was_refused_is_told_why_and_who_reads_the_audit_who_could_help() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = known(&world, tenant, Role::TenantAdmin);
    known(&world, tenant, Role::Auditor);
    let reader = world.person(tenant, Role::ReadOnly);
    let refused = reader.get("/v1/audit").await.problem(403, "permission-denied");
    let unwritten = reader.get(&path(&refused)).await.expect(200);
    write(&world).await;
    let told = reader.get(&path(&refused)).await.expect(200);
    assert_eq!(told, unwritten);
    assert_eq!(told["permission"], "audit.list");
    assert_eq!(told["scope"], "tenant");
    assert_eq!(told["reason"], "not-held");
    assert_eq!(told["missing"], json!(["tenant-admin", "auditor"]));
    assert_eq!(told["target"], json!({ "kind": "tenant", "tenant_id": tenant }));
    assert_eq!(told["held"][0]["role"], "read-only");
    assert_eq!(told["givers"], json!({ "permission": "membership.grant" }));
    assert_eq!(
        (&told["replay_agrees"], &told["allowed_now"]),
        (&json!(true), &json!(false))
    );
    let auditor = world.person(tenant, Role::Auditor);
    let whole = auditor.get(&path(&refused)).await.expect(200);
    assert_eq!(
        whole["givers"]["people"],
        json!([{ "id": admin, "display_name": "Ada" }])
    );
    assert_eq!(whole["caller"], told["caller"]);
}

#[tokio::test]
async fn the_refusals_of_others_are_not_there() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let reader = world.person(a, Role::ReadOnly);
    let refused = reader.get("/v1/audit").await.expect(403);
    for _ in 0..2 {
        for other in [world.person(a, Role::ReadOnly), world.person(b, Role::TenantAdmin)] {
            other.get(&path(&refused)).await.problem(404, "not-found");
        }
        write(&world).await;
    }
    world
        .anonymous()
        .get(&path(&refused))
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn what_a_404_hides_its_explanation_hides() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let (own, other) = (admin.cluster("own").await, admin.cluster("other").await);
    let operator = world.cluster_person(tenant, own, Role::ClusterOperator);
    let none: exarch_common_base::ClusterId = world.app.ambient.id();
    let mut told = Vec::new();
    for cluster in [other, none] {
        let refused = operator
            .get(&format!("/v1/clusters/{cluster}"))
            .await
            .problem(404, "not-found");
        let mut why = operator.get(&path(&refused)).await.expect(200);
        assert_eq!(why["reason"], "not-found");
        assert!(why.get("target").is_none() && why["missing"] == json!([]), "{why}");
        let fields = why.as_object_mut().unwrap();
        fields.remove("id");
        fields.remove("at");
        told.push(why);
        let whole = admin.get(&path(&refused)).await.expect(200);
        assert_eq!(whole["reason"], "other-cluster");
        assert_eq!(whole["target"]["cluster_id"], json!(cluster));
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn what_was_given_since_is_seen() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let caller = of(&world, tenant, &[]);
    let refused = caller
        .check::<perm::audit::List>(Target::Tenant(tenant))
        .expect_err("nothing is held");
    let id = refused.document().decision_id.clone().unwrap();
    let auditor = world.person(tenant, Role::Auditor);
    let ask = async || auditor.get(&format!("/v1/decisions/{id}")).await.expect(200);
    assert_eq!(ask().await["allowed_now"], false);
    let Principal::User(user) = caller.principal() else {
        panic!("a person")
    };
    world.alter(tenant, |section| {
        section.users.push(User {
            id: user,
            display_name: "Bea".to_owned(),
            state: "active".to_owned(),
        });
        section.memberships.push(Membership {
            id: None,
            user,
            roles: vec!["auditor".to_owned()],
            until: None,
            break_glass: None,
        });
    });
    let told = ask().await;
    assert_eq!(
        (&told["allowed_now"], &told["replay_agrees"]),
        (&json!(true), &json!(true))
    );
}

#[tokio::test]
async fn they_are_kept_for_seven_days() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let reader = world.person(tenant, Role::ReadOnly);
    let refused = reader.get("/v1/audit").await.expect(403);
    write(&world).await;
    world.clock.advance(Duration::from_secs(7 * 24 * 3600 - 60));
    assert_eq!(Forget(world.app.clone()).pass().await.unwrap(), 0);
    reader.get(&path(&refused)).await.expect(200);
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(Forget(world.app.clone()).pass().await.unwrap(), 1);
    reader.get(&path(&refused)).await.problem(404, "not-found");
}

/// A person who is known to nobody but the policy.
fn of(world: &World, tenant: TenantId, roles: &[Role]) -> UserCaller {
    let bindings = roles.iter().map(|role| Binding::new(*role, On::Tenant(tenant)));
    let caller = Caller::of(Principal::User(world.app.ambient.id()))
        .tenant(tenant, TenantState::Active)
        .bindings(bindings)
        .build(world.app.ambient.now());
    UserCaller {
        owner: None,
        caller,
        tenant,
        break_glass: None,
        decided_offline: false,
        ids: world.app.ambient.clone(),
        origin: Origin::default(),
        refusals: world.app.refusals.clone(),
        decided_by: None,
    }
}

/// How often the tenant's audit has a refusal of this caller.
async fn audited(auditor: &Actor<'_>, caller: &UserCaller) -> usize {
    let path = format!("/v1/audit?limit=100&outcome=denied&actor_id={}", caller.principal());
    auditor.get(&path).await.expect(200)["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_flood_of_refusals_costs_the_database_little_and_crowds_nobody_out() {
    const SECONDS: u32 = 5;
    let (world, wire) = World::breaking().await;
    let tenant = world.tenant("a", Limits::default());
    let (flooder, other) = (
        of(&world, tenant, &[Role::ReadOnly]),
        of(&world, tenant, &[Role::ReadOnly]),
    );
    let auditor = world.person(tenant, Role::Auditor);
    let refuse = |caller: &UserCaller| {
        caller
            .check::<perm::audit::List>(Target::Tenant(tenant))
            .expect_err("it is not held")
    };
    let whole = Break {
        call: Call::Number(u32::MAX),
        moment: Moment::Before,
    };
    // a pass each quarter of a second, as the process does it
    let passes = SECONDS * 4;
    let flood = async {
        for pass in 0..passes {
            for _ in 0..50_000 / passes {
                assert!(refuse(&flooder).document().decision_id.is_some());
            }
            if pass % 4 == 3 {
                refuse(&other);
            }
            write(&world).await;
            world.clock.advance(Duration::from_millis(250));
        }
    };
    wire.during(whole, flood).await;
    assert!(wire.calls() > 0 && wire.calls() <= passes * 5, "{}", wire.calls());
    assert_eq!(audited(&auditor, &other).await, SECONDS as usize);
    assert_eq!(audited(&auditor, &flooder).await, 100);
    auditor.get("/v1/clusters").await.expect(200);
}
