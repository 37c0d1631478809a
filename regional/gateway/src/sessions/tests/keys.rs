//! API keys of this region: what opens the door, what a key may do behind it, and when it is over.
use super::*;
use crate::testing::stream::Stream;
use exarch_common_base::{ExposeSecret, MembershipId};
use exarch_common_wire::{
    api_key::ApiKey,
    key_token,
    passport::{self, KeySecret},
};

/// A region with a tenant whose administrator has a key, and the key's secret.
struct Keyed {
    f: Fixture,
    person: Person,
    secret: ApiKey,
    membership: MembershipId,
}

impl Keyed {
    async fn new(role: &str) -> Self {
        let f = fixture().await;
        let person = f.global.tenant("acme", |_| {});
        let secret = ApiKey::generate(&f.ambient, f.ambient.id());
        let keyed = Self {
            membership: f.ambient.id(),
            f,
            person,
            secret,
        };
        keyed.publish(role, |_| {}).await;
        keyed
    }

    /// A passport with the key in it, changed.
    async fn publish(&self, role: &str, change: impl FnOnce(&mut Tenant)) {
        let key = passport::ApiKey {
            id: self.secret.id,
            membership: self.membership,
            role: role.to_owned(),
            cidrs: Vec::new(),
            until: None,
            secrets: vec![KeySecret {
                verifier: self.secret.verifier(),
                until: None,
            }],
        };
        self.f.global.change_tenant(self.person, "acme", |tenant| {
            tenant.memberships[0].id = Some(self.membership);
            tenant.api_keys.push(key);
            change(tenant);
        });
        self.f.sync().await;
    }

    fn text(&self) -> String {
        self.secret.text().expose_secret().to_owned()
    }

    async fn problem(&self, path: &str) -> (u16, String) {
        self.f.http.problem(path, &self.text()).await
    }

    async fn makes_a_cluster(&self) -> (u16, String) {
        let name = format!("c{}", self.f.ambient.uuid().simple());
        let body = json!({ "name": name });
        let (status, body) = self
            .f
            .http
            .send(Method::POST, "/v1/clusters", Some(&self.text()), body)
            .await;
        (status.as_u16(), slug(&body))
    }

    async fn watch(&self, path: &str) -> Stream {
        self.f.http.watch(path, &self.text()).await
    }
}

fn fine() -> (u16, String) {
    (200, String::new())
}

fn denied() -> (u16, String) {
    (403, "permission-denied".to_owned())
}

#[tokio::test]
async fn a_key_does_what_its_role_and_its_owner_both_hold_now() {
    let k = Keyed::new("auditor").await;
    let (status, me) = k.f.http.get("/v1/me", &k.text()).await;
    assert_eq!(status, 200, "{me}");
    assert_eq!(me["api_key"], k.secret.id.to_string());
    assert_eq!(me["user"]["id"], k.person.user.to_string());
    assert_eq!((&me["roles"], &me["session"]), (&json!(["auditor"]), &Value::Null));
    assert_eq!(k.problem("/v1/clusters").await, fine());
    assert_eq!(k.problem("/v1/audit").await, fine());
    assert_eq!(k.makes_a_cluster().await, denied());
    // The owner holds less from now on, and so does the key.
    k.publish("auditor", |t| t.memberships[0].roles = vec!["read-only".to_owned()])
        .await;
    assert_eq!(k.problem("/v1/clusters").await, fine());
    assert_eq!(k.problem("/v1/audit").await, denied());
    // A key with a greater role than its owner gets nothing from it.
    k.publish("tenant-admin", |t| {
        t.memberships[0].roles = vec!["read-only".to_owned()]
    })
    .await;
    assert_eq!(k.problem("/v1/clusters").await, fine());
    assert_eq!(k.makes_a_cluster().await, denied());
    k.publish("tenant-admin", |_| {}).await;
    assert_eq!(k.makes_a_cluster().await, (201, String::new()));
}

