//! Who asks: one person for each role, in a tenant made for it.
use super::golden::Role;
use exarch_common_base::Ambient;
use exarch_common_crypto::totp;
use exarch_tests_federation::{Client, EU, Federation, OWNER, program};
use serde_json::json;
use std::process::Stdio;
use time::{Duration, format_description::well_known::Rfc3339};
use tokio::{io::AsyncWriteExt, process::Command};

const PASSWORD: &str = "a password of five words here";

/// Sees the fleet's outlines in all clusters, and no more of it.
pub const WATCHER: Role = Role::Custom(
    "outline-watcher",
    &["cluster.list", "cluster.read", "host.list", "workload.stop"],
);
/// Looks after people, not after machines.
pub const CLERK: Role = Role::Custom(
    "people-clerk",
    &[
        "user.list",
        "user.read",
        "user.update",
        "membership.list",
        "session.list",
    ],
);
/// Lets machines into one cluster.
pub const DOORKEEPER: Role = Role::Custom(
    "doorkeeper",
    &[
        "bootstrap_token.list",
        "bootstrap_token.create",
        "bootstrap_token.revoke",
        "agent.list",
        "agent.approve",
    ],
);

/// Somebody with what the matrix gave to him.
pub struct Person {
    pub name: &'static str,
    /// Whether the membership has ended, and every session with it.
    pub is_gone: bool,
    pub staff: Vec<Role>,
    pub tenant: Vec<Role>,
    pub cluster: Vec<Role>,
    /// At the global.
    pub global: Client,
    /// In the region; the provider's people have no way in.
    pub region: Option<Client>,
}

/// A tenant with its administrator.
pub struct Tenant {
    pub id: String,
    pub slug: String,
    pub admin: Client,
    pub admin_in: Client,
}

/// Signs in with a first password, which is changed.
async fn first_sign_in(federation: &Federation, email: &str, initial: &str) -> Client {
    let global = federation.global();
    let body = json!({"email": email, "password": initial, "session": "token"});
    let asked = global.post("/v1/auth/sign-in", &body).await.ok();
    let body = json!({"ticket": asked["ticket"], "new_password": PASSWORD});
    let answer = global.post("/v1/auth/next", &body).await.ok();
    let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    federation.global().bearer(token)
}

async fn enter(federation: &Federation, person: &Client) -> Client {
    let path = format!("/v1/regions/{EU}/token");
    let entered = person.post(&path, &json!({})).await.ok();
    federation.region(EU).bearer(entered["access_token"].as_str().unwrap())
}

/// Asks until the region has heard of the person.
async fn arrive(federation: &Federation, client: &Client) {
    let look = async || client.get("/v1/me").await.status == 200;
    federation
        .until(std::time::Duration::from_secs(20), "the region knows the person", look)
        .await;
}

pub async fn tenant(federation: &Federation, slug: &str) -> Tenant {
    let owner = federation.person(OWNER).await;
    let email = format!("admin@{slug}.example");
    let body = json!({"slug": slug, "name": slug, "admin": {"email": email, "display_name": "Admin"}});
    let made = owner.post("/v1/tenants", &body).await.ok();
    owner
        .post(&format!("/v1/tenants/{slug}/entitlements"), &json!({"region": EU}))
        .await
        .ok();
    let admin = first_sign_in(federation, &email, made["admin"]["initial_password"].as_str().unwrap()).await;
    let admin_in = enter(federation, &admin).await;
    arrive(federation, &admin_in).await;
    let id = made["tenant"]["id"]
        .as_str()
        .or(made["id"].as_str())
        .unwrap_or_else(|| panic!("{made}"));
    Tenant {
        id: id.to_owned(),
        slug: slug.to_owned(),
        admin,
        admin_in,
    }
}

/// The person's id with the clients.
async fn member(federation: &Federation, of: &Tenant, name: &str, roles: &[Role]) -> (String, Client, Client) {
    let email = format!("{name}@{}.example", of.slug);
    let roles: Vec<_> = roles.iter().map(Role::name).collect();
    let body = json!({"email": email, "display_name": name, "roles": roles, "initial_password": true});
    let made = of.admin.post("/v1/users", &body).await.ok();
    let id = made["user"]["id"]
        .as_str()
        .or(made["id"].as_str())
        .unwrap_or_else(|| panic!("{made}"))
        .to_owned();
    let global = first_sign_in(federation, &email, made["initial_password"].as_str().unwrap()).await;
    let region = enter(federation, &global).await;
    arrive(federation, &region).await;
    (id, global, region)
}

/// The tenant's own roles.
pub async fn make_roles(of: &Tenant) {
    for (role, scope) in [(WATCHER, "tenant"), (CLERK, "tenant"), (DOORKEEPER, "cluster")] {
        let Role::Custom(name, permissions) = role else {
            unreachable!()
        };
        let body = json!({"name": name, "scope": scope, "permissions": permissions});
        of.admin.post("/v1/roles", &body).await.ok();
    }
}

fn soon() -> String {
    (Ambient::system().now() + Duration::seconds(4))
        .format(&Rfc3339)
        .unwrap()
}

