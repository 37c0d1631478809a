//! Roles in one cluster, with real tokens.
use crate::{
    app::App,
    directory::Offer,
    fake_global::{Caller, FakeGlobal, Person, open, slug},
};
use axum::http::Method;
use exarch_common_base::{Ambient, ManualClock, MembershipId};
use exarch_common_testkit::db::TestDb;
use exarch_common_wire::passport::{CustomRole, Membership, Tenant, User};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use time::macros::datetime;

struct Scene {
    global: FakeGlobal,
    app: App,
    http: Caller,
    clock: ManualClock,
    ambient: Ambient,
    admin: Person,
    /// Of the tenant, with no role in the whole of it.
    guest: Person,
    token: String,
    clusters: [String; 2],
    db: TestDb,
    dir: TempDir,
}

/// The tenant of the administrator has a guest, by this membership and with these roles.
fn guest(tenant: &mut Tenant, guest: Person, membership: MembershipId, roles: &[&str]) {
    tenant.users.push(User {
        id: guest.user,
        display_name: "Guest".into(),
        state: "active".into(),
    });
    tenant.memberships.push(Membership {
        id: Some(membership),
        user: guest.user,
        roles: roles.iter().map(ToString::to_string).collect(),
        until: None,
        break_glass: None,
    });
    tenant.custom_roles = vec![CustomRole {
        name: "watcher".into(),
        scope: "cluster".into(),
        permissions: vec!["cluster.list".into(), "cluster.read".into()],
    }];
}

impl Scene {
    async fn new() -> Self {
        exarch_common_crypto::init().unwrap();
        let (ambient, clock) = Ambient::manual(datetime!(2026-01-01 12:00 UTC), 1);
        let global = FakeGlobal::new(&ambient);
        let db = TestDb::regional().await;
        global.enlist(&db, "localhost:1").await;
        let dir = tempfile::tempdir().unwrap();
        let app = open(&ambient, &db, dir.path()).await;
        let admin = global.tenant("acme", |_| {});
        let visitor = Person {
            user: ambient.id(),
            tenant: admin.tenant,
            session: ambient.id(),
        };
        let mut scene = Self {
            http: Caller::new(&app),
            token: String::new(),
            clusters: [String::new(), String::new()],
            global,
            app,
            clock,
            guest: visitor,
            admin,
            db,
            dir,
            ambient,
        };
        scene.join(scene.ambient.id(), &[]).await;
        scene.token = scene.global.token(scene.admin);
        for (at, name) in ["one", "two"].into_iter().enumerate() {
            let (_, made) = scene.post("/v1/clusters", json!({ "name": name })).await;
            scene.clusters[at] = made["id"].as_str().unwrap().to_owned();
        }
        scene
    }

    /// The guest is a member by this membership.
    async fn join(&self, membership: MembershipId, roles: &[&str]) {
        self.global
            .change_tenant(self.admin, "acme", |t| guest(t, self.guest, membership, roles));
        self.sync().await;
    }

    async fn sync(&self) {
        let push = self.global.push(None);
        self.app.directory.take(Offer::Whole(&push), None).await.unwrap();
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, body) = self.http.send(Method::POST, path, Some(&self.token), body).await;
        (status.as_u16(), body)
    }

    async fn bind(&self, cluster: usize, role: &str) -> (u16, Value) {
        let body = json!({"cluster_id": self.clusters[cluster], "user_id": self.guest.user, "role": role});
        self.post("/v1/bindings", body).await
    }

    async fn end(&self, binding: &Value) {
        let path = format!("/v1/bindings/{}", binding["id"].as_str().unwrap());
        let (status, _) = self
            .http
            .send(Method::DELETE, &path, Some(&self.token), Value::Null)
            .await;
        assert_eq!(status, 204);
    }

    /// The names of the clusters that exist for the guest.
    async fn seen(&self, http: &Caller) -> Vec<String> {
        let (status, list) = http.get("/v1/clusters", &self.global.token(self.guest)).await;
        if status != 200 {
            assert_eq!((status.as_u16(), slug(&list).as_str()), (403, "permission-denied"));
            return Vec::new();
        }
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The first of the bindings in the list.
    async fn first(&self) -> Value {
        let (status, list) = self.http.get("/v1/bindings", &self.token).await;
        assert_eq!(status, 200, "{list}");
        list["items"][0].clone()
    }
}

