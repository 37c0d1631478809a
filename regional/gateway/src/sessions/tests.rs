//! Users' tokens and the passport's age, at the real router.
use super::{SKEW, STOPS_WHEN_STALE};
use crate::{
    app::App,
    directory::Offer,
    fake_global::{Caller, FakeGlobal, Person, open, slug},
};
use axum::http::Method;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_authz::{Role, TenantState};
use exarch_common_base::{Ambient, ManualClock};
use exarch_common_crypto::{jws, sign::SigningKey};
use exarch_common_testkit::db::TestDb;
use exarch_common_wire::{
    names,
    passport::{Membership, Tenant},
    user_token::{self, Claims, Version},
};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use time::macros::datetime;

mod age;
mod break_glass;
mod keys;
mod streams;

struct Fixture {
    ambient: Ambient,
    clock: ManualClock,
    global: FakeGlobal,
    app: App,
    http: Caller,
    _db: TestDb,
    _dir: TempDir,
}

async fn fixture() -> Fixture {
    exarch_common_crypto::init().unwrap();
    let (ambient, clock) = Ambient::manual(datetime!(2026-01-01 12:00 UTC), 1);
    let global = FakeGlobal::new(&ambient);
    let db = TestDb::regional().await;
    global.enlist(&db, "localhost:1").await;
    let dir = tempfile::tempdir().unwrap();
    let app = open(&ambient, &db, dir.path()).await;
    Fixture {
        http: Caller::new(&app),
        ambient,
        clock,
        global,
        app,
        _db: db,
        _dir: dir,
    }
}

impl Fixture {
    /// Takes over what the global has now.
    async fn sync(&self) {
        self.app
            .directory
            .take(Offer::Whole(&self.global.push(None)), None)
            .await
            .unwrap();
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.app.instances.has_read(self.app.ambient.boot());
    }

    /// Changes the tenant of `person` in a new passport and asks who one is, with the token from before.
    async fn after(&self, person: Person, token: &str, change: impl FnOnce(&mut Tenant)) -> (u16, String) {
        self.global.change_tenant(person, "acme", change);
        self.sync().await;
        self.http.problem("/v1/me", token).await
    }
}

fn unauthenticated() -> (u16, String) {
    (401, "unauthenticated".to_owned())
}

#[tokio::test]
async fn a_person_with_a_region_token_is_told_who_they_are() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    f.sync().await;
    let (status, me) = f.http.get("/v1/me", &f.global.token(person)).await;
    assert_eq!(status, 200, "{me}");
    assert_eq!(
        me["user"],
        json!({"id": person.user.to_string(), "display_name": "Ada"})
    );
    assert_eq!(me["tenant"]["slug"], "acme");
    assert_eq!(me["roles"], json!(["tenant-admin"]));
    assert_eq!(me["session"], person.session.to_string());
    assert_eq!(me["region"]["slug"], "eu-north");
}