#[tokio::test]
async fn a_key_ends_with_its_owner_its_time_its_role_and_its_place_in_the_passport() {
    type Change = fn(&mut Tenant);
    let ends: [(Change, (u16, String)); 9] = [
        (|t| t.users[0].state = "disabled".to_owned(), unauthenticated()),
        (|t| t.memberships.clear(), unauthenticated()),
        // the person left and came back: the key does not
        (
            |t| t.memberships[0].id = Some(uuid::Uuid::nil().into()),
            unauthenticated(),
        ),
        (|t| t.memberships[0].until = Some(0), unauthenticated()),
        (|t| t.api_keys[0].until = Some(0), unauthenticated()),
        (|t| t.api_keys[0].role = "nobodys".to_owned(), unauthenticated()),
        (
            |t| t.api_keys[0].cidrs = vec!["of another version".to_owned()],
            unauthenticated(),
        ),
        (|t| t.api_keys.clear(), unauthenticated()),
        (|t| t.entitlement.until = Some(0), (404, "not-entitled".to_owned())),
    ];
    let k = Keyed::new("auditor").await;
    for (n, (change, answer)) in ends.into_iter().enumerate() {
        k.publish("auditor", |_| {}).await;
        let mut stream = k.watch("/v1/clusters").await;
        stream.expect("page").await;
        k.publish("auditor", change).await;
        assert_eq!(k.problem("/v1/me").await, answer, "{n}");
        let end = stream.expect("end").await;
        assert_eq!(slug(&end), answer.1, "{n}");
    }
}

#[tokio::test]
async fn every_wrong_secret_is_the_same_401() {
    let k = Keyed::new("auditor").await;
    let good = k.text();
    let other = ApiKey::generate(&k.f.ambient, k.f.ambient.id());
    let guessed = ApiKey::generate(&k.f.ambient, k.secret.id);
    let text = |key: &ApiKey| key.text().expose_secret().to_owned();
    let federated = other.id;
    k.publish("auditor", |t| {
        let mut key = t.api_keys[0].clone();
        key.id = federated;
        key.secrets.clear();
        t.api_keys.push(key);
    })
    .await;
    let stranger = ApiKey::generate(&k.f.ambient, k.f.ambient.id());
    let verifier = {
        use exarch_common_crypto::hash::sha256;
        B64.encode(sha256(good.as_bytes()))
    };
    for wrong in [
        text(&stranger),
        text(&guessed),
        text(&other),
        good[..good.len() - 1].to_owned(),
        format!("{good}A"),
        good.to_uppercase(),
        good.replacen("sk_", "sk_key_", 1),
        format!("sk_{}_{verifier}", k.secret.id.uuid().simple()),
        "sk_".to_owned(),
        "sk__".to_owned(),
    ] {
        assert_eq!(k.f.http.problem("/v1/me", &wrong).await, unauthenticated(), "{wrong}");
    }
    assert_eq!(k.problem("/v1/me").await, fine());
}

#[tokio::test]
async fn the_secret_before_is_good_until_its_time_and_the_key_until_its_own() {
    let k = Keyed::new("auditor").await;
    let next = ApiKey::generate(&k.f.ambient, k.secret.id);
    let now = k.f.ambient.now().unix_timestamp();
    k.publish("auditor", |t| {
        let key = &mut t.api_keys[0];
        key.secrets[0].until = Some(now + 60);
        key.secrets.insert(
            0,
            KeySecret {
                verifier: next.verifier(),
                until: None,
            },
        );
        key.until = Some(now + 300);
    })
    .await;
    let next = next.text().expose_secret().to_owned();
    assert_eq!(k.problem("/v1/me").await, fine());
    assert_eq!(k.f.http.problem("/v1/me", &next).await, fine());
    k.f.advance(Duration::from_secs(60)).await;
    assert_eq!(k.problem("/v1/me").await, unauthenticated());
    assert_eq!(k.f.http.problem("/v1/me", &next).await, fine());
    k.f.advance(Duration::from_secs(240)).await;
    assert_eq!(k.f.http.problem("/v1/me", &next).await, unauthenticated());
}