#[tokio::test]
async fn a_role_in_a_cluster_shows_that_one_alone_and_ends_at_once() {
    let s = Scene::new().await;
    assert!(s.seen(&s.http).await.is_empty());
    let (status, made) = s.bind(0, "cluster-operator").await;
    assert_eq!((status, &made["state"]), (201, &json!("active")), "{made}");
    assert_eq!(s.seen(&s.http).await, ["one"]);
    let other = format!("/v1/clusters/{}", s.clusters[1]);
    let token = s.global.token(s.guest);
    assert_eq!(s.http.problem(&other, &token).await, (404, "not-found".into()));
    let nowhere = "/v1/clusters/clu_00000000000000000000000000000000";
    assert_eq!(s.http.problem(nowhere, &token).await, (404, "not-found".into()));
    // An operator manages nothing, and gives nothing.
    let host = json!({"cluster_id": s.clusters[0], "name": "x"});
    let (status, _) = s.http.send(Method::POST, "/v1/hosts", Some(&token), host).await;
    assert_eq!(status, 403);
    assert_eq!(s.http.problem("/v1/bindings", &token).await.0, 403);
    assert_eq!(s.bind(0, "cluster-operator").await.0, 409);
    s.end(&made).await;
    assert!(s.seen(&s.http).await.is_empty());
    assert_eq!(s.bind(0, "cluster-operator").await.0, 201);
}

#[tokio::test]
async fn every_replica_has_it_once_it_has_looked_and_one_that_starts_has_all() {
    let s = Scene::new().await;
    let replica = open(&s.ambient, &s.db, s.dir.path()).await;
    replica
        .directory
        .take(Offer::Whole(&s.global.push(None)), None)
        .await
        .unwrap();
    let there = Caller::new(&replica);
    let (_, one) = s.bind(0, "cluster-admin").await;
    s.bind(1, "watcher").await;
    replica.instances.look(&replica).await.unwrap();
    assert_eq!(s.seen(&there).await, ["two", "one"]);
    s.end(&one).await;
    assert_eq!(s.seen(&there).await, ["two", "one"], "it has not looked yet");
    replica.instances.look(&replica).await.unwrap();
    assert_eq!(s.seen(&there).await, ["two"]);
    let late = open(&s.ambient, &s.db, s.dir.path()).await;
    late.directory
        .take(Offer::Whole(&s.global.push(None)), None)
        .await
        .unwrap();
    late.instances.look(&late).await.unwrap();
    assert_eq!(s.seen(&Caller::new(&late)).await, ["two"]);
    // A database that was set back is read anew.
    let mut db = s.db.superuser().await;
    for sql in [
        "ALTER TABLE gw.binding DISABLE TRIGGER ALL",
        "DELETE FROM gw.binding",
        "UPDATE gw.local_version SET bindings = 1",
    ] {
        sqlx::query(sql).execute(&mut db).await.unwrap();
    }
    replica.instances.look(&replica).await.unwrap();
    assert!(s.seen(&there).await.is_empty());
}

#[tokio::test]
async fn who_leaves_and_comes_back_finds_none_of_the_old_ones() {
    let s = Scene::new().await;
    s.bind(0, "cluster-admin").await;
    assert_eq!(s.seen(&s.http).await, ["one"]);
    s.global.change_tenant(s.admin, "acme", |_| {});
    s.sync().await;
    let token = s.global.token(s.guest);
    assert_eq!(s.http.problem("/v1/clusters", &token).await.0, 401);
    assert_eq!(s.first().await["state"], "void");
    s.join(s.ambient.id(), &[]).await;
    assert!(s.seen(&s.http).await.is_empty());
    assert_eq!(s.first().await["state"], "void");
    assert_eq!(s.bind(0, "cluster-admin").await.0, 201);
    assert_eq!(s.seen(&s.http).await, ["one"]);
}