#[tokio::test]
async fn every_answer_to_somebody_in_a_tenant_says_which() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |tenant| {
        tenant.memberships[0].roles = vec!["read-only".to_owned()]
    });
    f.sync().await;
    let token = f.global.token(person);
    let nothing = "/v1/clusters/clu_00000000000000000000000000000000";
    for path in ["/v1/me", "/v1/clusters", nothing, "/v1/audit"] {
        let headers = f.http.headers(path, &token).await;
        assert_eq!(headers["exarch-tenant"], person.tenant.to_string().as_str(), "{path}");
    }
    for (path, token) in [("/v1/me", "x"), ("/v1/continuity", &token)] {
        assert!(
            !f.http.headers(path, token).await.contains_key("exarch-tenant"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_wrong_token_is_the_same_401() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    f.sync().await;
    let good = f.global.token(person);
    let with = |change: &dyn Fn(&mut Claims)| {
        let mut claims = f.global.claims(person);
        change(&mut claims);
        f.global.sign(&claims)
    };
    let now = f.ambient.now().unix_timestamp();
    let parts: Vec<&str> = good.split('.').collect();
    let raw = |header: Value, claims: Value| {
        let encode = |value: &Value| B64.encode(value.to_string());
        format!("{}.{}.{}", encode(&header), encode(&claims), parts[2])
    };
    let claims = serde_json::to_value(f.global.claims(person)).unwrap();
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "u1"});
    let signed_as = |header: Value, claims: &Value| {
        let input = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
        let signature = f.global.users.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", B64.encode(signature))
    };
    let mut text_exp = claims.clone();
    text_exp["exp"] = json!(claims["exp"].to_string());
    let mut twice = serde_json::to_string(&claims).unwrap();
    twice.insert_str(twice.len() - 1, ",\"exp\":99999999999");
    let doubled = format!("{}.{}", B64.encode(header.to_string()), B64.encode(twice));
    let doubled = format!(
        "{doubled}.{}",
        B64.encode(f.global.users.sign(doubled.as_bytes()).unwrap())
    );
    let other_region = f.ambient.id();
    let tampered = {
        let mut other = claims.clone();
        other["sub"] = json!(f.ambient.id::<exarch_common_base::UserId>().to_string());
        raw(header.clone(), other)
    };
    let attacks: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("no token", "x.y.z".to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("a truncated signature", good[..good.len() - 4].to_owned()),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("changed claims", tampered),
        (
            "alg none",
            format!(
                "{}.{}.",
                B64.encode(json!({"alg": "none", "typ": "at+jwt", "kid": "u1"}).to_string()),
                parts[1]
            ),
        ),
        (
            "HS256 with the public key as the secret",
            jws::sign_hs256(f.global.users.public().raw(), user_token::TYP, "u1", &claims),
        ),
        ("another typ", jws::sign(&f.global.users, "JWT", "u1", &claims).unwrap()),
        (
            "an unknown kid",
            jws::sign(&f.global.users, user_token::TYP, "u9", &claims).unwrap(),
        ),
        (
            "a stranger's key",
            user_token::sign(
                &SigningKey::generate(exarch_common_crypto::sign::Algorithm::Es256).unwrap(),
                "u1",
                &f.global.claims(person),
            )
            .unwrap(),
        ),
        (
            "a header with a key of its own",
            signed_as(
                json!({"alg": "ES256", "typ": "at+jwt", "kid": "u1", "jwk": {}}),
                &claims,
            ),
        ),
        (
            "an unknown crit",
            signed_as(
                json!({"alg": "ES256", "typ": "at+jwt", "kid": "u1", "crit": ["b64"]}),
                &claims,
            ),
        ),
        ("exp as text", signed_as(header.clone(), &text_exp)),
        ("a claim twice", doubled),
        (
            "for the global",
            with(&|c| {
                c.aud = names::GLOBAL.to_owned();
                c.region = None;
            }),
        ),
        (
            "for another region",
            with(&|c| {
                c.aud = names::region(other_region);
                if let Some(region) = &mut c.region {
                    region.rid = other_region;
                }
            }),
        ),
        (
            "the audience of this region, the id of another",
            with(&|c| {
                if let Some(region) = &mut c.region {
                    region.rid = other_region;
                }
            }),
        ),
        ("another issuer", with(&|c| c.iss = "http://elsewhere".to_owned())),
        (
            "expired",
            with(&|c| {
                c.iat = now - 1000;
                c.exp = now - SKEW;
            }),
        ),
        ("of the future", with(&|c| c.iat = now + SKEW + 1)),
        ("not good yet", with(&|c| c.nbf = now + SKEW + 1)),
        (
            "its session has ended",
            with(&|c| {
                if let Some(region) = &mut c.region {
                    region.sxp = now;
                }
            }),
        ),
        ("no tenant", with(&|c| c.tid = None)),
        (
            "bound to a key that proves nothing",
            with(&|c| {
                c.cnf = Some(user_token::Confirmation { jkt: "x".to_owned() });
            }),
        ),
        ("an unknown person", with(&|c| c.sub = f.ambient.id())),
    ];
    let without = |mut body: Value| {
        body.as_object_mut().map(|body| body.remove("request_id"));
        body
    };
    let (status, expected) = f.http.send(Method::GET, "/v1/me", None, Value::Null).await;
    assert_eq!((status.as_u16(), slug(&expected)), unauthenticated());
    for (what, token) in attacks {
        let (status, body) = f.http.get("/v1/me", &token).await;
        assert_eq!(status, 401, "{what}: {body}");
        assert_eq!(without(body), without(expected.clone()), "{what}");
    }
    // None of this has spoilt the good one.
    assert_eq!(f.http.get("/v1/me", &good).await.0, 200);
}

