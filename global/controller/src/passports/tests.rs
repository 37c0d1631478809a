//! What a region gets to know, when, and in which version.
use crate::tests::{Gateway, Manner, PATIENCE, World, until};
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{RegionId, TenantId};
use exarch_common_crypto::sign::{Algorithm, PublicKey};
use exarch_common_runtime::{Reconcile, run_reconciler};
use exarch_common_wire::{
    federation::paths,
    passport::{Passport, Push, Verified, tenant_section},
    user_token::Version,
};
use serde_json::json;
use std::time::{Duration, Instant};

/// Checks a push upon what was held before, as a gateway does.
fn verify(gateway: &Gateway, before: Option<&Passport>, push: &Push) -> (Passport, Verified) {
    let (passport, missing) = Passport::after(before, push);
    assert!(missing.is_empty(), "{missing:?}");
    let authority = &gateway.joined.authority;
    let key = PublicKey::from_raw(Algorithm::Ed25519, &B64.decode(&authority.public).unwrap()).unwrap();
    let find = |kid: &str| (kid == authority.kid).then(|| key.clone());
    let verified = passport.verify(gateway.id, find, None).unwrap();
    (passport, verified)
}

async fn pushing(world: &World) {
    let pushes = super::Pushes::new(world.app.clone());
    let nudge = world.app.federation.pushes.clone();
    tokio::spawn(run_reconciler(
        pushes,
        nudge,
        world.app.ambient.clone(),
        world.stop.clone(),
    ));
}

#[tokio::test]
async fn a_poll_brings_all_that_the_region_lacks_and_then_a_new_statement_alone() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, gateway.id).await;
    let user = world.user("Ada").await;
    world.member(tenant, user, &[]).await;
    let up = gateway.up().await;
    let (held, first) = verify(&gateway, None, &up.poll(None).await);
    assert_eq!(first.contents.keys.issuer, "http://localhost:8440");
    assert_eq!(first.contents.keys.keys.len(), 1);
    assert_eq!(first.contents.authority.current, gateway.joined.authority);
    let (_, acme) = &first.contents.tenants[&tenant];
    assert_eq!((acme.slug.as_str(), acme.state.as_str()), ("acme", "active"));
    assert_eq!((acme.users[0].id, acme.users[0].display_name.as_str()), (user, "Ada"));
    assert_eq!(acme.memberships[0].roles, ["tenant-admin"]);
    let have = first.manifest.version;
    let again = up.poll(Some(have)).await;
    assert!(again.entries.is_empty() && again.gone.is_empty() && again.sections.is_empty());
    let (_, second) = verify(&gateway, Some(&held), &again);
    assert!(second.statement.as_of >= first.statement.as_of);
    assert_eq!(second.manifest, first.manifest);
    // One change moves one section.
    world.member(tenant, world.user("Bob").await, &[]).await;
    let change = up.poll(Some(have)).await;
    assert_eq!(change.entries.len(), 1);
    let (_, third) = verify(&gateway, Some(&held), &change);
    assert!(third.manifest.version > have);
    assert_eq!(third.contents.tenants[&tenant].1.users.len(), 2);
}

#[tokio::test]
async fn a_region_learns_of_those_who_may_enter_it_and_of_nobody_else() {
    let world = World::new().await;
    let (north, east) = (world.region("eu-north").await, world.region("us-east").await);
    let (acme, other) = (world.tenant("acme").await, world.tenant("other").await);
    for region in [north.id, east.id] {
        world.entitle(acme, region).await;
    }
    world.entitle(other, east.id).await;
    let (everywhere, only_east) = (world.user("Ada").await, world.user("Bob").await);
    world.member(acme, everywhere, &[]).await;
    world.member(acme, only_east, &[east.id]).await;
    let seen = async |gateway: &Gateway| {
        let push = gateway.up().await.poll(None).await;
        verify(gateway, None, &push).1.contents.tenants
    };
    let in_north = seen(&north).await;
    assert_eq!(in_north.keys().collect::<Vec<_>>(), [&acme]);
    let people: Vec<_> = in_north[&acme].1.users.iter().map(|u| u.id).collect();
    assert_eq!(people, [everywhere]);
    let in_east = seen(&east).await;
    assert_eq!(in_east.len(), 2);
    assert_eq!(in_east[&acme].1.users.len(), 2);
    assert!(in_east[&other].1.users.is_empty());
}

