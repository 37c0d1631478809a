//! Boxes come and go, beside each other, and leave nothing.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
use exarch_common_crypto::{
    pki::Pin,
    tls::{client_config, pinned_client_config},
};
use exarch_common_wire::names::{ALPN_ENROL, ALPN_JOIN};
use exarch_tests_federation::{
    ADA, EU, Federation, OWNER, US,
    peers::{Wire, der},
    program, suite, tests,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::{ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

fn main() -> ExitCode {
    suite::main(tests![
        federation_json_has_the_form_that_other_tools_rely_on,
        the_authorities_in_it_are_those_of_the_listeners,
        up_on_a_running_box_changes_nothing,
        a_second_box_stands_beside_the_first_and_goes_alone,
        a_box_whose_ports_are_taken_says_so_and_leaves_the_other_alone,
        a_box_goes_down_whole_and_comes_back_with_its_data,
    ])
}

fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn set(names: &str) -> BTreeSet<&str> {
    names.split_whitespace().collect()
}

async fn federation_json_has_the_form_that_other_tools_rely_on(federation: Arc<Federation>) {
    let path = federation.dir.join("federation.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(members(&file), set("global regions accounts agents"));
    let server = "url ops_url ca state_dir database pids replicas";
    assert_eq!(members(&file["global"]), set(&format!("{server} federation_url")));
    let base = federation.base;
    assert_eq!(file["global"]["url"], format!("http://localhost:{base}"));
    assert_eq!(
        file["global"]["federation_url"],
        format!("https://localhost:{}", base + 1)
    );
    assert_eq!(file["global"]["ops_url"], format!("http://127.0.0.1:{}", base + 9));
    let regions = file["regions"].as_array().unwrap();
    let slugs: Vec<_> = regions.iter().map(|region| region["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, [EU, US]);
    for (n, region) in regions.iter().enumerate() {
        assert_eq!(
            members(region),
            set(&format!("{server} slug id console_url agents_url"))
        );
        let (slug, port) = (region["slug"].as_str().unwrap(), base + 1000 + 100 * n as u16);
        assert!(region["id"].as_str().unwrap().starts_with("reg_"));
        assert_eq!(region["url"], format!("http://127.0.0.1:{port}"));
        assert_eq!(region["console_url"], format!("http://{slug}.localhost:{port}"));
        assert_eq!(region["agents_url"], format!("https://127.0.0.1:{}", port + 1));
        assert_eq!(region["ops_url"], format!("http://127.0.0.1:{}", port + 9));
    }
    for server in regions.iter().chain([&file["global"]]) {
        assert_eq!(members(&server["database"]), set("owner_url app_url"));
        for (login, member) in [("exarch_owner", "owner_url"), ("exarch_app", "app_url")] {
            let url = server["database"][member].as_str().unwrap();
            assert!(url.starts_with(&format!("postgres://{login}:")), "{url}");
        }
        assert!(fs::metadata(server["state_dir"].as_str().unwrap()).unwrap().is_dir());
        let ca = server["ca"].as_str().unwrap();
        assert!(ca.starts_with('/') && fs::metadata(ca).unwrap().is_file(), "{ca}");
        let pids: Vec<i64> = server["pids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pid| pid.as_i64().unwrap())
            .collect();
        let names: Vec<String> = pids
            .iter()
            .map(|pid| {
                fs::read_to_string(format!("/proc/{pid}/comm"))
                    .unwrap()
                    .trim()
                    .to_owned()
            })
            .collect();
        let own = if server["slug"].is_null() {
            "exarch-global"
        } else {
            "exarch-gateway"
        };
        assert_eq!(names, [own, "postgres"]);
    }
    for account in file["accounts"].as_array().unwrap() {
        let mut expected = set("email password roles regions");
        // Staff have a second factor and no tenant.
        expected.insert(if account["email"] == OWNER {
            "totp_secret"
        } else {
            "tenant"
        });
        assert_eq!(members(account), expected, "{account}");
    }
    let agents = file["agents"].as_array().unwrap();
    assert_eq!(agents.len(), 4);
    for agent in agents {
        assert_eq!(members(agent), set("name id region tenant cluster state_dir pid"));
        assert!(agent["id"].as_str().unwrap().starts_with("agt_"));
        let name = fs::read_to_string(format!("/proc/{}/comm", agent["pid"])).unwrap();
        assert_eq!(name.trim(), "exarch-agent");
    }
    // What else is secret is so for others on this machine, too.
    for place in federation.layout().places() {
        for secret in fs::read_dir(place.dir.join("secrets")).unwrap().flatten() {
            assert_eq!(
                secret.metadata().unwrap().permissions().mode() & 0o077,
                0,
                "{:?}",
                secret.path()
            );
        }
    }
}

async fn the_authorities_in_it_are_those_of_the_listeners(federation: Arc<Federation>) {
    let places = [("global", ALPN_JOIN), (EU, ALPN_ENROL), (US, ALPN_ENROL)];
    for (place, alpn) in places {
        let at = federation.place(place);
        let text = fs::read_to_string(at.ca()).unwrap();
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n") && text.ends_with("-----END CERTIFICATE-----\n"));
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
        for (other, _) in places {
            let authority = federation.authority(other);
            let config = client_config(&[authority], None, &[alpn]).unwrap();
            assert_eq!(
                Wire::dial(at.inner, config).await.is_some(),
                place == other,
                "{other} at {place}"
            );
        }
        let pinned = pinned_client_config(Pin::of(&der(&text)), &[alpn]).unwrap();
        assert!(Wire::dial(at.inner, pinned).await.is_some());
    }
}

/// What must stay the same while a box stands.
fn standing(federation: &Federation) -> BTreeSet<i32> {
    federation.processes().into_iter().map(|(pid, _)| pid).collect()
}

async fn up_on_a_running_box_changes_nothing(federation: Arc<Federation>) {
    let (file, standing_before) = (federation.file(), standing(&federation));
    federation.up().await.unwrap();
    assert_eq!(federation.file(), file);
    assert_eq!(standing(&federation), standing_before);
}

async fn a_second_box_stands_beside_the_first_and_goes_alone(federation: Arc<Federation>) {
    let (file, before) = (federation.file(), standing(&federation));
    let second = Federation::reserve(&program("exarch-box"));
    assert_ne!(second.base, federation.base);
    // In the foreground this time: Ctrl-C takes it down.
    let mut child = Command::new(program("exarch-box"))
        .args(["up", "--port-base", &second.base.to_string(), "--dir"])
        .arg(&second.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    while !said.contains("Ctrl-C stops everything") {
        let line = lines.next_line().await.unwrap();
        said.push_str(&line.unwrap_or_else(|| panic!("the second box does not come up: {said}")));
    }
    let theirs = standing(&second);
    assert!(theirs.len() > 10 && theirs.is_disjoint(&before), "{theirs:?}");
    // Two federations: who is known in one is nobody in the other.
    let (here, there) = (federation.access(ADA).await, second.access(ADA).await);
    assert_ne!(federation.account(ADA).password, second.account(ADA).password);
    federation
        .global()
        .bearer(&there)
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
    second
        .global()
        .bearer(&here)
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
    let token = second.region_token(ADA, EU).await;
    federation
        .region(EU)
        .bearer(&token)
        .get("/v1/me")
        .await
        .refused(401, "unauthenticated");
    second.region(EU).bearer(&token).get("/v1/me").await.ok();
    let pid = Pid::from_raw(child.id().unwrap() as i32).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert!(child.wait().await.unwrap().success());
    assert_eq!(second.end().await, Vec::<String>::new());
    assert_eq!(federation.file(), file);
    assert!(
        standing(&federation).is_superset(&before),
        "the first box lost a process"
    );
    for place in ["global", EU, US] {
        assert!(federation.ready(place).await, "{place}");
    }
}

async fn a_box_whose_ports_are_taken_says_so_and_leaves_the_other_alone(federation: Arc<Federation>) {
    let before = standing(&federation);
    let mut second = Federation::reserve(&program("exarch-box"));
    second.base = federation.base;
    let said = second.up().await.unwrap_err();
    let line = said.lines().last().unwrap();
    assert!(line.starts_with("exarch-box: ") && line.contains("in use"), "{said}");
    let databases = federation
        .layout()
        .places()
        .map(|place| place.database.to_string())
        .collect::<Vec<_>>();
    assert!(databases.iter().any(|port| line.contains(port)), "{said}");
    assert_eq!(second.end().await, Vec::<String>::new());
    assert!(standing(&federation).is_superset(&before));
    // Only one port of it is taken, by a stranger.
    let mut second = Federation::reserve(&program("exarch-box"));
    second.base = exarch_tests_federation::free_base();
    let stranger = TcpListener::bind(("127.0.0.1", second.base)).unwrap();
    let said = second.up().await.unwrap_err();
    assert!(said.contains("global.log"), "{said}");
    let log = fs::read_to_string(second.dir.join("logs/global.log")).unwrap();
    let line = log.lines().last().unwrap();
    assert!(
        line.starts_with("exarch-global: ") && line.contains("settings.public.listen"),
        "{line}"
    );
    drop(stranger);
    assert_eq!(second.end().await, Vec::<String>::new());
}

async fn a_box_goes_down_whole_and_comes_back_with_its_data(federation: Arc<Federation>) {
    let ada = federation.person_in(ADA, EU).await;
    let made = ada.post("/v1/clusters", &json!({"name": "kept"})).await.ok();
    let session = federation.sign_in(ADA).await;
    // A process that has nothing to do with the box, though its name looks like it.
    let elsewhere = tempfile::tempdir().unwrap();
    let lookalike = elsewhere.path().join("exarch-agent");
    fs::copy("/bin/sleep", &lookalike).unwrap();
    let mut stranger = Command::new(&lookalike).arg("600").kill_on_drop(true).spawn().unwrap();
    let before = federation.file();
    let down = federation.run("down", &[]).await;
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    assert_eq!(federation.processes(), []);
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger was stopped");
    stranger.kill().await.unwrap();
    for place in federation.layout().places() {
        for port in [place.public, place.inner, place.ops, place.database] {
            assert!(
                TcpListener::bind(("127.0.0.1", port)).is_ok(),
                "{} still has {port}",
                place.name
            );
        }
    }
    let again = federation.run("down", &[]).await;
    assert!(again.status.success(), "down on a box that is down");
    federation.up().await.unwrap();
    let after = federation.file();
    assert_eq!(after.accounts, before.accounts);
    let regions = |file: &exarch_common_testkit::federation::FederationFile| {
        file.regions
            .iter()
            .map(|region| (region.slug.clone(), region.id.clone()))
            .collect::<Vec<_>>()
    };
    let agents = |file: &exarch_common_testkit::federation::FederationFile| {
        file.agents
            .iter()
            .map(|agent| (agent.name.clone(), agent.region.clone(), agent.id.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!((regions(&after), agents(&after)), (regions(&before), agents(&before)));
    // The same keys: a session from before goes on, at the global and in the region.
    let next = json!({"refresh_token": session["refresh_token"]});
    let next = federation.global().post("/v1/auth/refresh", &next).await.ok();
    federation
        .global()
        .bearer(next["access_token"].as_str().unwrap())
        .get("/v1/me")
        .await
        .ok();
    let kept = ada
        .get(&format!("/v1/clusters/{}", made["id"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!(kept["name"], "kept");
    federation
        .until(Duration::from_secs(30), "all agents are back", async || {
            let agents = ada.get("/v1/agents?limit=100").await.ok();
            agents["items"]
                .as_array()
                .unwrap()
                .iter()
                .all(|agent| agent["state"] == "active")
        })
        .await;
}
