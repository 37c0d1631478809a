//! Changing and deleting a workload, and whether it runs.
use super::{poll, resource_of, start, stop, workload};
use crate::testing::{Limits, World};
use exarch_common_authz::Role;
use serde_json::json;

#[tokio::test]
async fn what_runs_is_neither_changed_nor_deleted_and_then_runs_as_it_was_changed() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let agent = world.agent(tenant, cluster, "edge-1").await;
    let id = agent.caller.id;
    let workload = workload(&admin, cluster, "db").await;
    let path = format!("/v1/workloads/{workload}");
    let driver = json!({ "kind": "process", "argv": ["/usr/bin/db2"], "volume": "/srv/db.img" });
    start(&admin, workload, id, true).await.expect(202);
    for change in [json!({ "name": "db2" }), json!({ "driver": driver })] {
        let refused = admin.change(&path, change).await.problem(409, "workload-running");
        assert_eq!(refused["agent"], "edge-1");
    }
    admin.delete(&path).await.problem(409, "workload-running");
    stop(&admin, workload, json!({})).await.expect(202);
    let changed = admin.change(&path, json!({ "driver": driver })).await.expect(200);
    assert_eq!((&changed["driver"], &changed["name"]), (&driver, &json!("db")));
    assert_eq!(changed["agents"][0]["desired"], "stop");
    let wrong = json!({ "driver": { "kind": "process", "argv": [], "volume": "/v" } });
    let refused = admin.change(&path, wrong).await.problem(422, "invalid-value");
    assert_eq!(refused["errors"][0]["pointer"], "/driver/argv");
    start(&admin, workload, id, false).await.expect(202);
    let told = serde_json::to_value(&poll(&agent, "").await.items[0]).unwrap();
    assert_eq!(told["driver"]["argv"], json!(["/usr/bin/db2"]));
    let rows = admin.get("/v1/audit?action=workload.update").await.expect(200);
    assert_eq!(rows["items"][0]["after"]["driver_changed"], true);
    assert!(!rows.to_string().contains("/usr/bin"), "arguments may hold secrets");
}

#[tokio::test]
async fn a_workload_that_was_told_to_stop_runs_until_its_agent_says_so_or_has_no_lease() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let agent = world.agent(tenant, cluster, "edge-1").await;
    let id = agent.caller.id;
    for says in [true, false] {
        let workload = workload(&admin, cluster, "db").await;
        let path = format!("/v1/workloads/{workload}");
        let status = |state: &str| json!({ "workload": workload, "state": state, "detail": "", "fence": "1.1" });
        start(&admin, workload, id, false).await.expect(202);
        world.lease(resource_of(&admin, workload).await, &agent).await;
        agent
            .post("/agent/v1/assignments/status", status("running"))
            .await
            .expect(204);
        stop(&admin, workload, json!({})).await.expect(202);
        admin.delete(&path).await.problem(409, "workload-running");
        match says {
            true => drop(
                agent
                    .post("/agent/v1/assignments/status", status("stopped"))
                    .await
                    .expect(204),
            ),
            false => drop(
                world
                    .run(
                        tenant,
                        "UPDATE gw.lease SET state = 'expired', ended_at = now() WHERE state = 'active'",
                    )
                    .await,
            ),
        }
        let resource = resource_of(&admin, workload).await;
        admin.delete(&path).await.expect(204);
        start(&admin, workload, id, false).await.problem(404, "not-found");
        stop(&admin, workload, json!({})).await.problem(404, "not-found");
        world
            .run(
                tenant,
                "UPDATE gw.lease SET state = 'released', ended_at = now() WHERE state = 'active'",
            )
            .await;
        admin.delete(&format!("/v1/resources/{resource}")).await.expect(204);
    }
}
