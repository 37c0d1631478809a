//! What a new box is filled with: two regions, two customers, people, a cluster and two agents in each region.
use super::{
    authority,
    file::{Account, AgentEntry, FederationFile},
    layout::{Layout, Place},
    process::Daemon,
    up::{Progress, account, run},
};
use anyhow::{Context, anyhow, bail};
use exarch_common_base::{Ambient, SecretString};
use exarch_common_crypto::totp::{self, Secret};
use exarch_common_http::client::{ApiClient, ClientError, ClientTls};
use exarch_common_wire::names::{ALPN_ENROL, ALPN_JOIN};
use serde_json::{Value, json};
use std::{fs, process::Stdio, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    time::{Instant, sleep},
};

/// How long a new region may take until it is active: the first probe comes within a period.
const ACTIVE: Duration = Duration::from_secs(90);

const OWNER: &str = "owner@exarch.example";
pub(super) const ACME: &str = "ada@acme.example";
pub(super) const GLOBEX: &str = "grace@globex.example";
pub(super) const CLUSTER: &str = "main";
pub(super) const AGENTS: [&str; 2] = ["edge-a", "edge-b"];

fn password(ambient: &Ambient) -> String {
    let words = [
        "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "islet", "juniper", "krill", "lagoon",
        "maple", "nectar", "otter", "pebble",
    ];
    let pick = |b: u8| words[usize::from(b & 15)];
    let bytes: [u8; 5] = ambient.bytes();
    let text: Vec<String> = bytes.iter().map(|b| format!("{}{}", pick(*b), b >> 4)).collect();
    text.join("-")
}

pub(super) fn owner(ambient: &Ambient) -> Account {
    Account {
        email: OWNER.into(),
        password: password(ambient),
        roles: vec!["system-admin".into()],
        ..Account::default()
    }
}

/// A client of a server of the box.
pub(super) fn client(base: &str) -> anyhow::Result<ApiClient> {
    Ok(ApiClient::new(base, ClientTls::System)?)
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| anyhow!("{pointer} is missing in the answer"))
}

/// Signs in with a password and, where there is one, a code; a first sign-in changes the password to the account's.
pub(super) async fn sign_in(
    ambient: &Ambient,
    layout: &Layout,
    account: &Account,
    initial: Option<&str>,
) -> anyhow::Result<ApiClient> {
    let global = client(&layout.global_url())?;
    let password = initial.unwrap_or(&account.password);
    let body = json!({"email": account.email, "password": password, "session": "token"});
    let mut answer: Value = global.post("/v1/auth/sign-in", &body).await.context("sign-in")?;
    while answer["status"] == "next" {
        let ticket = text(&answer, "/ticket")?;
        let body = match text(&answer, "/next")? {
            "second-factor" => {
                let secret = account.totp_secret.as_deref();
                let secret = secret.ok_or_else(|| anyhow!("{} has no second factor to sign in with", account.email))?;
                answer = code(ambient, &global, ticket, secret).await?;
                continue;
            }
            "change-password" => json!({"ticket": ticket, "new_password": account.password}),
            "select-tenant" => json!({"ticket": ticket, "tenant": text(&answer, "/tenants/0/id")?}),
            other => bail!("{}: the sign-in asks for {other}", account.email),
        };
        answer = global
            .post("/v1/auth/next", &body)
            .await
            .context("sign-in, next step")?;
    }
    Ok(global.bearer(text(&answer, "/access_token")?.to_owned().into()))
}

/// Gives a code of the app. One that was used by an earlier sign-in is refused, so the next one is tried, and waited for when
/// it is not yet good.
async fn code(ambient: &Ambient, global: &ApiClient, ticket: &str, secret: &str) -> anyhow::Result<Value> {
    let secret = Secret::from_base32(secret).context("the account's totp_secret")?;
    for (n, ahead) in [0, -1, 1, 1].into_iter().enumerate() {
        if n == 3 {
            sleep(Duration::from_secs(totp::PERIOD.unsigned_abs())).await;
        }
        let now = totp::step(ambient.now().unix_timestamp());
        let body = json!({"ticket": ticket, "totp": secret.code(now + ahead)});
        match global.post("/v1/auth/next", &body).await {
            Err(ClientError::Problem(problem)) if problem.document.status == 401 => {}
            answer => return answer.context("second factor"),
        }
    }
    bail!("no code of the app is taken; does the clock run right?")
}

/// Signs in for the first time with a role that needs a second factor: enrols an app, and tells its secret before it counts.
pub(super) async fn enrol(
    ambient: &Ambient,
    layout: &Layout,
    account: &mut Account,
    keep: impl FnOnce(&Account) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let global = client(&layout.global_url())?;
    let body = json!({"email": account.email, "password": account.password, "session": "token"});
    let answer: Value = global.post("/v1/auth/sign-in", &body).await.context("sign-in")?;
    let secret = text(&answer, "/enrolment/secret")?.to_owned();
    account.totp_secret = Some(secret.clone());
    keep(account)?;
    code(ambient, &global, text(&answer, "/ticket")?, &secret)
        .await
        .map(drop)
}

