mod change;

use super::Waiters;
use crate::testing::{Actor, Answer, Limits, World, told};
use exarch_common_authz::Role;
use exarch_common_base::{AgentId, ClusterId, ResourceId, WorkloadId};
use exarch_common_wire::agent::Assignments;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn new_workload(cluster: ClusterId, resource: ResourceId, name: &str) -> Value {
    json!({
        "cluster_id": cluster,
        "resource_id": resource,
        "name": name,
        "driver": { "kind": "process", "argv": ["/usr/bin/db", "--serve"], "volume": "/srv/db.img" },
    })
}

async fn workload(admin: &Actor<'_>, cluster: ClusterId, name: &str) -> WorkloadId {
    let resource = admin.resource(cluster, name).await;
    let made = admin
        .post("/v1/workloads", new_workload(cluster, resource, name))
        .await
        .expect(201);
    made["id"].as_str().unwrap().parse().unwrap()
}

async fn resource_of(admin: &Actor<'_>, workload: WorkloadId) -> ResourceId {
    let shown = admin.get(&format!("/v1/workloads/{workload}")).await.expect(200);
    shown["resource_id"].as_str().unwrap().parse().unwrap()
}

async fn start(actor: &Actor<'_>, workload: WorkloadId, agent: AgentId, wait: bool) -> Answer {
    let body = json!({ "agent_id": agent, "wait": wait });
    actor.post(&format!("/v1/workloads/{workload}/start"), body).await
}

async fn stop(actor: &Actor<'_>, workload: WorkloadId, body: Value) -> Answer {
    actor.post(&format!("/v1/workloads/{workload}/stop"), body).await
}

async fn poll(agent: &Actor<'_>, query: &str) -> Assignments {
    let answer = agent.get(&format!("/agent/v1/assignments?{query}")).await.expect(200);
    serde_json::from_value(answer).unwrap()
}

/// Until a long poll has had its first look and waits: it is known to the gateway and has given its connection back.
async fn until_waiting(world: &World) {
    loop {
        let (size, idle) = world.app.app_pool.usage();
        if !world.app.assignments.present().is_empty() && idle == size as usize {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Runs `work` while the gateway looks for waiting agents. What takes longer than ten seconds was not woken.
async fn looking<T>(world: &World, work: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(Waiters::keep(world.app.clone(), stop.clone()));
    let done = tokio::time::timeout(Duration::from_secs(10), work).await;
    stop.cancel();
    keeping.await.unwrap();
    done.expect("woken in time")
}

#[tokio::test]
async fn a_workload_runs_nowhere_until_it_is_started_and_the_agent_is_told() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let agent = world.agent(tenant, cluster, "edge-1").await;
    let id = agent.caller.id;
    let workload = workload(&admin, cluster, "db").await;
    assert_eq!(poll(&agent, "").await.items, []);
    let started = start(&admin, workload, id, false).await.expect(202);
    assert_eq!(started["agents"][0]["agent"], "edge-1");
    assert_eq!(
        (&started["agents"][0]["desired"], &started["version"]),
        (&json!("run"), &json!(2))
    );
    assert!(started["agents"][0].get("reported").is_none());
    let told = poll(&agent, "after=0").await;
    assert_eq!((told.version, told.items.len()), (1, 1));
    assert_eq!((told.items[0].workload, told.items[0].name.as_str()), (workload, "db"));
    let stopped = stop(&admin, workload, json!({})).await.expect(202);
    assert_eq!(stopped["agents"][0]["desired"], "stop");
    let told = poll(&agent, "after=1").await;
    assert_eq!((told.version, told.items.len()), (2, 0));
    let audit = admin.get(&format!("/v1/audit?target_id={workload}")).await.expect(200);
    let actions: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["action"].clone())
        .collect();
    assert_eq!(actions, ["workload.stop", "workload.start", "workload.create"]);
    assert_eq!(audit["items"][1]["after"], json!({ "agent_id": id, "desired": "run" }));
}

#[tokio::test]
async fn what_agents_say_is_shown_and_only_of_what_is_theirs() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let admin = world.person(a, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let agent = world.agent(a, cluster, "edge-1").await;
    let id = agent.caller.id;
    let neighbour = world.agent(a, cluster, "edge-2").await;
    let other = world.person(b, Role::TenantAdmin).cluster("edge").await;
    let foreigner = world.agent(b, other, "edge-1").await;
    let workload = workload(&admin, cluster, "db").await;
    start(&admin, workload, id, false).await.expect(202);
    let path = "/agent/v1/assignments/status";
    let running = json!({
        "workload": workload, "state": "running", "detail": "é".repeat(600), "fence": "1.7", "of_a_later_version": [1],
    });
    agent.post(path, running.clone()).await.expect(204);
    let shown = admin.get(&format!("/v1/workloads/{workload}")).await.expect(200);
    let reported = &shown["agents"][0]["reported"];
    assert_eq!(
        (&reported["state"], &reported["fence"]),
        (&json!("running"), &json!("1.7"))
    );
    assert_eq!(reported["detail"].as_str().unwrap().chars().count(), 500);
    let listed = admin.get("/v1/workloads").await.expect(200);
    assert_eq!(listed["items"][0], shown);
    for stranger in [&neighbour, &foreigner] {
        let lie = json!({ "workload": workload, "state": "failed", "detail": "x", "fence": null });
        stranger.post(path, lie).await.problem(404, "not-found");
    }
    assert_eq!(admin.get(&format!("/v1/workloads/{workload}")).await.expect(200), shown);
    for (field, value) in [
        ("state", json!("dancing")),
        ("detail", json!("a\0b")),
        ("fence", json!("1")),
        ("workload", json!(id)),
    ] {
        let mut bad = running.clone();
        bad[field] = value;
        agent.post(path, bad).await.problem(422, "invalid-value");
    }
}

#[tokio::test]
async fn while_another_agent_holds_the_lease_a_start_is_refused_unless_it_waits() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let holder_agent = world.agent(tenant, cluster, "holder").await;
    let holder = holder_agent.caller.id;
    let agent = world.agent(tenant, cluster, "second").await;
    let id = agent.caller.id;
    let workload = workload(&admin, cluster, "db").await;
    start(&admin, workload, holder, false).await.expect(202);
    world.lease(resource_of(&admin, workload).await, &holder_agent).await;
    let refused = start(&admin, workload, id, false).await.problem(409, "lease-held");
    assert_eq!(refused["holder"], "holder");
    let remaining = refused["remaining_ms"].as_u64().unwrap();
    assert!((1..=30_600).contains(&remaining), "{remaining}");
    let told = format!("Held by agent holder for another {} s", remaining.div_ceil(1000));
    assert!(refused["detail"].as_str().unwrap().starts_with(&told), "{refused}");
    assert_eq!(poll(&agent, "").await.items, []);
    let shown = admin.get(&format!("/v1/workloads/{workload}")).await.expect(200);
    assert_eq!(
        (shown["agents"].as_array().unwrap().len(), &shown["version"]),
        (1, &json!(2))
    );
    start(&admin, workload, holder, false).await.expect(202);
    let waiting = start(&admin, workload, id, true).await.expect(202);
    assert_eq!(waiting["agents"][1]["desired"], "wait");
    assert_eq!(poll(&agent, "after=0").await.items[0].workload, workload);
}

