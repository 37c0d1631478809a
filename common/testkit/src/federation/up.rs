//! Bringing a box up, in the order in which a provider would: databases, keys, processes, regions, agents, customers.
use super::{
    demo,
    file::{Account, Database, FederationFile, GlobalEntry, RegionEntry, ReplicaEntry, write_private},
    layout::{Layout, Place},
    process::Daemon,
};
use anyhow::{Context, anyhow, bail};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use exarch_common_base::{Ambient, ExposeSecret, SecretString};
use exarch_common_pg::{
    Login,
    embedded::{Cluster, ClusterSpec, EmbeddedError, Passwords, StopMode},
};
use futures_util::future::join_all;
use serde_json::json;
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::Command};

const READY: Duration = Duration::from_secs(60);

/// Who is told what happens.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// Brings everything up and returns what `federation.json` says. What runs already is left alone; what was made before is
/// used again.
///
/// # Errors
/// The first thing that failed, with the log to read.
pub async fn up(ambient: &Ambient, layout: &Layout, say: Progress<'_>) -> anyhow::Result<FederationFile> {
    // Others may pass through, since Postgres runs under another account, but not look around.
    DirBuilder::new().recursive(true).mode(0o711).create(&layout.dir)?;
    let mut file = FederationFile::read(&layout.federation_file())?.unwrap_or_default();
    // All of them to their ends: a cluster that is being made when another fails would go on behind our back.
    let prepared = join_all(layout.places().map(|place| prepare(ambient, layout, place, say))).await;
    let prepared = prepared.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    for (place, (urls, pid)) in layout.places().zip(prepared) {
        note(&mut file, layout, place, urls, pid);
    }
    if file.accounts.is_empty() {
        say("Global controller: keys and first owner");
        let owner = demo::owner(ambient);
        let email = owner.email.clone();
        let password = SecretString::from(owner.password.clone());
        let args = ["setup", "--email", &email, "--password-stdin"];
        run(layout, "exarch-global", &args, &layout.global, Some(&password)).await?;
        file.accounts.push(owner);
        file.write(&layout.federation_file())?;
    }
    serve_all(layout, &layout.global, say).await?;
    let mut owner = file.accounts.first().cloned().ok_or_else(|| anyhow!("no owner"))?;
    if owner.totp_secret.is_none() {
        say("Global controller: the owner's second factor");
        let keep = |owner: &Account| {
            file.accounts[0] = owner.clone();
            Ok(file.write(&layout.federation_file())?)
        };
        demo::enrol(ambient, layout, &mut owner, keep).await?;
    }
    let staff = demo::sign_in(ambient, layout, &owner, None).await?;
    demo::regions(layout, &staff, say).await?;
    for place in &layout.regions {
        serve_all(layout, place, say).await?;
    }
    demo::active(layout, &staff, &mut file, say).await?;
    demo::customers(ambient, layout, &staff, &mut file, say).await?;
    demo::agents(ambient, layout, &mut file, say).await?;
    pids(&mut file, layout);
    file.write(&layout.federation_file())?;
    Ok(file)
}

/// The database of a place, with its tables, and the settings of its server. Places know nothing of one another yet, so they are
/// prepared at once: making a cluster takes longer than all the rest.
async fn prepare(
    ambient: &Ambient,
    layout: &Layout,
    place: &Place,
    say: Progress<'_>,
) -> anyhow::Result<(Database, Option<i32>)> {
    say(&format!("{}: database", place.title));
    let cluster = database(ambient, place).await.with_context(|| place.title.clone())?;
    for replica in layout.replicas_of(place) {
        settings(ambient, layout, &replica, &cluster)?;
    }
    run(layout, binary(place), &["migrate", "up"], place, None).await?;
    let urls = Database {
        owner_url: expose(&cluster.owner_url()),
        app_url: expose(&cluster.app_url()),
    };
    Ok((urls, cluster.pid()))
}

/// Stops every process of the box: agents, gateways, the global, databases.
///
/// # Errors
/// Something does not stop.
pub async fn down(layout: &Layout, say: Progress<'_>) -> anyhow::Result<()> {
    let file = FederationFile::read(&layout.federation_file())?.unwrap_or_default();
    for agent in &file.agents {
        say(&format!("Agent {} in {}", agent.name, agent.region));
        Daemon::new(&layout.dir, &format!("agent-{}-{}", agent.region, agent.name))
            .stop()
            .await?;
    }
    for place in layout.regions.iter().rev().chain([&layout.global]) {
        say(&place.title);
        for replica in layout
            .clone()
            .with_replicas(file.replicas())
            .replicas_of(place)
            .iter()
            .rev()
        {
            daemon(layout, replica).stop().await?;
        }
        Cluster::stop_in(&cluster_dir(place), StopMode::Fast).await?;
    }
    Ok(())
}