/// Everybody of the matrix; those with a role in one cluster have it in `cluster`.
pub async fn everybody(federation: &Federation, of: &Tenant, cluster: &str) -> Vec<Person> {
    let preset = |name| vec![Role::Preset(name)];
    let mut all = Vec::new();
    for (name, tenant, in_cluster) in [
        ("tenant-admin", preset("tenant-admin"), vec![]),
        ("security-analyst", preset("security-analyst"), vec![]),
        ("auditor", preset("auditor"), vec![]),
        ("read-only", preset("read-only"), vec![]),
        ("outline-watcher", vec![WATCHER], vec![]),
        ("people-clerk", vec![CLERK], vec![]),
        ("cluster-admin", vec![], preset("cluster-admin")),
        ("cluster-operator", vec![], preset("cluster-operator")),
        ("doorkeeper", vec![], vec![DOORKEEPER]),
        ("watcher-and-operator", vec![WATCHER], preset("cluster-operator")),
        ("nobody", vec![], vec![]),
    ] {
        let (id, global, region) = member(federation, of, name, &tenant).await;
        for role in &in_cluster {
            let body = json!({"cluster_id": cluster, "user_id": id, "role": role.name()});
            of.admin_in.post("/v1/bindings", &body).await.ok();
        }
        all.push(Person {
            name,
            is_gone: false,
            staff: vec![],
            tenant,
            cluster: in_cluster,
            global,
            region: Some(region),
        });
    }
    all.push(expired_member(federation, of).await);
    all.push(expired_binding(federation, of, cluster).await);
    all
}

/// An administrator whose membership has ended by itself: what it gave is gone, whoever still has a token. Waits for the end.
async fn expired_member(federation: &Federation, of: &Tenant) -> Person {
    let name = "expired-admin";
    let (id, global, region) = member(federation, of, name, &[Role::Preset("tenant-admin")]).await;
    let path = format!("/v1/tenants/{}/memberships", of.id);
    let all = of.admin.get(&format!("{path}?limit=100")).await.ok();
    let mine = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["user"]["id"] == *id || m["user_id"] == *id);
    let path = format!(
        "{path}/{}",
        mine.unwrap_or_else(|| panic!("{all}"))["id"].as_str().unwrap()
    );
    let change = of.admin.request(reqwest::Method::PATCH, &path).header("if-match", "*");
    of.admin.send(change.json(&json!({"until": soon()}))).await.ok();
    let ended = async || region.get("/v1/clusters").await.status != 200;
    federation
        .until(
            std::time::Duration::from_secs(30),
            "the membership ends by itself",
            ended,
        )
        .await;
    Person {
        name,
        is_gone: true,
        staff: vec![],
        tenant: vec![],
        cluster: vec![],
        global,
        region: Some(region),
    }
}

/// The same with a role in one cluster.
async fn expired_binding(federation: &Federation, of: &Tenant, cluster: &str) -> Person {
    let name = "expired-operator";
    let (id, global, region) = member(federation, of, name, &[]).await;
    let body = json!({"cluster_id": cluster, "user_id": id, "role": "cluster-admin", "until": soon()});
    of.admin_in.post("/v1/bindings", &body).await.ok();
    let ended = async || region.get("/v1/clusters").await.status == 403;
    federation
        .until(std::time::Duration::from_secs(30), "the binding ends by itself", ended)
        .await;
    Person {
        name,
        is_gone: false,
        staff: vec![],
        tenant: vec![],
        cluster: vec![],
        global,
        region: Some(region),
    }
}

/// Somebody of the provider who came into the tenant by emergency access, which the owner approved.
pub async fn emergency(federation: &Federation, of: &Tenant, role: &'static str, mode: &str) -> Person {
    let email = format!("{role}@exarch.example");
    add_staff(federation, &email).await;
    let global = federation.global();
    let body = json!({"email": email, "password": PASSWORD, "session": "token"});
    let asked = global.post("/v1/auth/sign-in", &body).await.ok();
    let secret = totp::Secret::from_base32(asked["enrolment"]["secret"].as_str().unwrap()).unwrap();
    let code = secret.code(totp::step(Ambient::system().now().unix_timestamp()));
    let body = json!({"ticket": asked["ticket"], "totp": code});
    let answer = global.post("/v1/auth/next", &body).await.ok();
    let staff = global.bearer(answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")));
    let ask = json!({"tenant": of.id, "mode": mode, "reason": "the matrix", "ticket": "M-1", "minutes": 60});
    let grant = staff.post("/v1/break-glass", &ask).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let owner = federation.person(OWNER).await;
    owner
        .post(&format!("/v1/break-glass/{grant}/approve"), &json!({}))
        .await
        .ok();
    let entered = staff.post("/v1/me/tenant", &json!({"tenant": of.id})).await.ok();
    let global = federation.global().bearer(entered["access_token"].as_str().unwrap());
    let region = enter(federation, &global).await;
    arrive(federation, &region).await;
    Person {
        name: role,
        is_gone: false,
        staff: vec![Role::Preset("system-admin")],
        tenant: vec![Role::Preset(role)],
        cluster: vec![],
        global,
        region: Some(region),
    }
}

/// On the server itself, as its administrator does it.
async fn add_staff(federation: &Federation, email: &str) {
    let settings = federation.place("global").settings();
    let mut child = Command::new(program("exarch-global"))
        .args([
            "add-staff",
            "--role",
            "system-admin",
            "--email",
            email,
            "--password-stdin",
            "--config",
        ])
        .arg(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(PASSWORD.as_bytes())
        .await
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The provider's people: one account, whose role in the federation is changed behind the servers' back, since a role counts
/// when it is used.
pub async fn staff(federation: &Federation, role: &'static str) -> Person {
    let mut database = federation.database("global").await;
    let changed = sqlx::query("UPDATE gc.staff_binding SET role = $1 WHERE ended_at IS NULL AND created_at =\n                          (SELECT min(created_at) FROM gc.staff_binding)")
        .bind(role)
        .execute(&mut database)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1, "the box has one owner");
    Person {
        name: role,
        is_gone: false,
        staff: vec![Role::Preset(role)],
        tenant: vec![],
        cluster: vec![],
        global: federation.person(OWNER).await,
        region: None,
    }
}