#[tokio::test]
async fn only_active_agents_of_the_workloads_cluster_can_be_told_to_start_it() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let (admin, other) = (world.person(a, Role::TenantAdmin), world.person(b, Role::TenantAdmin));
    let (cluster, second) = (admin.cluster("edge").await, admin.cluster("second").await);
    let foreign_cluster = other.cluster("edge").await;
    let agent = world.agent(a, cluster, "edge-1").await;
    let id = agent.caller.id;
    let elsewhere = world.agent(a, second, "edge-1").await.caller.id;
    let foreigner = world.agent(b, foreign_cluster, "edge-1").await;
    let foreign = foreigner.caller.id;
    let workload = workload(&admin, cluster, "db").await;
    let none = start(&admin, workload, Uuid::from_u128(1).into(), true)
        .await
        .problem(404, "not-found");
    let none = told(none);
    for agent in [elsewhere, foreign] {
        assert_eq!(
            told(start(&admin, workload, agent, true).await.problem(404, "not-found")),
            none
        );
    }
    world.run(a, "UPDATE gw.agent SET state = 'suspended'").await;
    start(&admin, workload, id, false)
        .await
        .problem(409, "agent-not-active");
    world.run(a, "UPDATE gw.agent SET state = 'active'").await;
    start(&admin, workload, id, false).await.expect(202);
    let unassigned = stop(&admin, workload, json!({ "agent_id": elsewhere })).await;
    unassigned.problem(404, "not-found");
    assert_eq!(poll(&agent, "").await.items.len(), 1);
    assert_eq!(
        (poll(&foreigner, "").await.items, poll(&foreigner, "").await.version),
        (vec![], 0)
    );
}

