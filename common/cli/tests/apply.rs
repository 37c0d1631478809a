//! `exarch apply` as scripts use it: the binary, against servers that keep what they are told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

/// What the servers hold, by the path of each list, and how they misbehave.
#[derive(Default)]
struct World {
    url: String,
    lists: BTreeMap<String, Vec<Value>>,
    /// Requests with an effect, in their order.
    effects: Vec<String>,
    /// Answers to creations, by their key.
    keys: BTreeMap<String, Value>,
    /// How many changes somebody else gets in before.
    meddling: u32,
    /// Whether the answer to the next creation is lost.
    loses: bool,
}

type Shared = Arc<Mutex<World>>;

fn problem(status: u16, slug: &str) -> Response {
    let body = json!({"type": format!("urn:exarch:problem:{slug}"), "title": slug, "status": status,
                      "detail": format!("This is {slug}."), "request_id": "req_1"});
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::from_u16(status).unwrap(), kind, body.to_string()).into_response()
}

fn tagged(status: StatusCode, item: &Value) -> Response {
    let tag = format!("\"{}\"", item["version"]);
    (status, [(header::ETAG, tag)], Json(item.clone())).into_response()
}

impl World {
    fn create(&mut self, path: &str, headers: &HeaderMap, body: &Value) -> Response {
        let key = headers["idempotency-key"].to_str().unwrap().to_owned();
        if let Some(answer) = self.keys.get(&key) {
            return tagged(StatusCode::CREATED, &answer.clone());
        }
        if body["name"] == "refused" {
            return problem(409, "name-taken");
        }
        let kind = path.rsplit('/').next().unwrap();
        let prefix = match kind {
            "entitlements" => "ent",
            "memberships" => "mem",
            "clusters" => "clu",
            "hosts" => "hst",
            "resources" => "res",
            "workloads" => "wrk",
            _ => "ten",
        };
        let mut item = body.clone();
        item["id"] = json!(format!("{prefix}_{:032x}", self.effects.len() + 1));
        item["version"] = json!(1);
        match kind {
            "entitlements" => item["region"] = json!({"id": "reg_1", "slug": body["region"]}),
            "memberships" => item["user"] = json!({"id": "usr_1", "email": body["email"]}),
            "resources" if body.get("ttl_ms").is_none() => item["ttl_ms"] = json!(15000),
            "tenants" if body.get("admin").is_some() => item["admin"]["initial_password"] = json!("otter-7"),
            _ => {}
        }
        self.effects.push(format!("POST {path} {}", body["name"]));
        let mut kept = item.clone();
        kept.as_object_mut().unwrap().remove("admin");
        self.lists.entry(path.to_owned()).or_default().push(kept);
        self.keys.insert(key, item.clone());
        assert!(
            !std::mem::take(&mut self.loses),
            "the connection breaks before the answer"
        );
        tagged(StatusCode::CREATED, &item)
    }

    fn change(&mut self, list: &str, id: &str, headers: &HeaderMap, body: &Value) -> Response {
        let items = self.lists.get_mut(list).unwrap();
        let item = items
            .iter_mut()
            .find(|item| item["id"] == id || item["slug"] == id)
            .unwrap();
        if self.meddling > 0 {
            self.meddling -= 1;
            item["version"] = json!(item["version"].as_u64().unwrap() + 1);
        }
        if headers[header::IF_MATCH].to_str().unwrap() != format!("\"{}\"", item["version"]) {
            return problem(412, "precondition-failed");
        }
        for (name, value) in body.as_object().unwrap() {
            item[name] = value.clone();
        }
        item["version"] = json!(item["version"].as_u64().unwrap() + 1);
        self.effects.push(format!("PATCH {list} {body}"));
        tagged(StatusCode::OK, item)
    }