#[tokio::test]
async fn a_key_is_good_from_the_addresses_it_names_whatever_a_header_says() {
    let k = Keyed::new("auditor").await;
    k.publish("auditor", |t| {
        t.api_keys[0].cidrs = vec!["192.0.2.0/24".to_owned(), "2001:db8::/32".to_owned()];
    })
    .await;
    let from = async |address: &str, claimed: &str| k.f.http.problem_from(address, claimed, "/v1/me", &k.text()).await;
    for (address, claimed, answer) in [
        ("192.0.2.9", "203.0.113.1", fine()),
        ("::ffff:192.0.2.9", "203.0.113.1", fine()),
        ("2001:db8::9", "203.0.113.1", fine()),
        ("203.0.113.1", "192.0.2.9", unauthenticated()),
        ("192.0.3.9", "192.0.2.9", unauthenticated()),
        ("192.0.2.9", "192.0.2.9", fine()),
    ] {
        assert_eq!(from(address, claimed).await, answer, "{address} as {claimed}");
    }
    // where the connection is not known, nobody can say that it is one of them
    assert_eq!(k.problem("/v1/me").await, unauthenticated());
    // the tenant learns that its key is somewhere else
    let token = k.f.global.token(k.person);
    crate::audit::Refusals::write_now(&k.f.app).await;
    let (_, rows) = k.f.http.get("/v1/audit", &token).await;
    let row = &rows["items"][0];
    assert_eq!(
        (&row["action"], &row["outcome"]),
        (&json!("api_key.use"), &json!("denied"))
    );
    assert_eq!(row["actor"], json!({"kind": "api-key", "id": k.secret.id.to_string()}));
}

#[tokio::test]
async fn the_audit_names_the_key_and_whose_rights_it_used() {
    let k = Keyed::new("tenant-admin").await;
    assert_eq!(k.makes_a_cluster().await.0, 201);
    let (_, rows) = k.f.http.get("/v1/audit", &k.text()).await;
    let row = &rows["items"][0];
    assert_eq!(row["action"], "cluster.create");
    assert_eq!(row["actor"], json!({"kind": "api-key", "id": k.secret.id.to_string()}));
    assert_eq!(row["on_behalf_of"], k.person.user.to_string());
}

/// The table of the states of a tenant, for keys: of an administrator, and of the owner's with another role.
#[tokio::test]
async fn each_state_leaves_a_key_what_it_leaves_a_person() {
    let k = Keyed::new("tenant-admin").await;
    let no = |code: u16, slug: &str| (code, slug.to_owned());
    let state = |word: &'static str| move |t: &mut Tenant| t.state = word.to_owned();
    for (word, reads, writes, reader) in [
        ("active", fine(), no(201, ""), fine()),
        ("suspended(hold)", fine(), no(201, ""), fine()),
        ("suspended(billing)", fine(), no(402, "tenant-suspended"), fine()),
        (
            "suspended(incident)",
            fine(),
            no(403, "tenant-suspended"),
            no(403, "tenant-suspended"),
        ),
        (
            "deleting",
            no(403, "tenant-deleting"),
            no(403, "tenant-deleting"),
            no(403, "tenant-deleting"),
        ),
        (
            "deleted",
            no(404, "not-found"),
            no(404, "not-found"),
            no(404, "not-found"),
        ),
        (
            "of another version",
            fine(),
            no(403, "tenant-suspended"),
            no(403, "tenant-suspended"),
        ),
    ] {
        k.publish("tenant-admin", state(word)).await;
        assert_eq!(k.problem("/v1/clusters").await, reads, "{word}");
        assert_eq!(k.makes_a_cluster().await, writes, "{word}");
        k.publish("read-only", state(word)).await;
        assert_eq!(k.problem("/v1/clusters").await, reader, "{word}");
    }
}

