//! The story: what a federation is for, told by using one. Every step says what it saw, and the first that does not hold
//! ends the story with an error.
mod documents;
mod outage;
mod people;
mod workload;

use super::{
    demo::{ACME, GLOBEX, sign_in},
    file::FederationFile,
    layout::{Layout, Place},
    up::{account, serve},
};
use anyhow::{Context, anyhow};
use exarch_common_base::{Ambient, BootTime};
use exarch_common_http::client::{ApiClient, ClientError};
use serde_json::Value;
use std::{
    future::Future,
    io::{Write, stdout},
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::Command, time::sleep};

/// The box, the people, and where the story is.
pub(super) struct Story<'a> {
    pub(super) ambient: &'a Ambient,
    pub(super) layout: &'a Layout,
    pub(super) file: FederationFile,
    pub(super) ada: ApiClient,
    pub(super) grace: ApiClient,
    started: BootTime,
    /// When the step before ended.
    last: BootTime,
    steps: u32,
}

/// Tells the story on a running box.
///
/// # Errors
/// The first step that does not hold.
pub async fn tell(ambient: &Ambient, layout: &Layout) -> anyhow::Result<()> {
    let file = FederationFile::read(&layout.federation_file())?
        .ok_or_else(|| anyhow!("there is no box in {}; bring one up first", layout.dir.display()))?;
    // What an interrupted story left stopped runs again.
    for place in layout.places() {
        serve(layout, place, &|_| ()).await?;
    }
    let ada = sign_in(ambient, layout, account(&file, ACME)?, None).await?;
    let grace = sign_in(ambient, layout, account(&file, GLOBEX)?, None).await?;
    let mut story = Story {
        ambient,
        layout,
        file,
        ada,
        grace,
        started: ambient.boot(),
        last: ambient.boot(),
        steps: 0,
    };
    story.people().await?;
    story.documents().await?;
    story.workload().await?;
    story.region_outage().await?;
    story.global_outage().await?;
    let seconds = ambient.boot().since(story.started).as_secs();
    writeln!(
        stdout(),
        "\n{} steps, all as they should be, in {seconds} s",
        story.steps
    )?;
    Ok(())
}

impl Story<'_> {
    /// One step: a sentence, and what was seen.
    async fn step<T>(
        &mut self,
        sentence: &str,
        seen: impl Future<Output = anyhow::Result<(String, T)>>,
    ) -> anyhow::Result<T> {
        self.steps += 1;
        let n = self.steps;
        let (outcome, value) = seen.await.with_context(|| format!("step {n}, {sentence}"))?;
        let now = self.ambient.boot();
        let took = now.since(self.last).as_secs_f64();
        self.last = now;
        writeln!(stdout(), "{n:3}  {sentence}\n       {outcome} ({took:.1} s)")?;
        Ok(value)
    }

    fn place(&self, slug: &str) -> anyhow::Result<Place> {
        let place = self.layout.regions.iter().find(|p| p.name == slug);
        place.cloned().ok_or_else(|| anyhow!("the box has no region {slug}"))
    }

    fn profile(&self, who: &str) -> PathBuf {
        self.layout.dir.join("profiles").join(who)
    }

    /// The command line, as a person at a terminal would use it.
    async fn exarch(&self, who: &str, args: &[&str], input: Option<&str>) -> anyhow::Result<Output> {
        let mut child = Command::new(self.layout.bin.join("exarch"))
            .args(args)
            .env("EXARCH_CONFIG_HOME", self.profile(who))
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            stdin.write_all(input.as_bytes()).await?;
        }
        Ok(child.wait_with_output().await?)
    }

    /// The same, expected to succeed; its JSON.
    async fn exarch_json(&self, who: &str, args: &[&str]) -> anyhow::Result<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["-o", "json"]).collect();
        let output = self.exarch(who, &args, None).await?;
        if !output.status.success() {
            return Err(anyhow!(
                "exarch {}: {}",
                args.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            ));
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("exarch {}", args.join(" ")))
    }

    /// Asks again until `look` finds what it looks for.
    async fn until<T>(
        &self,
        patience: Duration,
        what: &str,
        mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let start = self.ambient.boot();
        loop {
            let last = match look().await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => String::new(),
                Err(e) => format!("; last: {e:#}"),
            };
            if self.ambient.boot().since(start) > patience {
                return Err(anyhow!("{what}: not within {} s{last}", patience.as_secs()));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A refusal of the expected status; its problem.
fn refused(result: Result<Value, ClientError>, status: u16) -> anyhow::Result<Value> {
    match result {
        Ok(answer) => Err(anyhow!("expected {status}, but it was done: {answer}")),
        Err(ClientError::Problem(p)) if p.document.status == status => Ok(serde_json::to_value(&p.document)?),
        Err(other) => Err(anyhow!("expected {status}, got: {other}")),
    }
}

fn names(list: &Value, field: &str) -> Vec<String> {
    let items = list["items"].as_array().or_else(|| list.as_array());
    let mut names: Vec<String> = items
        .into_iter()
        .flatten()
        .filter_map(|item| item[field].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}