#[tokio::test]
async fn stopping_everywhere_tells_each_agent_and_twice_does_no_harm() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let first = world.agent(tenant, cluster, "edge-1").await;
    let one = first.caller.id;
    let second = world.agent(tenant, cluster, "edge-2").await;
    let two = second.caller.id;
    let workload = workload(&admin, cluster, "db").await;
    start(&admin, workload, one, false).await.expect(202);
    start(&admin, workload, two, true).await.expect(202);
    stop(&admin, workload, json!({ "agent_id": one })).await.expect(202);
    assert_eq!(
        (poll(&first, "").await.items.len(), poll(&second, "").await.items.len()),
        (0, 1)
    );
    let path = format!("/v1/workloads/{workload}/stop");
    admin.send(axum::http::Method::POST, &path, None).await.expect(202);
    let versions = (poll(&first, "").await.version, poll(&second, "").await.version);
    assert_eq!(versions, (2, 2));
    stop(&admin, workload, json!({})).await.expect(202);
    assert_eq!(
        (poll(&first, "").await.version, poll(&second, "").await.version),
        versions
    );
}

#[tokio::test]
async fn a_waiting_agent_is_woken_by_a_change_of_its_own_assignments() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let first = world.agent(tenant, cluster, "edge-1").await;
    let one = first.caller.id;
    let second = world.agent(tenant, cluster, "edge-2").await;
    let two = second.caller.id;
    let workload = workload(&admin, cluster, "db").await;
    start(&admin, workload, two, true).await.expect(202);
    let told = looking(&world, async {
        let waiting = poll(&first, "after=0&wait_ms=30000");
        let change = async {
            until_waiting(&world).await;
            start(&admin, workload, one, true).await.expect(202)
        };
        tokio::join!(waiting, change).0
    })
    .await;
    assert_eq!((told.version, told.items.len()), (1, 1));
    assert_eq!(poll(&second, "").await.version, 1);
    assert!(world.app.assignments.present().is_empty());
}

#[tokio::test]
async fn a_change_whose_notification_is_lost_wakes_all_the_same() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let agent = world.agent(tenant, cluster, "edge-1").await;
    let id = agent.caller.id;
    let workload = workload(&admin, cluster, "db").await;
    start(&admin, workload, id, false).await.expect(202);
    let told = looking(&world, async {
        let waiting = poll(&agent, "after=1&wait_ms=30000");
        let change = async {
            until_waiting(&world).await;
            world
                .run(tenant, "UPDATE gw.assignment_version SET version = version + 1")
                .await
        };
        tokio::join!(waiting, change).0
    })
    .await;
    assert_eq!(told.version, 2);
}

#[tokio::test]
async fn without_a_change_the_poll_ends_with_what_was_known() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let agent = world.agent(tenant, cluster, "edge-1").await;
    let told = looking(&world, poll(&agent, "after=0&wait_ms=300&of_a_later_version=1")).await;
    assert_eq!((told.version, told.items.len()), (0, 0));
    for bad in ["wait_ms=30001", "wait_ms=-1", "after=x", "after=1&after=2"] {
        agent
            .get(&format!("/agent/v1/assignments?{bad}"))
            .await
            .problem(400, "malformed-query");
    }
}

#[tokio::test]
async fn people_and_agents_do_not_pass_on_each_others_routes() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let agent = world.agent(tenant, cluster, "edge-1").await;
    agent.get("/v1/workloads").await.problem(404, "no-such-route");
    admin.get("/agent/v1/assignments").await.problem(404, "no-such-route");
}

#[tokio::test]
async fn another_tenants_workloads_are_told_from_none_by_nothing() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let (a_admin, b_admin) = (world.person(a, Role::TenantAdmin), world.person(b, Role::TenantAdmin));
    let (own, foreign_cluster) = (a_admin.cluster("edge").await, b_admin.cluster("edge").await);
    let id = world.agent(a, own, "edge-1").await.caller.id;
    let foreign = workload(&b_admin, foreign_cluster, "secret").await;
    let foreign_resource = b_admin.resource(foreign_cluster, "secret-volume").await;
    assert!(
        a_admin.get("/v1/workloads").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let nobody = WorkloadId::from(Uuid::from_u128(1));
    let look = |id| async move {
        a_admin
            .get(&format!("/v1/workloads/{id}"))
            .await
            .problem(404, "not-found")
    };
    assert_eq!(told(look(foreign).await), told(look(nobody).await));
    let begin = |workload| async move { start(&a_admin, workload, id, true).await.problem(404, "not-found") };
    assert_eq!(told(begin(foreign).await), told(begin(nobody).await));
    let end = |workload| async move { stop(&a_admin, workload, json!({})).await.problem(404, "not-found") };
    assert_eq!(told(end(foreign).await), told(end(nobody).await));
    let make = |cluster, resource| async move {
        let body = new_workload(cluster, resource, "secret");
        told(a_admin.post("/v1/workloads", body).await.problem(404, "not-found"))
    };
    let no_resource = ResourceId::from(Uuid::from_u128(1));
    assert_eq!(make(own, foreign_resource).await, make(own, no_resource).await);
    assert_eq!(
        make(foreign_cluster, foreign_resource).await,
        make(own, no_resource).await
    );
    let shown = b_admin.get(&format!("/v1/workloads/{foreign}")).await.expect(200);
    assert_eq!(shown["version"], 1);
}

