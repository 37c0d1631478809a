//! The measurements and their report.
use anyhow::{Context, anyhow, ensure};
use exarch_common_http::client::{ApiClient, ClientTls};
use exarch_common_testkit::federation::FederationFile;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    io::{Write as _, stdout},
    path::Path,
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

const CONNECTIONS: u64 = 16;

struct Figure {
    path: &'static str,
    ours: Vec<f64>,
    baseline: Vec<f64>,
    baseline_name: &'static str,
    goal: f64,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn child(command: &str) -> anyhow::Result<Child> {
    Ok(Command::new(std::env::current_exe()?)
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?)
}

async fn tell(child: &mut Child, input: &Value) -> anyhow::Result<()> {
    let stdin = child.stdin.as_mut().ok_or_else(|| anyhow!("no standard input"))?;
    Ok(stdin.write_all(format!("{input}\n").as_bytes()).await?)
}

async fn line(child: &mut Child) -> anyhow::Result<String> {
    let mut line = String::new();
    let stdout = child.stdout.as_mut().ok_or_else(|| anyhow!("no standard output"))?;
    BufReader::new(stdout).read_line(&mut line).await?;
    ensure!(!line.is_empty(), "a process of the bench ended early");
    Ok(line)
}

async fn load(authority: &str, path: &str, bearer: &str, seconds: u64) -> anyhow::Result<f64> {
    let mut process = child("load")?;
    let input = json!({"authority": authority, "path": path, "bearer": bearer, "connections": CONNECTIONS,
        "seconds": seconds});
    tell(&mut process, &input).await?;
    let answer: Value = serde_json::from_str(&line(&mut process).await?)?;
    process.wait().await?;
    answer["per_second"].as_f64().context("the load said no figure")
}

/// Resident memory in MiB.
fn resident(pid: i32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status.lines().find_map(|l| {
        l.strip_prefix("VmRSS:")?
            .trim()
            .strip_suffix(" kB")?
            .parse::<f64>()
            .ok()
    });
    kib.map(|k| k / 1024.0)
        .with_context(|| format!("process {pid} says no memory"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("{pointer} is missing"))
}

pub async fn run(federation: &Path, rounds: usize, seconds: u64, out: &Path) -> anyhow::Result<()> {
    let file = FederationFile::read(federation)?.context("no box there; bring one up first")?;
    let mut report = String::new();
    let mut results = Vec::new();

    let memory = [
        ("idle memory: global", file.global.pids.first().copied(), 40.0),
        (
            "idle memory: gateway",
            file.regions.first().and_then(|r| r.pids.first().copied()),
            40.0,
        ),
        ("idle memory: agent", file.agents.first().map(|a| a.pid), 15.0),
    ];
    for (path, pid, goal) in memory {
        let mib = resident(pid.with_context(|| format!("{path}: no process"))?)?;
        results.push(
            json!({"path": path, "ours": mib, "unit": "MiB", "baseline": null, "baseline_name": null,
            "ratio": null, "goal": format!("≤ {goal} MiB"), "holds": mib <= goal}),
        );
    }

    let figure = point_read(&file, rounds, seconds).await?;
    let (ours, baseline) = (median(&figure.ours), median(&figure.baseline));
    let ratio = ours / baseline;
    results.push(
        json!({"path": figure.path, "ours": ours, "unit": "requests/s", "baseline": baseline,
        "baseline_name": figure.baseline_name, "ratio": ratio, "goal": format!("≥ {} ×", figure.goal),
        "holds": ratio >= figure.goal, "ours_rounds": figure.ours, "baseline_rounds": figure.baseline}),
    );

    writeln!(
        report,
        "# Results\n\nMedians of {rounds} interleaved rounds of {seconds} s, {CONNECTIONS} connections.\n"
    )?;
    writeln!(
        report,
        "| path | ours | baseline | ratio | goal | holds |\n| --- | --- | --- | --- | --- | --- |"
    )?;
    for r in &results {
        let number = |key: &str| r[key].as_f64().map_or("–".to_owned(), |n| format!("{n:.2}"));
        let name = r["baseline_name"].as_str().map_or(String::new(), |n| format!(" ({n})"));
        writeln!(
            report,
            "| {} | {} {} | {}{name} | {} | {} | {} |",
            r["path"].as_str().unwrap_or_default(),
            number("ours"),
            r["unit"].as_str().unwrap_or_default(),
            number("baseline"),
            number("ratio"),
            r["goal"].as_str().unwrap_or_default(),
            if r["holds"] == true { "yes" } else { "no" },
        )?;
    }
    fs::create_dir_all(out)?;
    fs::write(out.join("RESULTS.md"), &report)?;
    fs::write(out.join("results.json"), serde_json::to_vec_pretty(&results)?)?;
    Ok(stdout().write_all(report.as_bytes())?)
}

/// The gateway's authorized read of one row (token, decision, row-level security, row, JSON) against a bare handler that
/// reads the same row from the same database with a pool of the same size.
async fn point_read(file: &FederationFile, rounds: usize, seconds: u64) -> anyhow::Result<Figure> {
    let region = file.regions.first().context("no region")?;
    let person = file
        .accounts
        .iter()
        .find(|a| a.tenant.is_some())
        .context("no account of a customer")?;
    let global = ApiClient::new(&file.global.url, ClientTls::System)?;
    let body = json!({"email": person.email, "password": person.password, "session": "token"});
    let signed_in: Value = global.post("/v1/auth/sign-in", &body).await?;
    let global = global.bearer(text(&signed_in, "/access_token")?.to_owned().into());
    let token: Value = global
        .post(&format!("/v1/regions/{}/token", region.slug), &json!({}))
        .await?;
    let token = text(&token, "/access_token")?;
    let gateway = ApiClient::new(&region.url, ClientTls::System)?.bearer(token.to_owned().into());
    let clusters: Value = gateway.get("/v1/clusters").await?;
    let (id, me): (&str, Value) = (text(&clusters, "/items/0/id")?, global.get("/v1/me").await?);
    let plain = |id: &str| id.split_once('_').map_or(id, |(_, hex)| hex).to_owned();

    // As a superuser, to whom row-level security does not apply.
    let password = fs::read_to_string(region.state_dir.join("secrets/postgres-superuser"))?;
    let app = &region.database.app_url;
    let (_, host) = app.rsplit_once('@').context("the database's URL has no host")?;
    let url = format!("postgres://postgres:{}@{host}", password.trim());
    let mut bare = child("bare")?;
    let keys = json!({"url": url, "tenant": plain(text(&me, "/tenant/id")?), "id": plain(id)});
    tell(&mut bare, &keys).await?;
    let bare_authority = format!("127.0.0.1:{}", line(&mut bare).await?.trim());
    let ours_authority = region.url.trim_start_matches("http://").to_owned();
    let path = format!("/v1/clusters/{id}");

    let mut figure = Figure {
        path: "gateway: authorized point read",
        ours: Vec::new(),
        baseline: Vec::new(),
        baseline_name: "bare axum + sqlx",
        goal: 0.5,
    };
    load(&ours_authority, &path, token, 1).await?;
    load(&bare_authority, "/row", "", 1).await?;
    for _ in 0..rounds {
        figure.ours.push(load(&ours_authority, &path, token, seconds).await?);
        figure.baseline.push(load(&bare_authority, "/row", "", seconds).await?);
    }
    bare.kill().await?;
    Ok(figure)
}