#[tokio::test]
async fn what_is_edited_is_in_the_next_version() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let tenant = world.tenant("acme").await;
    let entitlement = world.entitle(tenant, gateway.id).await;
    let (ada, bob) = (world.user("Ada").await, world.user("Bob").await);
    world.member(tenant, ada, &[]).await;
    let membership = world.member(tenant, bob, &[]).await;
    let staff = world.staff().await;
    let admin = world.sign_in(ada, Some(tenant), &[]).await;
    let up = gateway.up().await;
    let mut seen = verify(&gateway, None, &up.poll(None).await);
    let of_acme = format!("/v1/tenants/{tenant}");
    for (who, path, body, told) in [
        (&staff, of_acme.clone(), json!({"name": "Acme Ltd"}), "Acme Ltd"),
        (
            &staff,
            format!("{of_acme}/entitlements/{entitlement}"),
            json!({"limits": {"clusters": 7}}),
            "Some(7)",
        ),
        (
            &admin,
            format!("{of_acme}/memberships/{membership}"),
            json!({"roles": ["auditor"]}),
            "auditor",
        ),
        (
            &admin,
            format!("/v1/users/{bob}"),
            json!({"display_name": "Robert"}),
            "Robert",
        ),
    ] {
        let contents = |verified: &Verified| format!("{:?}", verified.contents.tenants[&tenant].1);
        assert!(!contents(&seen.1).contains(told), "{path}");
        let changed = who.patch(&path, body).await;
        assert_eq!(changed.status, 200, "{path}: {changed:?}");
        let push = up.poll(Some(seen.1.manifest.version)).await;
        seen = verify(&gateway, Some(&seen.0), &push);
        assert!(contents(&seen.1).contains(told), "{path}: {}", contents(&seen.1));
    }
}

#[tokio::test]
async fn an_ended_entitlement_takes_the_section_out_and_the_region_is_told_that_it_is_gone() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let tenant = world.tenant("acme").await;
    let entitlement = world.entitle(tenant, gateway.id).await;
    let up = gateway.up().await;
    let (held, before) = verify(&gateway, None, &up.poll(None).await);
    world.end_entitlement(tenant, entitlement).await;
    let push = up.poll(Some(before.manifest.version)).await;
    assert_eq!(push.gone, [tenant_section(tenant)]);
    let (_, after) = verify(&gateway, Some(&held), &push);
    assert!(after.contents.tenants.is_empty());
    // Whoever starts with nothing hears nothing of it, and of a new one as new.
    assert!(up.poll(None).await.gone.is_empty());
    world.entitle(tenant, gateway.id).await;
    let (_, back) = verify(&gateway, None, &up.poll(None).await);
    assert!(back.contents.tenants[&tenant].0 > after.manifest.version);
}

#[tokio::test]
async fn what_ends_by_the_clock_leaves_the_passport_without_anybodys_doing() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, gateway.id).await;
    world.member(tenant, world.user("Ada").await, &[]).await;
    let sql = "UPDATE gc.entitlement SET until_at = now() + interval '1 second' WHERE tenant_id = $1";
    world.change(tenant, sql, &[]).await;
    let up = gateway.up().await;
    let (_, before) = verify(&gateway, None, &up.poll(None).await);
    assert!(before.contents.tenants[&tenant].1.entitlement.until.is_some());
    let mut pass = super::EndByTime(world.app.clone());
    let gone = async {
        while pass.pass().await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    let (_, after) = verify(&gateway, None, &up.poll(None).await);
    assert!(after.contents.tenants.is_empty());
    assert_eq!(pass.pass().await.unwrap(), 0, "and that is the end of it");
}

#[tokio::test]
async fn parallel_changes_get_strictly_rising_versions_and_the_last_contents() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, gateway.id).await;
    let start = version(&world, gateway.id).await;
    let mut users = Vec::new();
    for n in 0..20 {
        users.push(world.user(&format!("{n}")).await);
    }
    let changes = users.iter().map(|user| world.member(tenant, *user, &[]));
    futures_util::future::join_all(changes).await;
    assert_eq!(
        version(&world, gateway.id).await,
        Version(start.0, start.1 + 20),
        "one version for each change"
    );
    let (_, verified) = verify(&gateway, None, &gateway.up().await.poll(None).await);
    assert_eq!(verified.manifest.version.1, start.1 + 20);
    let (section, acme) = &verified.contents.tenants[&tenant];
    assert_eq!(*section, verified.manifest.version);
    let mut people: Vec<_> = acme.users.iter().map(|u| u.id).collect();
    people.sort();
    users.sort();
    assert_eq!(people, users, "nobody is lost");
}

async fn version(world: &World, region: RegionId) -> Version {
    let mut tx = exarch_common_pg::SystemTx::begin(&world.app.app_pool, "test")
        .await
        .unwrap();
    let standing = super::standings(tx.conn(), &[region]).await.unwrap().remove(0);
    standing.version
}

#[tokio::test]
async fn a_change_that_changes_nothing_for_a_region_makes_no_version() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, gateway.id).await;
    let before = version(&world, gateway.id).await;
    world.touch(tenant).await;
    world.touch(world.tenant("nowhere").await).await;
    assert_eq!(version(&world, gateway.id).await, before);
}