/// The process of a place.
pub(super) fn daemon(layout: &Layout, place: &Place) -> Daemon {
    Daemon::new(&layout.dir, &place.process())
}

fn binary(place: &Place) -> &'static str {
    if place.name == "global" {
        "exarch-global"
    } else {
        "exarch-gateway"
    }
}

/// Starts all replicas of a place.
async fn serve_all(layout: &Layout, place: &Place, say: Progress<'_>) -> anyhow::Result<()> {
    for replica in layout.replicas_of(place) {
        serve(layout, &replica, say).await?;
    }
    Ok(())
}

/// Starts the server of a place and waits until it is ready.
pub(super) async fn serve(layout: &Layout, place: &Place, say: Progress<'_>) -> anyhow::Result<()> {
    let daemon = daemon(layout, place);
    if daemon.pid().is_none() {
        say(&format!("{}: start {}", place.title, place.process()));
    }
    let settings = place.settings();
    let args = ["serve", "--config", path_text(&settings)?];
    daemon.start(&layout.bin.join(binary(place)), &args)?;
    Ok(daemon.ready(&format!("{}/readyz", place.ops_url()), READY).await?)
}

fn path_text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().ok_or_else(|| anyhow!("{} is not UTF-8", path.display()))
}

/// Runs one of our own commands to its end; what it says on standard error becomes the error.
pub(super) async fn run(
    layout: &Layout,
    program: &str,
    args: &[&str],
    place: &Place,
    input: Option<&SecretString>,
) -> anyhow::Result<String> {
    let settings = place.settings();
    let mut child = Command::new(layout.bin.join(program))
        .args(args)
        .args(["--config", path_text(&settings)?])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.expose_secret().as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn expose(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

/// A secret that is made at the first call and read at the others.
fn secret(place: &Place, name: &str, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    let path = place.secret(name);
    if let Ok(text) = fs::read_to_string(&path) {
        return Ok(text);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let text = make();
    write_private(&path, text.as_bytes()).with_context(|| path.display().to_string())?;
    Ok(text)
}

fn cluster_dir(place: &Place) -> PathBuf {
    fs::read_to_string(place.dir.join("postgres-dir")).map_or_else(|_| place.dir.join("postgres"), PathBuf::from)
}

/// The place's own Postgres, made or started. Where its account cannot pass through to the box's directory (a clone in
/// root's home, for example), the data lies below /var/lib, and the box remembers where.
///
/// # Errors
/// The first thing that failed.
pub async fn database(ambient: &Ambient, place: &Place) -> anyhow::Result<Cluster> {
    DirBuilder::new().recursive(true).mode(0o711).create(&place.dir)?;
    let fresh = Passwords::generate(ambient);
    let keep = |name: &str, fresh: &SecretString| {
        secret(place, &format!("postgres-{name}"), || expose(fresh)).map(SecretString::from)
    };
    let passwords = Passwords {
        superuser: keep("superuser", &fresh.superuser)?,
        owner: keep("owner", &fresh.owner)?,
        app: keep("app", &fresh.app)?,
        sweep: keep("sweep", &fresh.sweep)?,
        renew: keep("renew", &fresh.renew)?,
        operator: keep("operator", &fresh.operator)?,
    };
    let mut spec = ClusterSpec::new(cluster_dir(place), place.database, "exarch", passwords);
    match Cluster::ensure(&spec).await {
        Err(EmbeddedError::Unreachable { .. }) => {
            let tag = hex_of(&ambient.bytes::<8>());
            spec.state_dir = PathBuf::from(format!("/var/lib/exarch-box-{tag}-{}", place.name));
            write_private(&place.dir.join("postgres-dir"), path_text(&spec.state_dir)?.as_bytes())?;
            Ok(Cluster::ensure(&spec).await?)
        }
        other => Ok(other?),
    }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Writes the settings file of a place; its secrets lie in files of their own.
fn settings(ambient: &Ambient, layout: &Layout, place: &Place, cluster: &Cluster) -> anyhow::Result<()> {
    for name in ["master", "pepper"] {
        secret(place, name, || B64.encode(ambient.bytes::<32>()))?;
    }
    let mut database = String::new();
    for (name, login) in [
        ("app", Login::App),
        ("sweep", Login::Sweep),
        ("renew", Login::Renew),
        ("owner", Login::Owner),
    ] {
        let path = place.secret(&format!("{name}-url"));
        write_private(&path, cluster.url_of(login).expose_secret().as_bytes())?;
        if binary(place) == "exarch-gateway" || name != "renew" {
            database.push_str(&format!("{name}_url_file = {}\n", json!(path)));
        }
    }
    let Place {
        name,
        public,
        inner,
        ops,
        ..
    } = place;
    let master = json!(place.secret("master"));
    let (state, mut agents, mut federation) = (place.state(), String::new(), String::new());
    if layout.replicas > 1 {
        let others = layout
            .replicas_of(place)
            .into_iter()
            .filter(|other| other.replica != place.replica);
        let others: Vec<String> = others.map(|other| other.inner_url()).collect();
        agents = format!("other_urls = {}\n", json!(others));
        let globals = layout.replicas_of(&layout.global);
        let globals: Vec<String> = globals
            .iter()
            .map(|global| format!("127.0.0.1:{}", global.inner))
            .collect();
        federation = format!("\n[federation]\naddresses = {}\n", json!(globals));
    }
    let text = if binary(place) == "exarch-global" {
        format!(
            "[public]\nlisten = \"127.0.0.1:{public}\"\nurl = \"{}\"\n\n\
             [federation]\nlisten = \"127.0.0.1:{inner}\"\nnames = [\"localhost\", \"127.0.0.1\"]\nurl = \"{}\"\n\n\
             [ops]\nlisten = \"127.0.0.1:{ops}\"\n\n[database]\n{database}\n\
             [keys]\nmaster_file = {master}\npepper_file = {}\n\n\
             [mail]\ntransport = \"file\"\ndir = {}\n",
            layout.global_url(),
            layout.federation_url(),
            json!(place.secret("pepper")),
            json!(place.dir.join("mail")),
        )
    } else {
        format!(
            "[public]\nlisten = \"127.0.0.1:{public}\"\nurl = \"http://127.0.0.1:{public}\"\n\
             console_url = \"http://{name}.localhost:{public}\"\n\n\
             [agents]\nlisten = \"127.0.0.1:{inner}\"\nnames = [\"localhost\", \"127.0.0.1\"]\n\
             url = \"https://127.0.0.1:{inner}\"\n{agents}\n\
             [ops]\nlisten = \"127.0.0.1:{ops}\"\n\n[database]\n{database}\n\
             [keys]\nmaster_file = {master}\n\n[state]\ndir = {}\n{federation}",
            json!(state),
        )
    };
    for dir in [state, place.dir.join("mail")] {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    Ok(write_private(&place.settings(), text.as_bytes())?)
}

fn note(file: &mut FederationFile, layout: &Layout, place: &Place, database: Database, postgres: Option<i32>) {
    let pids = postgres.into_iter().collect();
    if place.name == "global" {
        file.global = GlobalEntry {
            url: layout.global_url(),
            federation_url: layout.federation_url(),
            ops_url: place.ops_url(),
            ca: place.ca(),
            state_dir: place.dir.clone(),
            database,
            pids,
            replicas: replicas(layout, place),
        };
        return;
    }
    let id = file
        .regions
        .iter()
        .find(|r| r.slug == place.name)
        .map(|r| r.id.clone())
        .unwrap_or_default();
    file.regions.retain(|r| r.slug != place.name);
    file.regions.push(RegionEntry {
        slug: place.name.clone(),
        id,
        url: format!("http://127.0.0.1:{}", place.public),
        console_url: format!("http://{}.localhost:{}", place.name, place.public),
        agents_url: format!("https://127.0.0.1:{}", place.inner),
        ops_url: place.ops_url(),
        ca: place.ca(),
        state_dir: place.dir.clone(),
        database,
        pids,
        replicas: replicas(layout, place),
    });
}

/// Each process of a place, running or not.
fn replicas(layout: &Layout, place: &Place) -> Vec<ReplicaEntry> {
    let all = layout.replicas_of(place).into_iter();
    all.map(|replica| ReplicaEntry {
        url: replica.url(),
        inner_url: replica.inner_url(),
        ops_url: replica.ops_url(),
        pid: daemon(layout, &replica).pid().unwrap_or_default(),
    })
    .collect()
}

/// The servers' processes, in front of those of their databases.
fn pids(file: &mut FederationFile, layout: &Layout) {
    let fill = |place: &Place, pids: &mut Vec<i32>, entries: &mut Vec<ReplicaEntry>| {
        *entries = replicas(layout, place);
        let running = entries.iter().map(|entry| entry.pid).filter(|pid| *pid != 0);
        pids.splice(0..0, running);
    };
    fill(&layout.global, &mut file.global.pids, &mut file.global.replicas);
    for region in &mut file.regions {
        if let Some(place) = layout.regions.iter().find(|p| p.name == region.slug) {
            fill(place, &mut region.pids, &mut region.replicas);
        }
    }
}

/// The account of an address, or an error that says how to get one.
pub(super) fn account<'a>(file: &'a FederationFile, email: &str) -> anyhow::Result<&'a Account> {
    file.account(email)
        .ok_or_else(|| anyhow!("federation.json has no account {email}; start over with --fresh"))
}
