use super::{Scene, batch, granted, name_of, volume};
use crate::{
    agents::testing::process,
    leases::{lease::Holder, release, renew, renew::Renewer, store::Renewal},
    testing::World,
};
use exarch_common_base::Fence;
use exarch_common_pg::{Login, PoolSettings, RenewPool};
use exarch_common_wire::agent::{Held, Verdict};
use futures_util::future::join_all;
use sqlx::PgConnection;
use std::time::Duration;

/// The whole table, as text.
async fn rows(db: &mut PgConnection) -> String {
    sqlx::query_scalar("SELECT coalesce(string_agg(l::text, E'\n' ORDER BY id), '') FROM gw.lease l")
        .fetch_one(db)
        .await
        .unwrap()
}

#[tokio::test]
async fn whoever_is_not_exactly_the_holder_changes_no_row() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    let right = name_of(scene.volume, &lease);
    let other_volume = volume(&scene.admin, scene.cluster, "v2", 30_000).await;
    let mut db = world.db.superuser().await;
    let before = rows(&mut db).await;
    let fences = [Fence::new(1, 0), Fence::new(1, 2), Fence::new(0, 1), Fence::new(2, 1)];
    let mut wrong: Vec<Held> = fences.map(|fence| Held { fence, ..right.clone() }).to_vec();
    wrong.push(Held {
        resource: other_volume,
        ..right.clone()
    });
    wrong.push(Held {
        lease: world.app.ambient.id(),
        ..right.clone()
    });
    for held in wrong {
        let named = || batch([held.clone()]);
        assert_eq!(
            renew(scene.app(), &scene.one, named()).await.unwrap(),
            [Verdict::Unknown]
        );
        assert_eq!(
            release(scene.app(), &scene.one, named()).await.unwrap(),
            [Verdict::Unknown]
        );
    }
    let strangers = [
        scene.two.clone(),
        process(scene.tenant, scene.cluster, scene.one.id, 2),
        process(world.app.ambient.id(), scene.cluster, scene.one.id, 1),
    ];
    world.tenant("b", Default::default());
    for stranger in &strangers {
        let named = || batch([right.clone()]);
        if let Ok(verdicts) = renew(scene.app(), stranger, named()).await {
            assert_eq!(verdicts, [Verdict::Unknown]);
        }
        assert_eq!(
            release(scene.app(), stranger, named()).await.unwrap(),
            [Verdict::Unknown]
        );
    }
    assert_eq!(rows(&mut db).await, before);
    // and the right one does
    assert_eq!(
        renew(scene.app(), &scene.one, batch([right])).await.unwrap(),
        [Verdict::Renewed]
    );
    assert_ne!(rows(&mut db).await, before);
}

#[tokio::test]
async fn a_batch_has_one_verdict_for_each_in_order() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let mut leases = Vec::new();
    for n in 0..5 {
        let volume = volume(&scene.admin, scene.cluster, &format!("x{n}"), 30_000).await;
        leases.push(name_of(volume, &granted(scene.app(), &scene.one, volume).await));
    }
    let mut db = world.db.superuser().await;
    let set = |state: &'static str, held: &Held| {
        let ended = if state == "revoking" { "NULL" } else { "now()" };
        let sql = format!(
            "UPDATE gw.lease SET state = '{state}', ended_at = {ended} WHERE id = '{}'",
            held.lease.uuid()
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
    };
    set("expired", &leases[1]).execute(&mut db).await.unwrap();
    set("revoking", &leases[2]).execute(&mut db).await.unwrap();
    set("released", &leases[3]).execute(&mut db).await.unwrap();
    let unknown = Held {
        fence: Fence::new(9, 9),
        ..leases[4].clone()
    };
    let named = [
        leases[1].clone(),
        leases[0].clone(),
        unknown,
        leases[2].clone(),
        leases[3].clone(),
        leases[0].clone(),
    ];
    let verdicts = renew(scene.app(), &scene.one, batch(named.clone())).await.unwrap();
    let expected = [
        Verdict::Lost,
        Verdict::Renewed,
        Verdict::Unknown,
        Verdict::Revoking,
        Verdict::Released,
        Verdict::Renewed,
    ];
    assert_eq!(verdicts, expected);
    // a release is the acknowledgement of a revocation, and says the same when it is repeated
    for _ in 0..2 {
        let verdicts = release(scene.app(), &scene.one, batch(named.clone())).await.unwrap();
        let expected = [
            Verdict::Lost,
            Verdict::Released,
            Verdict::Unknown,
            Verdict::Released,
            Verdict::Released,
            Verdict::Released,
        ];
        assert_eq!(verdicts, expected);
    }
    let released: Vec<_> = scene
        .audit()
        .await
        .into_iter()
        .filter(|(a, _)| a == "lease.release")
        .collect();
    assert_eq!(released.len(), 2);
    assert_eq!(renew(scene.app(), &scene.one, batch([])).await.unwrap(), []);
}

