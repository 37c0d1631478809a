//! A row for each change, in chains that anybody can walk from what the API tells.
use super::world::{Client, World};
use exarch_common_base::Ambient;
use exarch_common_wire::audit::{Actor, Entry, Flag, Head, Outcome, PROVIDER, Row, Source, walk};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

fn hash(row: &Value, name: &str) -> [u8; 32] {
    let text = row[name].as_str().unwrap();
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

/// A row as somebody outside reads it.
fn row(tenant: exarch_common_base::TenantId, row: &Value) -> Row {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let target = (
        row["target"]["kind"].as_str().unwrap(),
        row["target"]["id"].as_str().unwrap(),
    );
    let actor = Actor::new(
        text(&row["actor"]["kind"]).unwrap(),
        row["actor"]["id"].as_str().unwrap(),
    );
    let action = row["action"].as_str().unwrap();
    let mut entry = Entry::new(&Ambient::system(), tenant, actor, action, target.0, target.1);
    entry.id = row["id"].as_str().unwrap().parse().unwrap();
    entry.at = OffsetDateTime::parse(row["at"].as_str().unwrap(), &Rfc3339).unwrap();
    entry.on_behalf_of = text(&row["on_behalf_of"]);
    entry.outcome = Outcome::parse(row["outcome"].as_str().unwrap()).unwrap();
    entry.reason = text(&row["reason"]);
    entry.before = row.get("before").cloned();
    entry.after = row.get("after").cloned();
    entry.decision = text(&row["decision_id"]).map(|id| id.parse().unwrap());
    entry.request = text(&row["request_id"]).map(|id| id.parse().unwrap());
    entry.source = Source {
        address: text(&row["address"]),
        user_agent: text(&row["user_agent"]),
    };
    entry.break_glass = text(&row["break_glass_id"]);
    let flags = row["flags"].as_array().into_iter().flatten();
    entry.flags = flags.map(|flag| Flag::parse(flag.as_str().unwrap()).unwrap()).collect();
    Row {
        entry,
        seq: row["seq"].as_u64().unwrap(),
        prev_hash: hash(row, "prev_hash"),
        hash: hash(row, "hash"),
    }
}

async fn all(client: &Client, path: &str) -> Vec<Value> {
    let (mut rows, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}?limit=3{token}")).await.ok();
        rows.extend(page["items"].as_array().unwrap().clone());
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => break,
        }
    }
    rows.reverse();
    rows
}

fn actions(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_change_has_its_row_and_the_chains_are_whole() {
    let world = World::new().await;
    world.region("eu-north").await;
    let (tenant, admin) = world.tenant("north").await;
    let owner = world.owner().await;
    world.member(&admin, "m@n.example", &["read-only"]).await;
    let path = format!("/v1/tenants/{tenant}/entitlements");
    let made = owner.post(&path, json!({"region": "eu-north"})).await.status(201);
    assert_eq!(
        owner
            .delete(&format!("{path}/{}", made["id"].as_str().unwrap()))
            .await
            .code,
        204
    );
    let memberships = admin.get("/v1/tenants/north/memberships").await.ok();
    let last = memberships["items"][0]["id"].as_str().unwrap();
    assert_eq!(
        admin
            .delete(&format!("/v1/tenants/north/memberships/{last}"))
            .await
            .code,
        204
    );

    let of_tenant = all(&admin, "/v1/audit").await;
    assert_eq!(
        actions(&of_tenant),
        [
            "user.create",
            "membership.grant",
            "tenant.create",
            "session.begin",
            "session.begin",
            "user.create",
            "membership.grant",
            "session.begin",
            "session.begin",
            "entitlement.grant",
            "entitlement.revoke",
            "membership.revoke",
        ]
    );
    let of_provider = all(&owner, "/v1/federation-audit").await;
    assert_eq!(
        actions(&of_provider),
        [
            "installation.setup",
            "user.enrol_second_factor",
            "session.begin",
            "tenant.create",
            "user.change_password",
            "user.change_password",
            "entitlement.grant",
            "entitlement.revoke",
        ]
    );
    for (id, rows) in [(tenant.parse().unwrap(), of_tenant), (PROVIDER, of_provider)] {
        let rows: Vec<Row> = rows.iter().map(|value| row(id, value)).collect();
        let head = walk(Head::default(), &rows).unwrap();
        assert_eq!(head.seq, rows.len() as u64);
        for row in &rows {
            let from_a_request = row.entry.actor.kind == "user";
            assert_eq!(row.entry.request.is_some(), from_a_request, "{:?}", row.entry);
        }
    }
}

#[tokio::test]
async fn a_refused_change_leaves_no_row_of_it_and_a_refusal_has_one() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, reader) = world.member(&admin, "r@n.example", &["read-only"]).await;
    let before = all(&admin, "/v1/audit").await.len();
    let invite = json!({"email": "r@n.example", "display_name": "R", "roles": ["read-only"], "initial_password": true});
    admin
        .post("/v1/users", invite.clone())
        .await
        .problem(409, "email-taken");
    assert_eq!(all(&admin, "/v1/audit").await.len(), before);
    let refused = reader.post("/v1/users", invite).await.problem(403, "permission-denied");
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    exarch_global_controller::audit::write_refusals(world.app.clone(), stop).await;
    let rows = all(&admin, "/v1/audit").await;
    let last = rows.last().unwrap();
    assert_eq!(rows.len(), before + 1);
    assert_eq!(
        (&last["action"], &last["outcome"], &last["decision_id"]),
        (&json!("user.invite"), &json!("denied"), &refused["decision_id"])
    );
}

#[tokio::test]
async fn rows_are_only_ever_added() {
    let world = World::new().await;
    let mut conn = world.db().superuser().await;
    for change in [
        "UPDATE gc.audit SET action = 'x'",
        "DELETE FROM gc.audit",
        "TRUNCATE gc.audit",
    ] {
        assert!(sqlx::query(change).execute(&mut conn).await.is_err(), "{change}");
    }
}

#[tokio::test]
async fn no_secret_and_no_address_gets_into_the_audit() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    world.member(&admin, "canary@n.example", &["read-only"]).await;
    let mut conn = world.db().superuser().await;
    let rows: Vec<String> = sqlx::query_scalar("SELECT a::text FROM gc.audit a")
        .fetch_all(&mut conn)
        .await
        .unwrap();
    for row in rows {
        for canary in ["canary@", "@provider", super::world::PASSWORD, "exr_", "eyJ", "pbkdf2"] {
            assert!(!row.contains(canary), "{row}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_make_one_chain() {
    let world = World::new().await;
    let owner = world.owner().await;
    let makes = (0..12).map(|n| {
        let owner = owner.clone();
        tokio::spawn(async move {
            let body = json!({"slug": format!("t{n}"), "name": "x"});
            owner.post("/v1/tenants", body).await.status(201)
        })
    });
    for made in makes.collect::<Vec<_>>() {
        made.await.unwrap();
    }
    let rows: Vec<Row> = all(&owner, "/v1/federation-audit")
        .await
        .iter()
        .map(|r| row(PROVIDER, r))
        .collect();
    assert_eq!(walk(Head::default(), &rows).unwrap().seq, 15);
}