#[tokio::test]
async fn the_passports_age_takes_from_a_key_what_it_takes_from_a_person() {
    let k = Keyed::new("tenant-admin").await;
    let hour = Duration::from_secs(3600);
    let gone = |slug: &str| (503, slug.to_owned());
    for (passed, reads, writes) in [
        (hour, fine(), (201, String::new())),
        (24 * hour, fine(), gone("passport-old")),
        (48 * hour, gone("passport-expired"), gone("passport-expired")),
    ] {
        k.f.advance(passed).await;
        assert_eq!(k.problem("/v1/clusters").await, reads);
        assert_eq!(k.makes_a_cluster().await, writes);
    }
}

/// A federated key, as the passport has it: no secret, and its tokens are made by the global.
#[tokio::test]
async fn the_token_of_a_federated_key_is_worth_what_the_key_is() {
    let k = Keyed::new("auditor").await;
    let token = |change: &dyn Fn(&mut key_token::Claims)| {
        let now = k.f.ambient.now().unix_timestamp();
        let mut claims = key_token::Claims {
            iss: "http://localhost:8440".to_owned(),
            sub: k.secret.id,
            aud: names::region(k.f.app.region.id),
            iat: now,
            nbf: now,
            exp: now + 900,
            jti: "1".to_owned(),
            tid: k.person.tenant,
            rid: k.f.app.region.id,
            ten_v: Version(1, 0),
        };
        claims.iss = k.f.global.claims(k.person).iss;
        change(&mut claims);
        key_token::sign(&k.f.global.users, "u1", &claims).unwrap()
    };
    let me = async |token: &str| k.f.http.problem("/v1/me", token).await;
    // a key of this region has no tokens
    assert_eq!(me(&token(&|_| {})).await, unauthenticated());
    k.publish("auditor", |t| t.api_keys[0].secrets.clear()).await;
    let good = token(&|_| {});
    let (status, told) = k.f.http.get("/v1/me", &good).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["api_key"], k.secret.id.to_string());
    assert_eq!(
        k.problem("/v1/me").await,
        unauthenticated(),
        "the secret is the global's to judge"
    );
    let elsewhere = k.f.ambient.id();
    let nobody = k.f.ambient.id();
    let other = k.f.ambient.id();
    let changes: [&dyn Fn(&mut key_token::Claims); 6] = [
        &|c| c.sub = nobody,
        &|c| c.tid = other,
        &|c| c.rid = elsewhere,
        &|c| c.aud = names::region(elsewhere),
        &|c| c.exp = c.iat - 31,
        &|c| c.iss = "http://elsewhere".to_owned(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_eq!(me(&token(change)).await, unauthenticated(), "{n}");
    }
    // one that knows of something newer waits for it
    let newer = token(&|c| c.ten_v = Version(2, 0));
    assert_eq!(me(&newer).await, fine(), "decided by what is there while that is fresh");
    let mut stream = k.f.http.watch("/v1/clusters", &good).await;
    stream.expect("page").await;
    k.publish("auditor", |t| t.api_keys.clear()).await;
    assert_eq!(me(&good).await, unauthenticated());
    assert_eq!(slug(&stream.expect("end").await), "unauthenticated");
}

#[tokio::test]
async fn a_use_is_noted_once_a_day_and_told_until_it_was_heard() {
    let k = Keyed::new("auditor").await;
    let day = || k.f.ambient.now().unix_timestamp() / 86_400;
    assert!(k.f.app.key_uses.untold().is_empty());
    assert_eq!(k.problem("/v1/me").await, fine());
    let first = k.f.app.key_uses.untold();
    assert_eq!(first, [(k.secret.id, day())].into());
    k.f.app.key_uses.told(&first);
    assert_eq!(k.problem("/v1/me").await, fine());
    assert!(k.f.app.key_uses.untold().is_empty(), "the day was told");
    k.f.advance(Duration::from_secs(24 * 3600)).await;
    assert_eq!(k.problem("/v1/me").await, fine());
    assert_eq!(k.f.app.key_uses.untold(), [(k.secret.id, day())].into());
    // what was heard of another day is not this one
    k.f.app.key_uses.told(&first);
    assert_eq!(k.f.app.key_uses.untold().len(), 1);
}
