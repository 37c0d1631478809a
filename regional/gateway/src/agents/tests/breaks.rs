//! The wire to the database breaks at each call of an enrolment and of the opening of a session in turn, before the database
//! has it and when its answer is lost.
use crate::{
    agents::testing::{TestAgent, address, enrol, key, key as other_key, token},
    testing::{Answer, Limits, World},
};
use exarch_common_authz::Role;
use exarch_common_testkit::cut::{Break, Moment};
use exarch_common_wire::agent::SessionOpened;
use serde_json::json;
use std::time::Duration;

/// Whether the answer is a success; everything else must be the one refusal for want of a database.
fn succeeded(answer: &Answer, at: Break) -> bool {
    if answer.status != 200 {
        assert_eq!(answer.status, 503, "{at:?}: {}", answer.body);
        assert_eq!(answer.body["type"], "urn:exarch:problem:database-unavailable", "{at:?}");
    }
    answer.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_let_in_once_or_not_wherever_the_database_breaks_off() {
    let (world, cut) = World::breaking().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let mut n = 0;
    let breaks = cut
        .at_each_call(async |at| {
            n += 1;
            world.clock.advance(Duration::from_secs(2));
            let name = format!("edge-{n}");
            let token = token(&admin, cluster, json!({ "auto": true, "name": name })).await;
            let (key, csr) = key();
            let answer = cut.during(at, enrol(&world.app, address(1), &token, &csr, None)).await;
            let good = succeeded(&answer, at);
            let agents = async || {
                let page = admin.get("/v1/agents?limit=100").await.expect(200);
                let all = page["items"].as_array().unwrap();
                all.iter().filter(|agent| agent["name"] == name.as_str()).count()
            };
            let spent = async || {
                let page = admin.get("/v1/bootstrap-tokens?limit=1").await.expect(200);
                page["items"][0]["state"] == "spent"
            };
            let kept = agents().await;
            assert_eq!(kept == 1, spent().await, "{at:?}: by half");
            assert!(
                if good {
                    kept == 1
                } else {
                    kept == 0 || at.moment == Moment::After
                },
                "{at:?}: {kept}"
            );
            // Another key is not let in by the token of one who is.
            if kept == 1 {
                let (_, other) = other_key();
                let other = enrol(&world.app, address(2), &token, &other, None).await;
                other.problem(410, "bootstrap-token-spent");
            }
            // The same one asks again, and is in, with an identity that is worth something.
            let again = enrol(&world.app, address(1), &token, &csr, None).await.expect(200);
            if good {
                assert_eq!(again["agent"], answer.body["agent"], "{at:?}");
            }
            assert_eq!(agents().await, 1, "{at:?}");
            let mut agent = TestAgent::of(key, serde_json::from_value(again).unwrap(), address(1));
            agent.open(&world.app).await;
            agent.heartbeat(&world.app).await.expect(204);
        })
        .await;
    assert!(breaks.calls > 10 && breaks.commits >= 2, "{breaks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_opens_or_not_wherever_the_database_breaks_off_and_the_same_bytes_open_it() {
    let (world, cut) = World::breaking().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let mut agent = TestAgent::new(&world, &admin, cluster, "edge-1", 1).await;
    agent.open(&world.app).await;
    let breaks = cut
        .at_each_call(async |at| {
            world.clock.advance(Duration::from_secs(5));
            let opening = agent.opening(&agent.challenge(&world.app).await);
            let answer = cut.during(at, agent.send(&world.app, &opening)).await;
            let good = succeeded(&answer, at);
            let again = agent.send(&world.app, &opening).await.expect(200);
            if good {
                assert_eq!(again, answer.body, "{at:?}");
            }
            let opened: SessionOpened = serde_json::from_value(again).unwrap();
            (agent.token, agent.chain) = (opened.token, opened.chain);
            agent.heartbeat(&world.app).await.expect(204);
        })
        .await;
    assert!(breaks.calls > 6 && breaks.commits >= 2, "{breaks:?}");
    let shown = admin
        .get(&format!("/v1/agents/{}", agent.enrolled.agent))
        .await
        .expect(200);
    assert_eq!(shown["state"], "active", "nobody took it for a copy");
}
