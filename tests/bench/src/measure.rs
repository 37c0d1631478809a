//! The measurements and their report.
use crate::{
    Options,
    starts::{self, Start},
};
use anyhow::{Context, anyhow, ensure};
use exarch_common_http::client::{ApiClient, ClientTls};
use exarch_common_testkit::federation::FederationFile;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Write as _, stdout},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

const CONNECTIONS: u64 = 16;

/// What was measured, each value a round.
struct Figure {
    path: &'static str,
    unit: &'static str,
    ours: Vec<f64>,
    baseline: Option<Baseline>,
    goal: Goal,
}

struct Baseline {
    name: &'static str,
    rounds: Vec<f64>,
}

#[derive(Clone, Copy)]
enum Goal {
    /// In the figure's unit.
    AtMost(f64),
    /// Times the baseline.
    AtLeast(f64),
}

impl Figure {
    fn at_most(path: &'static str, unit: &'static str, goal: f64, ours: Vec<f64>) -> Self {
        Self {
            path,
            unit,
            ours,
            baseline: None,
            goal: Goal::AtMost(goal),
        }
    }

    /// As tools read it.
    fn result(&self) -> Value {
        let ours = median(&self.ours);
        let baseline = self.baseline.as_ref().map(|b| median(&b.rounds));
        let ratio = baseline.map(|b| ours / b);
        let (goal, holds) = match self.goal {
            Goal::AtMost(most) => (format!("≤ {most} {}", self.unit), ours <= most),
            Goal::AtLeast(least) => (format!("≥ {least} ×"), ratio.is_some_and(|r| r >= least)),
        };
        json!({
            "path": self.path, "unit": self.unit, "ours": ours, "baseline": baseline,
            "baseline_name": self.baseline.as_ref().map(|b| b.name), "ratio": ratio, "goal": goal, "holds": holds,
            "ours_rounds": self.ours, "baseline_rounds": self.baseline.as_ref().map(|b| &b.rounds),
        })
    }
}

/// A line of the table for people.
fn row(result: &Value) -> String {
    let number = |key: &str| result[key].as_f64().map_or("–".to_owned(), |n| format!("{n:.2}"));
    let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let spread = |key: &str| {
        let values = || result[key].as_array().into_iter().flatten().filter_map(Value::as_f64);
        let (low, high) = (values().reduce(f64::min), values().reduce(f64::max));
        low.zip(high)
            .filter(|(l, h)| l < h)
            .map_or(String::new(), |(l, h)| format!(" ({l:.0} to {h:.0})"))
    };
    let name = result["baseline_name"]
        .as_str()
        .map_or(String::new(), |n| format!(" {n}"));
    format!(
        "| {} | {} {}{} | {}{name}{} | {} | {} | {} |\n",
        text("path"),
        number("ours"),
        text("unit"),
        spread("ours_rounds"),
        number("baseline"),
        spread("baseline_rounds"),
        number("ratio"),
        text("goal"),
        if result["holds"] == true { "yes" } else { "no" },
    )
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

pub async fn run(options: &Options) -> anyhow::Result<()> {
    let Options { rounds, seconds, .. } = *options;
    let file = FederationFile::read(&options.federation)?.context("no box there; bring one up first")?;
    let mut figures = idle_memory(&file)?;
    if let Some(up) = options.up_seconds {
        figures.push(Figure::at_most("up from nothing, when built", "s", 15.0, vec![up]));
    }
    if let Some(again) = options.again_seconds {
        figures.push(Figure::at_most(
            "up again, with the data that is there",
            "s",
            15.0,
            vec![again],
        ));
    }
    for place in [Start::global(&file), Start::gateway(&file)?] {
        let millis = starts::ready(&options.bin, &place, rounds).await?;
        figures.push(Figure::at_most(place.path, "ms", 300.0, millis));
    }
    figures.push(point_read(&file, rounds, seconds).await?);

    let results: Vec<Value> = figures.iter().map(Figure::result).collect();
    let mut report = format!(
        "# Results\n\nMedians of {rounds} interleaved rounds of {seconds} s, {CONNECTIONS} connections; lowest and highest in brackets.\n\n\
         | path | ours | baseline | ratio | goal | holds |\n| --- | --- | --- | --- | --- | --- |\n"
    );
    report.extend(results.iter().map(row));
    fs::create_dir_all(&options.out)?;
    fs::write(options.out.join("RESULTS.md"), &report)?;
    fs::write(options.out.join("results.json"), serde_json::to_vec_pretty(&results)?)?;
    Ok(stdout().write_all(report.as_bytes())?)
}

/// What the processes of the box hold while nobody asks anything of them.
fn idle_memory(file: &FederationFile) -> anyhow::Result<Vec<Figure>> {
    let gateway = file.regions.first().and_then(|r| r.pids.first().copied());
    let all = [
        ("idle memory: global", file.global.pids.first().copied(), 40.0),
        ("idle memory: gateway", gateway, 40.0),
        ("idle memory: agent", file.agents.first().map(|a| a.pid), 15.0),
    ];
    let figure = |(path, pid, goal): (&'static str, Option<i32>, f64)| {
        let mib = resident(pid.with_context(|| format!("{path}: no process"))?)?;
        Ok(Figure::at_most(path, "MiB", goal, vec![mib]))
    };
    all.into_iter().map(figure).collect()
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

    let (mut with, mut without) = (Vec::new(), Vec::new());
    load(&ours_authority, &path, token, 1).await?;
    load(&bare_authority, "/row", "", 1).await?;
    for _ in 0..rounds {
        with.push(load(&ours_authority, &path, token, seconds).await?);
        without.push(load(&bare_authority, "/row", "", seconds).await?);
    }
    bare.kill().await?;
    Ok(Figure {
        path: "gateway: authorized point read",
        unit: "requests/s",
        ours: with,
        baseline: Some(Baseline {
            name: "bare axum + sqlx",
            rounds: without,
        }),
        goal: Goal::AtLeast(0.5),
    })
}