#[tokio::test]
async fn whoever_holds_a_role_in_one_cluster_works_there_alone() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let (own, other) = (admin.cluster("own").await, admin.cluster("other").await);
    let id = world.agent(tenant, own, "edge-1").await.caller.id;
    let (seen, hidden) = (workload(&admin, own, "db").await, workload(&admin, other, "db").await);
    let operator = world.cluster_person(tenant, own, Role::ClusterOperator);
    let listed = operator.get("/v1/workloads").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    start(&operator, seen, id, false).await.expect(202);
    stop(&operator, seen, json!({})).await.expect(202);
    for answer in [
        operator.get(&format!("/v1/workloads/{hidden}")).await,
        start(&operator, hidden, id, false).await,
        stop(&operator, hidden, json!({})).await,
    ] {
        answer.problem(404, "not-found");
    }
    let volume = admin.resource(own, "volume").await;
    let made = operator.post("/v1/workloads", new_workload(own, volume, "mine")).await;
    made.problem(403, "permission-denied");
    let reader = world.person(tenant, Role::ReadOnly);
    start(&reader, seen, id, false).await.problem(403, "permission-denied");
    // two clusters, a role to look in one and to act in the other: known, and not permitted
    let mixed = world.cluster_people(tenant, &[(own, Role::ClusterAdmin), (other, Role::ClusterOperator)]);
    let volume = admin.resource(other, "volume").await;
    let made = mixed.post("/v1/workloads", new_workload(other, volume, "mine")).await;
    made.problem(403, "permission-denied");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_where() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let (cluster, other) = (admin.cluster("edge").await, admin.cluster("other").await);
    let resource = admin.resource(cluster, "volume").await;
    for (pointer, value) in [
        ("/name", json!("A")),
        ("/driver/argv", json!([])),
        ("/driver/argv", json!(vec!["x"; 65])),
        ("/driver/argv/0", json!([""])),
        ("/driver/volume", json!("relative")),
    ] {
        let mut body = new_workload(cluster, resource, "db");
        let field = pointer.trim_end_matches("/0");
        *body.pointer_mut(field).unwrap() = value;
        let problem = admin
            .post("/v1/workloads", body.clone())
            .await
            .problem(422, "invalid-value");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    for driver in [
        json!({ "kind": "qemu", "argv": ["x"], "volume": "/v" }),
        json!({ "kind": "process", "argv": ["x"], "volume": "/v", "user": "root" }),
        json!({ "kind": "process", "argv": ["x"] }),
        json!("process"),
    ] {
        let mut body = new_workload(cluster, resource, "db");
        body["driver"] = driver;
        admin.post("/v1/workloads", body).await.problem(422, "invalid-value");
    }
    let elsewhere = admin.post("/v1/workloads", new_workload(other, resource, "db")).await;
    elsewhere.problem(404, "not-found");
    admin
        .post("/v1/workloads", new_workload(cluster, resource, "db"))
        .await
        .expect(201);
    let taken = admin.post("/v1/workloads", new_workload(cluster, resource, "db")).await;
    taken.problem(409, "workload-name-taken");
    let start = "/v1/workloads/wrk_00000000000000000000000000000001/start";
    for body in [
        json!({}),
        json!({ "agent_id": "x" }),
        json!({ "agent_id": Uuid::nil(), "force": true }),
    ] {
        admin.post(start, body).await.problem(422, "invalid-value");
    }
}

#[tokio::test]
async fn starts_and_stops_at_once_leave_one_version_a_change_and_a_whole_audit() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let first = world.agent(tenant, cluster, "edge-1").await;
    let one = first.caller.id;
    let second = world.agent(tenant, cluster, "edge-2").await;
    let two = second.caller.id;
    let workloads = [
        workload(&admin, cluster, "a").await,
        workload(&admin, cluster, "b").await,
    ];
    let starts = (0..20).map(|n| start(&admin, workloads[n % 2], if n % 4 < 2 { one } else { two }, true));
    for answer in futures_util::future::join_all(starts).await {
        answer.expect(202);
    }
    let stops = workloads.map(|workload| stop(&admin, workload, json!({})));
    for answer in futures_util::future::join_all(stops).await {
        answer.expect(202);
    }
    assert_eq!(
        (poll(&first, "").await.version, poll(&second, "").await.version),
        (12, 12)
    );
    let audit = admin.get("/v1/audit?action=workload.start&limit=100").await.expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 20);
}