#[tokio::test]
async fn a_token_dies_with_its_time_though_it_was_seen_before() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    f.sync().await;
    let token = f.global.token(person);
    assert_eq!(f.http.get("/v1/me", &token).await.0, 200);
    f.advance(Duration::from_secs(900 + SKEW as u64 - 1)).await;
    assert_eq!(f.http.get("/v1/me", &token).await.0, 200);
    f.advance(Duration::from_secs(1)).await;
    assert_eq!(f.http.problem("/v1/me", &token).await, unauthenticated());
}

#[tokio::test]
async fn what_ends_at_the_global_ends_here_with_the_next_passport() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    f.sync().await;
    let token = f.global.token(person);
    assert_eq!(f.http.get("/v1/me", &token).await.0, 200);

    assert_eq!(
        f.after(person, &token, |t| t.memberships.clear()).await,
        unauthenticated()
    );
    assert_eq!(f.after(person, &token, |_| {}).await.0, 200);
    let disabled = |t: &mut Tenant| t.users[0].state = "disabled".to_owned();
    assert_eq!(f.after(person, &token, disabled).await, unauthenticated());
    let gone = |t: &mut Tenant| t.users.clear();
    assert_eq!(f.after(person, &token, gone).await, unauthenticated());
    let now = f.ambient.now().unix_timestamp();
    let not_entitled = (404, "not-entitled".to_owned());
    let ended = |t: &mut Tenant| t.entitlement.until = Some(now);
    assert_eq!(f.after(person, &token, ended).await, not_entitled);
    let later = |t: &mut Tenant| t.entitlement.from = now + 1;
    assert_eq!(f.after(person, &token, later).await, not_entitled);
    assert_eq!(f.after(person, &token, |_| {}).await.0, 200);

    let other = Person {
        session: f.ambient.id(),
        ..person
    };
    let other = f.global.token(other);
    f.global.revoke(person.session);
    f.sync().await;
    assert_eq!(f.http.problem("/v1/me", &token).await, unauthenticated());
    assert_eq!(f.http.get("/v1/me", &other).await.0, 200, "another session goes on");

    f.global
        .remove(&exarch_common_wire::passport::tenant_section(person.tenant));
    f.sync().await;
    assert_eq!(f.http.problem("/v1/me", &other).await, not_entitled);
}

#[tokio::test]
async fn an_end_that_was_announced_comes_by_the_regions_own_clock() {
    let f = fixture().await;
    let now = f.ambient.now().unix_timestamp();
    let entitled = f.global.tenant("acme", |t| t.entitlement.until = Some(now + 60));
    let member = f.global.tenant("globex", |t| t.memberships[0].until = Some(now + 60));
    let demoted = f.global.tenant("initech", |t| {
        t.memberships[0].until = Some(now + 60);
        t.memberships.push(Membership {
            id: None,
            user: t.users[0].id,
            roles: vec!["read-only".to_owned()],
            until: None,
            break_glass: None,
        });
    });
    f.sync().await;
    let tokens = [entitled, member, demoted].map(|person| f.global.token(person));
    for token in &tokens {
        assert_eq!(f.http.get("/v1/clusters", token).await.0, 200);
    }
    f.advance(Duration::from_secs(60)).await;
    assert_eq!(f.http.problem("/v1/clusters", &tokens[0]).await.0, 404);
    assert_eq!(f.http.problem("/v1/clusters", &tokens[1]).await, unauthenticated());
    assert_eq!(f.http.get("/v1/clusters", &tokens[2]).await.0, 200);
    let (status, _) = f
        .http
        .send(Method::POST, "/v1/clusters", Some(&tokens[2]), json!({"name": "main"}))
        .await;
    assert_eq!(status, 403, "what is left is reading");
}

