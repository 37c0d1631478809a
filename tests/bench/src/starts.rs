//! From starting a server to its first "ready", with its Postgres up: another replica beside the one that runs, on ports of its own.
use anyhow::{Context, ensure};
use exarch_common_testkit::federation::FederationFile;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{process::Command, time::sleep};

/// A server to be started.
pub struct Start {
    /// What the figure is called.
    pub path: &'static str,
    program: &'static str,
    state_dir: PathBuf,
    /// The section of the settings with the listener that is not for people.
    inner: &'static str,
}

impl Start {
    pub fn global(file: &FederationFile) -> Self {
        Self {
            path: "start to ready: global",
            program: "exarch-global",
            state_dir: file.global.state_dir.clone(),
            inner: "FEDERATION",
        }
    }

    pub fn gateway(file: &FederationFile) -> anyhow::Result<Self> {
        Ok(Self {
            path: "start to ready: gateway",
            program: "exarch-gateway",
            state_dir: file.regions.first().context("no region")?.state_dir.clone(),
            inner: "AGENTS",
        })
    }
}

/// Milliseconds of each of `rounds` starts.
pub async fn ready(bin: &Path, start: &Start, rounds: usize) -> anyhow::Result<Vec<f64>> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(once(bin, start).await?);
    }
    Ok(all)
}

async fn once(bin: &Path, start: &Start) -> anyhow::Result<f64> {
    let scratch = tempfile::tempdir()?;
    // Free a moment ago; held together so that they differ.
    let held = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)));
    let mut ports = Vec::new();
    for listener in &held {
        let listener = listener.as_ref().map_err(|e| anyhow::anyhow!("no free port: {e}"))?;
        ports.push(listener.local_addr()?);
    }
    drop(held);
    let began = Instant::now();
    let mut command = Command::new(bin.join(start.program));
    command
        .args(["serve", "--config"])
        .arg(start.state_dir.join("settings.toml"))
        .env("EXARCH_PUBLIC__LISTEN", ports[0].to_string())
        .env(format!("EXARCH_{}__LISTEN", start.inner), ports[1].to_string())
        .env("EXARCH_OPS__LISTEN", ports[2].to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if start.inner == "AGENTS" {
        command.env("EXARCH_STATE__DIR", scratch.path());
    }
    let mut process = command
        .spawn()
        .with_context(|| format!("cannot start {}", start.program))?;
    let client = reqwest::Client::new();
    let url = format!("http://{}/readyz", ports[2]);
    while !client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
        ensure!(
            process.try_wait()?.is_none(),
            "{} ended before it was ready",
            start.program
        );
        ensure!(
            began.elapsed() < Duration::from_secs(30),
            "{} is not ready after 30 s",
            start.program
        );
        sleep(Duration::from_millis(2)).await;
    }
    let millis = began.elapsed().as_secs_f64() * 1000.0;
    process.kill().await?;
    Ok(millis)
}
