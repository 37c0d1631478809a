//! Who may do a thing, now and then, with real tokens and passports.
use crate::{
    app::App,
    directory::Offer,
    fake_global::{Caller, FakeGlobal, Person, open, slug},
};
use axum::http::Method;
use exarch_common_base::{Ambient, ManualClock, MembershipId};
use exarch_common_testkit::db::TestDb;
use exarch_common_wire::passport::{Membership, Tenant, User};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

struct Scene {
    global: FakeGlobal,
    app: App,
    http: Caller,
    clock: ManualClock,
    ambient: Ambient,
    admin: Person,
    guest: Person,
    membership: MembershipId,
    _db: TestDb,
    _dir: TempDir,
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
        let guest = Person {
            user: ambient.id(),
            tenant: admin.tenant,
            session: ambient.id(),
        };
        Self {
            http: Caller::new(&app),
            membership: ambient.id(),
            global,
            app,
            clock,
            ambient,
            admin,
            guest,
            _db: db,
            _dir: dir,
        }
    }

    /// The next passport, an hour later.
    async fn hour(&self, change: impl FnOnce(&mut Tenant)) {
        self.clock.advance(Duration::from_secs(3600));
        self.app.instances.has_read(self.app.ambient.boot());
        self.global.change_tenant(self.admin, "acme", change);
        let push = self.global.push(None);
        self.app.directory.take(Offer::Whole(&push), None).await.unwrap();
    }

    fn guest(&self, roles: &[&str]) -> impl FnOnce(&mut Tenant) {
        let (user, membership) = (self.guest.user, self.membership);
        let roles = roles.iter().map(ToString::to_string).collect();
        move |tenant| {
            tenant.users.push(User {
                id: user,
                display_name: "Guest".into(),
                state: "active".into(),
            });
            tenant.memberships.push(Membership {
                id: Some(membership),
                user,
                roles,
                until: None,
                break_glass: None,
            });
        }
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let token = self.global.token(self.admin);
        self.http.send(method, path, Some(&token), body).await.1
    }

    async fn ask(&self, query: &str) -> Value {
        self.send(Method::GET, &format!("/v1/who-can?{query}"), Value::Null)
            .await
    }

    /// Names and roles of those who may.
    async fn who(&self, query: &str) -> Vec<(String, String)> {
        let answer = self.ask(query).await;
        let people = answer["people"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let named = people
            .iter()
            .map(|able| (text(&able["display_name"]), text(&able["through"][0]["role"])));
        let mut named: Vec<_> = named.collect();
        named.sort();
        named
    }
}

fn at(time: OffsetDateTime) -> String {
    format!("at={}", time.format(&Rfc3339).unwrap())
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

#[tokio::test]
async fn it_is_known_who_could_do_a_thing_at_a_time_that_is_past() {
    let s = Scene::new().await;
    s.hour(|_| {}).await;
    let first = s.ambient.now();
    s.hour(s.guest(&["auditor"])).await;
    let joined = s.ambient.now();
    s.hour(s.guest(&["read-only"])).await;
    let changed = s.ambient.now();
    s.hour(|_| {}).await;
    let who = async |query: &str| s.who(query).await;
    let (admin, auditor) = (("Ada", "tenant-admin"), ("", "auditor"));
    assert_eq!(who("permission=audit.list").await, pairs(&[admin]));
    let half = time::Duration::minutes(30);
    for (time, expected) in [
        (first, &[admin][..]),
        (joined - half, &[admin]),
        (joined, &[auditor, admin]),
        (changed - half, &[auditor, admin]),
        (changed, &[admin]),
    ] {
        let query = format!("permission=audit.list&{}", at(time));
        assert_eq!(who(&query).await, pairs(expected), "{time}");
    }
    let readers = format!("permission=lease.list&{}", at(changed));
    assert_eq!(who(&readers).await, pairs(&[("", "read-only"), admin]));
    let before = s.ask(&format!("permission=audit.list&{}", at(first - half))).await;
    assert_eq!(slug(&before), "not-known");
    assert_eq!(before["since"], first.format(&Rfc3339).unwrap());
}

#[tokio::test]
async fn roles_in_one_cluster_count_there_and_while_they_were() {
    let s = Scene::new().await;
    s.hour(s.guest(&[])).await;
    let made = s.send(Method::POST, "/v1/clusters", json!({ "name": "one" })).await;
    let cluster = made["id"].as_str().unwrap().to_owned();
    let other = s.send(Method::POST, "/v1/clusters", json!({ "name": "two" })).await;
    let (before, minute) = (s.ambient.now(), Duration::from_secs(60));
    s.clock.advance(minute);
    s.app.instances.has_read(s.app.ambient.boot());
    let body = json!({ "cluster_id": cluster, "user_id": s.guest.user, "role": "cluster-operator" });
    let binding = s.send(Method::POST, "/v1/bindings", body).await;
    let bound = s.ambient.now();
    let question = format!("permission=workload.start&cluster_id={cluster}");
    let both = pairs(&[("Ada", "tenant-admin"), ("Guest", "cluster-operator")]);
    let admin = pairs(&[("Ada", "tenant-admin")]);
    assert_eq!(s.who(&question).await, both);
    let elsewhere = format!("permission=workload.start&cluster_id={}", other["id"].as_str().unwrap());
    assert_eq!(s.who(&elsewhere).await, admin);
    assert_eq!(s.who("permission=workload.start").await, admin);
    s.clock.advance(minute);
    s.app.instances.has_read(s.app.ambient.boot());
    let path = format!("/v1/bindings/{}", binding["id"].as_str().unwrap());
    s.send(Method::DELETE, &path, Value::Null).await;
    assert_eq!(s.who(&question).await, admin);
    assert_eq!(s.who(&format!("{question}&{}", at(before))).await, admin);
    assert_eq!(s.who(&format!("{question}&{}", at(bound))).await, both);
    assert_eq!(s.who(&format!("{question}&{}", at(s.ambient.now()))).await, admin);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused() {
    let s = Scene::new().await;
    s.hour(s.guest(&["read-only"])).await;
    let nowhere = "cluster_id=clu_00000000000000000000000000000000";
    for (query, problem) in [
        ("permission=lease.fly".to_owned(), "invalid-question"),
        ("permission=region.list".to_owned(), "invalid-question"),
        (format!("permission=audit.list&{nowhere}"), "invalid-question"),
        (format!("permission=lease.list&{nowhere}"), "not-found"),
        ("permission=audit.list&at=yesterday".to_owned(), "malformed-query"),
    ] {
        assert_eq!(slug(&s.ask(&query).await), problem, "{query}");
    }
    let token = s.global.token(s.guest);
    let refused = s.http.problem("/v1/who-can?permission=lease.list", &token).await;
    assert_eq!(refused, (403, "permission-denied".to_owned()));
}