#[tokio::test]
async fn no_lease_lives_longer_than_a_day_however_often_it_is_renewed() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    let named = || batch([name_of(scene.volume, &lease)]);
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(
        renew(scene.app(), &scene.one, named()).await.unwrap(),
        [Verdict::Renewed]
    );
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(renew(scene.app(), &scene.one, named()).await.unwrap(), [Verdict::Lost]);
    // asking again does not stretch it, not even for its holder, until it was seen to be quiet
    super::held(scene.app(), &scene.one, scene.volume).await;
    world.clock.advance(Duration::from_millis(30_600));
    assert_eq!(
        granted(scene.app(), &scene.one, scene.volume).await.fence,
        Fence::new(1, 2)
    );
}

#[tokio::test]
async fn renewals_that_come_together_are_answered_each_with_its_own() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let mut asks = Vec::new();
    for n in 0..40u8 {
        let volume = volume(&scene.admin, scene.cluster, &format!("x{n}"), 30_000).await;
        let agent = process(scene.tenant, scene.cluster, scene.one.id, n);
        let held = name_of(volume, &granted(scene.app(), &agent, volume).await);
        asks.push((agent, held));
    }
    let all = asks.iter().enumerate().map(|(n, (agent, held))| {
        let (app, agent, held) = (world.app.clone(), agent.clone(), held.clone());
        let wrong = Held {
            fence: Fence::new(7, 7),
            ..held.clone()
        };
        let (named, expected) = match n % 3 {
            0 => (vec![held], vec![Verdict::Renewed]),
            1 => (vec![wrong], vec![Verdict::Unknown]),
            _ => (vec![wrong, held], vec![Verdict::Unknown, Verdict::Renewed]),
        };
        tokio::spawn(async move { (renew(&app, &agent, batch(named)).await.unwrap(), expected) })
    });
    for outcome in join_all(all).await {
        let (verdicts, expected) = outcome.unwrap();
        assert_eq!(verdicts, expected);
    }
}

/// Commits that do not wait for the disk may be gone after a crash, and then two agents hold one fence. Whatever the server or
/// its operator has set, ours wait.
#[tokio::test]
async fn grants_renewals_and_releases_wait_for_the_disk_whatever_the_server_is_set_to() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let mut db = world.db.superuser().await;
    let script = "CREATE FUNCTION public.durable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF current_setting('synchronous_commit') <> 'on' THEN RAISE 'this commit would not wait'; END IF;
             RETURN NEW; END $$;
         GRANT USAGE ON SCHEMA public TO PUBLIC;
         CREATE TRIGGER durable BEFORE INSERT OR UPDATE ON gw.lease FOR EACH ROW EXECUTE FUNCTION public.durable();";
    sqlx::raw_sql(script).execute(&mut db).await.unwrap();
    for login in ["exarch_app", "exarch_renew"] {
        let sql = format!(
            "ALTER ROLE {login} IN DATABASE {} SET synchronous_commit = off",
            world.db.name()
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
    }
    // new connections, which have the setting
    let replica = world.replica().await;
    let mut plain = RenewPool::connect(world.db.settings(Login::Renew))
        .await
        .unwrap()
        .statement()
        .await
        .unwrap();
    let set: String = sqlx::query_scalar("SHOW synchronous_commit")
        .fetch_one(plain.conn())
        .await
        .unwrap();
    assert_eq!(set, "off");
    let lease = granted(&replica, &scene.one, scene.volume).await;
    let named = || batch([name_of(scene.volume, &lease)]);
    granted(&replica, &scene.one, scene.volume).await;
    assert_eq!(renew(&replica, &scene.one, named()).await.unwrap(), [Verdict::Renewed]);
    assert_eq!(
        release(&replica, &scene.one, named()).await.unwrap(),
        [Verdict::Released]
    );
}