#[tokio::test]
async fn a_change_reaches_a_connected_region_within_a_second() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let _down = gateway.down().await;
    pushing(&world).await;
    until("the first passport is pushed", || async { gateway.pushes() > 0 }).await;
    let tenant = world.tenant("acme").await;
    let has = |tenant: TenantId| {
        let pushed = gateway.pushed.clone();
        move || {
            let section = tenant_section(tenant);
            pushed.lock().unwrap().last().unwrap().sections.contains_key(&section)
        }
    };
    let arrived = has(tenant);
    world.entitle(tenant, gateway.id).await;
    let committed = Instant::now();
    until("the tenant arrives", || async { arrived() }).await;
    assert!(
        committed.elapsed() < Duration::from_secs(1),
        "{:?}",
        committed.elapsed()
    );
    let last = gateway.pushed.lock().unwrap().last().unwrap().clone();
    verify(&gateway, None, &last);
}

#[tokio::test]
async fn a_push_that_fails_is_tried_again_until_it_is_taken_and_not_beyond() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    gateway.behave(Manner::Broken);
    let _down = gateway.down().await;
    pushing(&world).await;
    let tunnels = &world.app.federation.tunnels;
    until("it is connected", || async { !tunnels.of(gateway.id).is_empty() }).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(gateway.pushes(), 0);
    gateway.behave(Manner::Well);
    until("it is pushed", || async { gateway.pushes() > 0 }).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(gateway.pushes(), 1, "what was taken is not pushed again");
}

#[tokio::test]
async fn an_acknowledgement_never_falls_and_never_speaks_of_what_was_not_made() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let up = gateway.up().await;
    let now = version(&world, gateway.id).await;
    let ahead = json!({"applied": [now.0, now.1 + 1], "as_of": 1000, "refused": null});
    let refused = up.post(paths::ACKNOWLEDGE, &ahead).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let standing = async || {
        let mut tx = exarch_common_pg::SystemTx::begin(&world.app.app_pool, "test")
            .await
            .unwrap();
        super::standings(tx.conn(), &[gateway.id]).await.unwrap().remove(0)
    };
    let nothing = json!({"applied": [0, 0], "as_of": 0, "refused": [[now.0, now.1], "no such section"]});
    assert_eq!(
        up.post(paths::ACKNOWLEDGE, &nothing).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(standing().await.acknowledged, None, "a refusal is no acknowledgement");
    up.acknowledge(now).await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, gateway.id).await;
    let newer = version(&world, gateway.id).await;
    up.acknowledge(newer).await;
    up.acknowledge(now).await;
    assert_eq!(standing().await.acknowledged, Some(newer));
    let liar =
        json!({"applied": [newer.0, newer.1], "as_of": 99_999_999_999i64, "refused": [[1, 1], "no such section"]});
    assert_eq!(up.post(paths::ACKNOWLEDGE, &liar).await.status, StatusCode::NO_CONTENT);
    assert!(
        standing().await.as_of.unwrap() <= world.app.ambient.now(),
        "nobody has heard from the future"
    );
}

#[tokio::test]
async fn a_large_section_comes_by_ranges() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, gateway.id).await;
    for n in 0..70 {
        let user = world.user(&format!("{n}-{}", "x".repeat(20_000))).await;
        world.member_silently(tenant, user).await;
    }
    world.touch(tenant).await;
    let up = gateway.up().await;
    let push = up.poll(None).await;
    let (mut passport, missing) = Passport::after(None, &push);
    assert_eq!(missing.len(), 1, "it does not fit into the answer");
    let id = &missing[0].id;
    let mut bytes = Vec::new();
    loop {
        let path = format!("{}/{id}?offset={}&length=500000", paths::SECTIONS, bytes.len());
        let part = up.get(&path).await;
        assert_eq!((part.status, part.signed), (StatusCode::OK, true));
        bytes.extend_from_slice(&part.body);
        if part.body.len() < 500_000 {
            break;
        }
    }
    assert!(bytes.len() > 1_400_000);
    passport
        .sections
        .insert(id.clone(), exarch_common_wire::passport::SectionBytes(bytes));
    let whole = Push {
        sections: passport.sections.clone(),
        ..push
    };
    let (_, verified) = verify(&gateway, None, &whole);
    assert_eq!(verified.contents.tenants[&tenant].1.users.len(), 70);
    let nobody = format!("{}/tenant/{}", paths::SECTIONS, world.tenant("other").await);
    assert_eq!(up.get(&nobody).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_session_that_is_ended_is_told_to_every_region() {
    let world = World::new().await;
    let (north, east) = (world.region("eu-north").await, world.region("us-east").await);
    let person = world.sign_in(world.user("Ada").await, None, &[]).await;
    assert_eq!(person.post("/v1/auth/sign-out", json!({})).await.status / 100, 2);
    for gateway in [&north, &east] {
        let (_, verified) = verify(gateway, None, &gateway.up().await.poll(None).await);
        let ended = &verified.contents.revocations.sessions;
        assert_eq!(ended[&person.session.id], person.session.expires_at.unix_timestamp());
    }
}