#[tokio::test]
async fn an_end_comes_by_itself_and_makes_room() {
    let s = Scene::new().await;
    let until = s.ambient.now() + Duration::from_secs(600);
    let until = until.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = json!({"cluster_id": s.clusters[0], "user_id": s.guest.user, "role": "cluster-admin", "until": until});
    assert_eq!(s.post("/v1/bindings", body.clone()).await.0, 201);
    assert_eq!(s.seen(&s.http).await, ["one"]);
    s.clock.advance(Duration::from_secs(600));
    s.app.instances.has_read(s.ambient.boot());
    assert!(s.seen(&s.http).await.is_empty());
    assert_eq!(s.first().await["state"], "expired");
    let (status, refused) = s.post("/v1/bindings", body).await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/until")));
    assert_eq!(s.bind(0, "cluster-admin").await.0, 201);
}

#[tokio::test]
async fn a_role_that_the_tenant_changes_or_deletes_is_what_it_is_now() {
    let s = Scene::new().await;
    s.bind(0, "watcher").await;
    assert_eq!(s.seen(&s.http).await, ["one"]);
    let membership = {
        let index = s.app.directory.current();
        let tenant = index.as_ref().unwrap().tenant(s.admin.tenant).unwrap();
        tenant.memberships[&s.guest.user][0].id.unwrap()
    };
    s.global.change_tenant(s.admin, "acme", |tenant| {
        guest(tenant, s.guest, membership, &[]);
        tenant.custom_roles.clear();
    });
    s.sync().await;
    assert!(s.seen(&s.http).await.is_empty());
    assert_eq!(s.first().await["state"], "void");
}

#[tokio::test]
async fn what_cannot_be_given_is_refused_by_name() {
    let s = Scene::new().await;
    let stranger: exarch_common_base::UserId = s.ambient.id();
    for (role, user, pointer) in [
        ("tenant-admin", s.guest.user, "/role"),
        ("regional-operator", s.guest.user, "/role"),
        ("nobodys", s.guest.user, "/role"),
        ("cluster-admin", stranger, "/user_id"),
    ] {
        let body = json!({"cluster_id": s.clusters[0], "user_id": user, "role": role});
        let (status, refused) = s.post("/v1/bindings", body).await;
        assert_eq!(
            (status, &refused["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{role}"
        );
    }
    let body =
        json!({"cluster_id": "clu_00000000000000000000000000000000", "user_id": s.guest.user, "role": "watcher"});
    assert_eq!(s.post("/v1/bindings", body).await.0, 404);
    // An assigner without rights in clusters gives none.
    let token = s.token.clone();
    s.global.change_tenant(s.admin, "acme", |tenant| {
        guest(tenant, s.guest, s.ambient.id(), &[]);
        tenant.custom_roles.push(CustomRole {
            name: "assigner".into(),
            scope: "tenant".into(),
            permissions: vec!["role.assign".into()],
        });
        tenant.memberships[0].roles = vec!["assigner".into()];
    });
    s.sync().await;
    let body = json!({"cluster_id": s.clusters[0], "user_id": s.guest.user, "role": "watcher"});
    let (status, refused) = s.http.send(Method::POST, "/v1/bindings", Some(&token), body).await;
    assert_eq!((status.as_u16(), slug(&refused).as_str()), (403, "role-not-held"));
}

#[tokio::test]
async fn a_deleted_cluster_takes_its_bindings_along() {
    let s = Scene::new().await;
    s.bind(0, "cluster-admin").await;
    let path = format!("/v1/clusters/{}", s.clusters[0]);
    let (_, cluster) = s.http.get(&path, &s.token).await;
    assert_eq!(cluster["version"], 1);
    let deleted = s.http.delete(&path, &s.token, "\"1\"").await;
    assert_eq!(deleted, 204);
    assert_eq!(s.first().await, Value::Null);
    s.app.instances.look(&s.app).await.unwrap();
    assert!(s.seen(&s.http).await.is_empty());
}