#[tokio::test]
async fn a_renewal_without_an_answer_is_given_up_and_the_next_one_is_made() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    let named = || Renewal {
        tenant: scene.tenant,
        holder: Holder {
            agent: scene.one.id,
            incarnation: scene.one.incarnation.clone(),
        },
        held: name_of(scene.volume, &lease),
    };
    let impatient = PoolSettings {
        acquire_timeout: Duration::from_millis(500),
        // as on a silent wire, where the database's own limit is not heard of
        statement_timeout: Duration::ZERO,
        ..world.db.settings(Login::Renew)
    };
    let pool = RenewPool::connect(impatient).await.unwrap();
    let renewer = Renewer::default();
    let mut db = world.db.superuser().await;
    let held = "BEGIN; SELECT 1 FROM gw.lease FOR UPDATE";
    sqlx::raw_sql(held).execute(&mut db).await.unwrap();
    let refused = renewer
        .renew(&pool, &world.app.ambient, vec![named()])
        .await
        .unwrap_err();
    assert_eq!(refused.status().as_u16(), 503);
    sqlx::raw_sql("ROLLBACK").execute(&mut db).await.unwrap();
    let renewed = renewer.renew(&pool, &world.app.ambient, vec![named()]).await;
    assert_eq!(renewed.unwrap(), [Verdict::Renewed]);
}

#[tokio::test]
async fn the_login_that_renews_can_do_nothing_else() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    granted(scene.app(), &scene.one, scene.volume).await;
    let pool = RenewPool::connect(world.db.settings(Login::Renew)).await.unwrap();
    for forbidden in [
        "UPDATE gw.lease SET state = 'released'",
        "UPDATE gw.lease SET generation = 9",
        "UPDATE gw.lease SET agent_id = resource_id",
        "DELETE FROM gw.lease",
        "SELECT actions FROM gw.lease",
        "SELECT 1 FROM gw.agent",
        "SELECT 1 FROM gw.resource",
        "INSERT INTO gw.lease (tenant_id) VALUES (NULL)",
    ] {
        let mut statement = pool.statement().await.unwrap();
        let refused = sqlx::query(forbidden).execute(statement.conn()).await.unwrap_err();
        let code = refused
            .as_database_error()
            .and_then(|e| e.code().map(|c| c.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {refused}");
    }
}

#[tokio::test]
async fn whose_a_lease_is_and_its_fence_cannot_be_changed_by_the_server_itself() {
    use exarch_common_pg::TenantTx;
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    granted(scene.app(), &scene.one, scene.volume).await;
    for forbidden in [
        "UPDATE gw.lease SET generation = 9",
        "UPDATE gw.lease SET agent_id = resource_id",
        "UPDATE gw.lease SET incarnation = '\\x00'",
        "DELETE FROM gw.lease",
    ] {
        let mut tx = TenantTx::begin(&world.app.app_pool, &scene.one).await.unwrap();
        let refused = sqlx::query(forbidden).execute(tx.conn()).await.unwrap_err();
        let code = refused
            .as_database_error()
            .and_then(|e| e.code().map(|c| c.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {refused}");
    }
}