#[tokio::test]
async fn a_suspended_tenant_keeps_what_its_state_leaves() {
    let f = fixture().await;
    let reader = |t: &mut Tenant| t.memberships[0].roles = vec!["read-only".to_owned()];
    let (admin, member) = (f.global.tenant("acme", |_| {}), f.global.tenant("globex", reader));
    for (state, me, member_me, read, write) in [
        (TenantState::SuspendedBilling, 200, 200, 200, 402),
        (TenantState::SuspendedIncident, 200, 403, 200, 403),
        (TenantState::SuspendedHold, 200, 200, 200, 201),
        (TenantState::Deleting, 200, 200, 403, 403),
        (TenantState::Deleted, 404, 404, 404, 404),
    ] {
        let word = state.as_str().to_owned();
        f.global.change_tenant(admin, "acme", |t| t.state.clone_from(&word));
        f.global.change_tenant(member, "globex", |t| {
            reader(t);
            t.state.clone_from(&word);
        });
        f.sync().await;
        let token = f.global.token(admin);
        assert_eq!(f.http.get("/v1/me", &token).await.0.as_u16(), me, "{state}");
        assert_eq!(
            f.http.get("/v1/me", &f.global.token(member)).await.0.as_u16(),
            member_me,
            "{state}"
        );
        assert_eq!(f.http.get("/v1/clusters", &token).await.0.as_u16(), read, "{state}");
        let (status, _) = f
            .http
            .send(Method::POST, "/v1/clusters", Some(&token), json!({"name": "main"}))
            .await;
        assert_eq!(status.as_u16(), write, "{state}");
    }
    f.global
        .change_tenant(member, "globex", |t| t.state = "suspended(moonlight)".to_owned());
    f.sync().await;
    let (status, me) = f.http.get("/v1/me", &f.global.token(member)).await;
    assert_eq!(
        (status.as_u16(), me["tenant"]["state"].as_str()),
        (200, Some("suspended(incident)"))
    );
}

#[tokio::test]
async fn without_a_passport_only_continuity_answers() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    assert_eq!(
        f.http.problem("/v1/me", &f.global.token(person)).await,
        (503, "passport-missing".to_owned())
    );
    let (status, told) = f.http.send(Method::GET, "/v1/continuity", None, Value::Null).await;
    assert_eq!(status, 200);
    assert!(told.get("passport").is_none(), "{told}");
    assert_eq!(told["stops"], json!([]));
}

#[tokio::test]
async fn a_replica_that_cannot_read_the_database_for_three_seconds_answers_nobody() {
    let f = fixture().await;
    let person = f.global.tenant("acme", |_| {});
    f.sync().await;
    let token = f.global.token(person);
    f.clock.advance(Duration::from_secs(3));
    assert_eq!(f.http.get("/v1/me", &token).await.0, 200);
    f.clock.advance(Duration::from_millis(1));
    assert_eq!(
        f.http.problem("/v1/me", &token).await,
        (503, "database-unavailable".to_owned())
    );
    assert_eq!(
        f.http.send(Method::GET, "/v1/continuity", None, Value::Null).await.0,
        200
    );
    f.app.instances.look(&f.app).await.unwrap();
    assert_eq!(f.http.get("/v1/me", &token).await.0, 503, "nobody waits for it");
    f.clock.advance(Duration::from_millis(1));
    f.app.instances.beat(&f.app).await.unwrap();
    assert_eq!(f.http.get("/v1/me", &token).await.0, 503, "what it read is older");
    f.app.instances.look(&f.app).await.unwrap();
    assert_eq!(f.http.get("/v1/me", &token).await.0, 200);
}

#[tokio::test]
async fn the_description_is_served_to_anyone() {
    let f = fixture().await;
    let (status, doc) = f.http.send(Method::GET, "/openapi.json", None, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(doc["paths"]["/v1/me"]["get"]["x-exarch-kind"], "self");
}