/// A region token, by which the account works in a region.
pub(super) async fn enter(person: &ApiClient, place: &Place) -> anyhow::Result<ApiClient> {
    let path = format!("/v1/regions/{}/token", place.name);
    let answer: Value = person.post(&path, &json!({})).await.context("exchange")?;
    let region = client(&format!("http://127.0.0.1:{}", place.public))?;
    Ok(region.bearer(text(&answer, "/access_token")?.to_owned().into()))
}

/// Registers each region that is not, and lets its gateway join.
pub(super) async fn regions(layout: &Layout, staff: &ApiClient, say: Progress<'_>) -> anyhow::Result<()> {
    let known: Value = staff.get("/v1/regions?limit=100").await?;
    for place in &layout.regions {
        let region = known["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|r| r["slug"] == place.name.as_str());
        let lifecycle = region.and_then(|r| r["lifecycle"].as_str());
        let answer: Value = match lifecycle {
            Some("registered") => {
                staff
                    .post(&format!("/v1/regions/{}/join-token", place.name), &json!({}))
                    .await?
            }
            Some(_) => continue,
            None => {
                let body = json!({
                    "slug": place.name,
                    "name": place.title,
                    "url": format!("http://127.0.0.1:{}", place.public),
                    "console_url": format!("http://{}.localhost:{}", place.name, place.public),
                });
                staff.post("/v1/regions", &body).await?
            }
        };
        say(&format!("{}: join the federation", place.title));
        let told = answer.get("join_token").unwrap_or(&answer);
        let pin = pin_of(text(told, "/line")?)?;
        authority::note(&layout.global, pin, ALPN_JOIN).await?;
        let token = SecretString::from(text(told, "/token")?.to_owned());
        let url = layout.federation_url();
        let args = ["join", "--global", &url, "--ca-pin", pin, "--token-file", "-"];
        run(layout, "exarch-gateway", &args, place, Some(&token)).await?;
    }
    Ok(())
}

/// The fingerprint in a line to paste.
fn pin_of(line: &str) -> anyhow::Result<&str> {
    let mut words = line.split_whitespace().skip_while(|word| *word != "--ca-pin");
    words
        .nth(1)
        .ok_or_else(|| anyhow!("the line to paste names no fingerprint: {line}"))
}

/// Waits until every region is active, and notes their ids.
pub(super) async fn active(
    layout: &Layout,
    staff: &ApiClient,
    file: &mut FederationFile,
    say: Progress<'_>,
) -> anyhow::Result<()> {
    for place in &layout.regions {
        let deadline = Instant::now() + ACTIVE;
        let mut told = false;
        loop {
            let region: Value = staff.get(&format!("/v1/regions/{}", place.name)).await?;
            if region["lifecycle"] == "active" {
                let entry = file.regions.iter_mut().find(|r| r.slug == place.name);
                entry.ok_or_else(|| anyhow!("no entry of {}", place.name))?.id = text(&region, "/id")?.into();
                break;
            }
            if Instant::now() > deadline {
                let log = Daemon::new(&layout.dir, &place.name).log().display().to_string();
                bail!(
                    "{} is {} and not active after {} s; read {log}",
                    place.name,
                    region["lifecycle"],
                    ACTIVE.as_secs()
                );
            }
            if !told {
                say(&format!("{}: waiting for its first good probe", place.title));
                told = true;
            }
            sleep(Duration::from_millis(250)).await;
        }
    }
    Ok(())
}

/// Loads the customers, once.
pub(super) async fn customers(
    ambient: &Ambient,
    layout: &Layout,
    staff: &ApiClient,
    file: &mut FederationFile,
    say: Progress<'_>,
) -> anyhow::Result<()> {
    if file.account(GLOBEX).is_some() {
        return Ok(());
    }
    for (slug, name, email, person, regions) in [
        ("acme", "Acme Ltd", ACME, "Ada Acme", vec!["eu-north", "us-east"]),
        ("globex", "Globex Corp", GLOBEX, "Grace Globex", vec!["eu-north"]),
    ] {
        if file.account(email).is_some() {
            continue;
        }
        say(&format!("Customer {name}"));
        let body = json!({"slug": slug, "name": name, "admin": {"email": email, "display_name": person}});
        let answer: Value = staff.post("/v1/tenants", &body).await.context("creating the tenant")?;
        for region in &regions {
            let path = format!("/v1/tenants/{slug}/entitlements");
            staff
                .post::<Value>(&path, &json!({"region": region}))
                .await
                .context("entitlement")?;
        }
        let account = Account {
            email: email.into(),
            password: password(ambient),
            totp_secret: None,
            tenant: Some(slug.into()),
            roles: vec!["tenant-admin".into()],
            regions: regions.iter().map(ToString::to_string).collect(),
        };
        let initial = text(&answer, "/admin/initial_password")?;
        sign_in(ambient, layout, &account, Some(initial)).await?;
        file.accounts.push(account);
        // A password that is set and not written down would be lost.
        file.write(&layout.federation_file())?;
    }
    let ada = sign_in(ambient, layout, account(file, ACME)?, None).await?;
    for place in &layout.regions {
        say(&format!("{}: cluster, hosts, resource and workload", place.title));
        inventory(layout, &enter(&ada, place).await?).await?;
    }
    Ok(())
}

async fn inventory(layout: &Layout, region: &ApiClient) -> anyhow::Result<()> {
    let clusters: Value = region.get("/v1/clusters?limit=100").await?;
    if clusters["items"].as_array().is_some_and(|c| !c.is_empty()) {
        return Ok(());
    }
    let cluster: Value = region.post("/v1/clusters", &json!({"name": CLUSTER})).await?;
    let cluster = text(&cluster, "/id")?;
    for agent in AGENTS {
        let body = json!({"cluster_id": cluster, "name": format!("host-{agent}")});
        region.post::<Value>("/v1/hosts", &body).await?;
    }
    let body = json!({"cluster_id": cluster, "name": "ledger", "kind": "volume", "ttl_ms": 10_000});
    let resource: Value = region.post("/v1/resources", &body).await?;
    // One volume that both hosts reach, as shared storage would be.
    let volumes = layout.dir.join("volumes");
    fs::create_dir_all(&volumes)?;
    let volume = volumes.join(format!("ledger-{cluster}.img"));
    let body = json!({
        "cluster_id": cluster,
        "name": "ledger",
        "resource_id": text(&resource, "/id")?,
        "driver": {
            "kind": "process",
            "argv": ["/bin/sh", "-c", format!("while :; do date +%s >> {}.log; sleep 1; done", volume.display())],
            "volume": volume,
        },
    });
    region.post::<Value>("/v1/workloads", &body).await?;
    Ok(())
}

/// Enrols two agents in each region, once, and starts them.
pub(super) async fn agents(
    ambient: &Ambient,
    layout: &Layout,
    file: &mut FederationFile,
    say: Progress<'_>,
) -> anyhow::Result<()> {
    let ada = sign_in(ambient, layout, account(file, ACME)?, None).await?;
    for place in &layout.regions {
        let region = enter(&ada, place).await?;
        let clusters: Value = region.get("/v1/clusters?limit=100").await?;
        let cluster = text(&clusters, "/items/0/id")?;
        for name in AGENTS {
            let state = layout.agent_dir(&place.name, name);
            let known = file.agents.iter().any(|a| a.region == place.name && a.name == name);
            if !known {
                say(&format!("{}: enrol agent {name}", place.title));
                let id = enrol_agent(layout, place, &region, cluster, name).await?;
                file.agents.push(AgentEntry {
                    name: name.into(),
                    id,
                    region: place.name.clone(),
                    tenant: "acme".into(),
                    cluster: CLUSTER.into(),
                    state_dir: state.clone(),
                    pid: 0,
                });
                file.write(&layout.federation_file())?;
            }
            let pid = start_agent(layout, &place.name, name)?;
            if let Some(entry) = file
                .agents
                .iter_mut()
                .find(|a| a.region == place.name && a.name == name)
            {
                entry.pid = pid;
            }
        }
    }
    Ok(())
}

/// The process of an agent.
pub(super) fn agent_daemon(layout: &Layout, region: &str, name: &str) -> Daemon {
    Daemon::new(&layout.dir, &format!("agent-{region}-{name}"))
}

pub(super) fn start_agent(layout: &Layout, region: &str, name: &str) -> anyhow::Result<i32> {
    let state = layout.agent_dir(region, name).display().to_string();
    Ok(agent_daemon(layout, region, name).start(&layout.bin.join("exarch-agent"), &["run", "--state", &state])?)
}

async fn enrol_agent(
    layout: &Layout,
    place: &Place,
    region: &ApiClient,
    cluster: &str,
    name: &str,
) -> anyhow::Result<String> {
    let hosts: Value = region.get("/v1/hosts?limit=100").await?;
    let mut hosts = hosts["items"].as_array().into_iter().flatten();
    let host = hosts.find(|host| host["name"] == format!("host-{name}"));
    let body = json!({"cluster_id": cluster, "host_id": host.map(|host| &host["id"]), "name": name, "auto": true});
    let answer: Value = region
        .post("/v1/bootstrap-tokens", &body)
        .await
        .context("bootstrap token")?;
    let pin = pin_of(text(&answer, "/line")?)?;
    authority::note(place, pin, ALPN_ENROL).await?;
    let state = layout.agent_dir(&place.name, name);
    fs::create_dir_all(layout.dir.join("agents"))?;
    let mut child = Command::new(layout.bin.join("exarch-agent"))
        .arg("enrol")
        .args(
            layout
                .replicas_of(place)
                .iter()
                .flat_map(|replica| ["--gateway".to_owned(), replica.inner_url()]),
        )
        .args(["--ca-pin", pin, "--token-file", "-", "--state"])
        .arg(&state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text(&answer, "/token")?.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("exarch-agent enrol: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let identity: Value = serde_json::from_slice(&fs::read(state.join("identity.json"))?)?;
    Ok(text(&identity, "/agent")?.to_owned())
}