    fn read(&self, path: &str) -> Response {
        let list = |path: &str| self.lists.get(path).cloned().unwrap_or_default();
        let (above, last) = path.rsplit_once('/').unwrap();
        if let Some(item) = list(above)
            .iter()
            .find(|item| item["id"] == last || item["slug"] == last)
        {
            return tagged(StatusCode::OK, item);
        }
        match last {
            "audit" => {
                let id = self.lists["/in/v1/resources"][0]["id"].clone();
                let row = json!({"target": {"kind": "resource", "id": id}, "actor": {"kind": "user", "id": "usr_7"},
                                 "at": "2026-06-01T12:00:00Z"});
                Json(json!({ "items": [row] })).into_response()
            }
            "regions" => Json(json!({"items": [{"slug": "eu-north", "id": "reg_1"}]})).into_response(),
            _ if above == "/v1/tenants" => problem(404, "tenant-not-found"),
            _ => Json(json!({ "items": list(path) })).into_response(),
        }
    }
}

async fn serve(State(world): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut world = world.lock().unwrap_or_else(|broken| broken.into_inner());
    let path = uri.path();
    if path == "/v1/regions/eu-north/token" {
        let url = format!("{}/in", world.url);
        return Json(
            json!({"access_token": "rt_1", "expires_in": 900, "region_state": "healthy", "last_seen": null,
                           "region": {"slug": "eu-north", "url": url}}),
        )
        .into_response();
    }
    if path.starts_with("/v1/regions/") {
        return problem(404, "region-not-found");
    }
    if method == Method::GET {
        return world.read(path);
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    if method == Method::POST {
        return world.create(path, &headers, &body);
    }
    let (list, id) = path.rsplit_once('/').unwrap();
    world.change(list, id, &headers, &body)
}

struct Federation {
    home: tempfile::TempDir,
    world: Shared,
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Federation {
    async fn start() -> Self {
        let world = Shared::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        world.lock().unwrap().url = url.clone();
        let router = Router::new().fallback(serve).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let home = tempfile::tempdir().unwrap();
        let exarch = home.path().join("exarch");
        fs::DirBuilder::new().mode(0o700).create(&exarch).unwrap();
        let profile = json!({"global": url, "session": {"user": "usr_1", "since": "2026-01-01T00:00:00Z",
                             "tenant": {"id": "ten_1", "slug": "acme"}, "refresh_token": "exr_1",
                             "access": {"token": "at_1", "expires_at": "2099-01-01T00:00:00Z"}}});
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(exarch.join("default.json"));
        serde_json::to_writer(file.unwrap(), &profile).unwrap();
        Self { home, world }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Applies one file, with these arguments besides.
    async fn apply(&self, text: &str, more: &str) -> Ran {
        let file = self.file("documents.yaml", text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_exarch"));
        command
            .arg("apply")
            .arg("-f")
            .arg(file)
            .args(more.split_whitespace())
            .env_clear()
            .env("EXARCH_CONFIG_HOME", self.home.path())
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn effects(&self) -> Vec<String> {
        let mut world = self.world.lock().unwrap_or_else(|broken| broken.into_inner());
        std::mem::take(&mut world.effects)
    }
}

impl Ran {
    #[track_caller]
    fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    fn outcomes(&self) -> Vec<String> {
        let answer: Value = serde_json::from_str(&self.out).unwrap();
        let items = answer["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                format!(
                    "{} {}",
                    item["kind"].as_str().unwrap(),
                    item["outcome"].as_str().unwrap()
                )
            })
            .collect()
    }
}

/// Everything there is, in the wrong order.
const ALL: &str = r#"
kind: Workload
spec:
  cluster: north
  name: ledger
  resource: ledger-volume
  driver: { kind: process, argv: [/usr/bin/ledger, --verbose], volume: /srv/ledger }
---
kind: Resource
region: eu-north
spec: { cluster: north, name: ledger-volume, kind: volume, ttl_ms: 30000 }
---
kind: Host
spec: { cluster: north, name: edge-1 }
---
kind: Cluster
spec: { name: north }
---
kind: Membership
spec: { user: bob@acme.example, roles: [auditor, tenant-admin], regions: [eu-north], until: null }
---
kind: Entitlement
tenant: acme
spec: { region: eu-north, until: 2027-01-01T01:00:00+01:00, limits: { clusters: 3 } }
---
kind: Tenant
spec: { slug: acme, name: Acme, admin: { email: ada@acme.example, display_name: Ada } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_made_in_order_what_differs_is_changed_and_the_rest_is_left_alone() {
    let federation = Federation::start().await;
    let dry = federation.apply(ALL, "--dry-run -o json").await.code(0);
    assert_eq!(dry.outcomes().len(), 7);
    assert!(
        dry.outcomes().iter().all(|outcome| outcome.ends_with(" create")),
        "{}",
        dry.out
    );
    assert_eq!(federation.effects(), Vec::<String>::new(), "a dry run changes nothing");

    let made = federation.apply(ALL, "").await.code(0);
    let kinds: Vec<_> = made
        .out
        .lines()
        .map(|line| line.split_whitespace().next().unwrap_or_default())
        .collect();
    assert_eq!(
        kinds[..8],
        [
            "KIND",
            "Tenant",
            "Entitlement",
            "Membership",
            "Cluster",
            "Host",
            "Resource",
            "Workload"
        ],
        "{}",
        made.out
    );
    assert!(made.out.contains("otter-7"), "a password is shown once: {}", made.out);
    assert_eq!(made.err, "7 created.\n");
    assert_eq!(federation.effects().len(), 7);
    {
        let world = federation.world.lock().unwrap();
        let workload = &world.lists["/in/v1/workloads"][0];
        assert_eq!(workload["cluster_id"], world.lists["/in/v1/clusters"][0]["id"]);
        assert_eq!(workload["resource_id"], world.lists["/in/v1/resources"][0]["id"]);
        assert_eq!(
            world.lists["/v1/tenants/ten_1/memberships"][0]["regions"],
            json!(["reg_1"])
        );
    }

    let again = federation.apply(ALL, "").await.code(0);
    assert_eq!(again.err, "7 unchanged.\n", "{}", again.out);
    assert_eq!(federation.effects(), Vec::<String>::new());

    let other = ALL
        .replace("30000", "20000")
        .replace("clusters: 3", "clusters: null, hosts: 9")
        .replace("--verbose", "--quiet")
        .replace("name: Acme", "name: Acme GmbH");
    let dry = federation.apply(&other, "--dry-run").await.code(0);
    assert_eq!(dry.err, "4 to change, 3 unchanged; nothing was done.\n");
    assert!(dry.out.contains("ttl_ms: 30000 → 20000"), "{}", dry.out);
    assert!(
        dry.out.contains("limits.clusters: 3 → -; limits.hosts: - → 9"),
        "{}",
        dry.out
    );
    assert_eq!(federation.effects(), Vec::<String>::new());
    let changed = federation.apply(&other, "-o json").await.code(0);
    let outcomes = changed.outcomes();
    assert_eq!(outcomes[..2], ["Tenant changed", "Entitlement changed"]);
    assert_eq!(outcomes[5..], ["Resource changed", "Workload changed"]);
    let effects = federation.effects();
    assert_eq!(effects.len(), 4);
    assert_eq!(
        effects[2], r#"PATCH /in/v1/resources {"ttl_ms":20000}"#,
        "only what differs is sent"
    );
    federation.apply(&other, "").await.code(0);
    assert_eq!(federation.effects(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_anywhere_stops_everything_before_anything_is_sent() {
    let federation = Federation::start().await;
    let faulty = "kind: Cluster\nspec: {name: a}\n---\nkind: Host\nspec: {nam: b, cluster: a}\n";
    let refused = federation.apply(faulty, "").await.code(2);
    assert_eq!(refused.out, "");
    assert!(refused.err.contains("there are 2 faults"), "{}", refused.err);
    assert!(
        refused
            .err
            .contains("document 2, line 5: /spec/nam is unknown: Host has cluster, name"),
        "{}",
        refused.err
    );
    let document = federation.apply(faulty, "-o json").await.code(2);
    let document: Value = serde_json::from_str(&document.err).unwrap();
    assert_eq!(document["errors"].as_array().unwrap().len(), 2, "{document}");
    assert_eq!(federation.effects(), Vec::<String>::new());
    federation.apply("# nothing\n", "").await.code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_refused_before_anything_is_done() {
    let federation = Federation::start().await;
    federation.apply(ALL, "").await.code(0);
    let second = "---\nkind: Resource\nspec: { cluster: north, name: other, kind: volume }\n";
    federation.apply(second, "").await.code(0);
    federation.effects();
    let moved = format!(
        "{}{}",
        ALL.replace("resource: ledger-volume", "resource: other")
            .replace("30000", "20000"),
        second
    );
    let refused = federation.apply(&moved, "").await.code(2);
    assert!(
        refused
            .err
            .contains("line 6: /spec/resource of the Workload \"ledger\" is")
            && refused.err.contains("delete it and create it anew"),
        "{}",
        refused.err
    );
    assert_eq!(federation.effects(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_refusal_ends_it_and_says_what_was_done() {
    let federation = Federation::start().await;
    let cluster = |name: &str| format!("---\nkind: Cluster\nspec: {{ name: {name} }}\n");
    let text = [cluster("first"), cluster("refused"), cluster("last")].concat();
    let stopped = federation.apply(&text, "").await.code(5);
    for line in ["first", "refused", "last"]
        .into_iter()
        .zip(["created", "failed", "skipped"])
    {
        let shown = stopped.out.lines().find(|shown| shown.contains(line.0)).unwrap();
        assert!(shown.contains(line.1), "{}", stopped.out);
    }
    assert!(
        stopped.err.contains("1 created, 1 failed, 1 skipped."),
        "{}",
        stopped.err
    );
    assert!(
        stopped.err.contains("Cluster \"refused\" (") && stopped.err.contains("document 2): This is name-taken."),
        "{}",
        stopped.err
    );
    let data = federation.apply(&text, "-o json").await.code(5);
    assert_eq!(
        data.outcomes(),
        ["Cluster unchanged", "Cluster failed", "Cluster skipped"]
    );
    let document: Value = serde_json::from_str(data.err.lines().last().unwrap()).unwrap();
    assert_eq!(document["type"], "urn:exarch:problem:name-taken");
    let missing = federation
        .apply("kind: Host\nspec: {name: a, cluster: none}\n", "")
        .await
        .code(4);
    assert!(missing.err.contains("There is no cluster \"none\""), "{}", missing.err);
    let elsewhere = federation
        .apply("kind: Cluster\nregion: us-east\nspec: {name: a}\n", "")
        .await
        .code(4);
    assert_eq!(elsewhere.out, "");
    let tenant = federation
        .apply("kind: Cluster\ntenant: globex\nspec: {name: a}\n", "")
        .await
        .code(1);
    assert!(tenant.err.contains("tenant switch globex"), "{}", tenant.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_it_at_the_same_time_is_not_overwritten_unseen() {
    let federation = Federation::start().await;
    federation.apply(ALL, "").await.code(0);
    let other = ALL.replace("30000", "20000");
    federation.world.lock().unwrap().meddling = 1;
    federation.apply(&other, "").await.code(0);
    federation.world.lock().unwrap().meddling = 2;
    let raced = federation.apply(ALL, "").await.code(5);
    assert!(
        raced.err.contains("last by usr_7 at 2026-06-01T12:00:00Z"),
        "{}",
        raced.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_makes_nothing_twice() {
    let federation = Federation::start().await;
    federation.world.lock().unwrap().loses = true;
    federation
        .apply("kind: Cluster\nspec: {name: north}\n", "")
        .await
        .code(0);
    assert_eq!(federation.effects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_read_names_and_ids() {
    let federation = Federation::start().await;
    let text = "kind: Cluster\nspec: {name: north}\n---\nkind: Host\nspec: {name: edge-1, cluster: north}\n";
    assert_eq!(
        federation.apply(text, "-q --dry-run").await.code(0).out,
        "",
        "what is not there has no id"
    );
    assert_eq!(federation.apply(text, "-o name").await.code(0).out, "north\nedge-1\n");
    let ids = federation.apply(text, "-q").await.code(0);
    assert_eq!(ids.out, format!("clu_{:032x}\nhst_{:032x}\n", 1, 2));
    assert_eq!(ids.err, "");
}
