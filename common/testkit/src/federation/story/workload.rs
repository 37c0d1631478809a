//! A lease stops the second host; when the first dies, the second takes over with a higher fence, and the first, come
//! back, is refused at the volume.
use super::{Story, refused};
use crate::federation::demo::{agent_daemon, enter, start_agent, text};
use anyhow::{anyhow, ensure};
use exarch_common_base::Fence;
use exarch_common_http::client::ApiClient;
use serde_json::{Value, json};
use std::{fs, process::Stdio, time::Duration};
use tokio::process::Command;

const TTL: Duration = Duration::from_secs(10);

/// One item of a list by its name.
async fn by_name(region: &ApiClient, noun: &str, name: &str) -> anyhow::Result<Value> {
    let list: Value = region.get(&format!("/v1/{noun}?limit=100")).await?;
    let found = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|item| item["name"] == name);
    found.cloned().ok_or_else(|| anyhow!("no {name} among the {noun}"))
}

/// The state of the workload on one agent, and its fence.
async fn state_on(region: &ApiClient, workload: &str, agent: &str) -> anyhow::Result<(String, Option<Fence>)> {
    let workload: Value = region.get(&format!("/v1/workloads/{workload}")).await?;
    let on = workload["agents"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|a| a["agent_id"] == agent);
    let Some(on) = on else {
        return Ok(("unassigned".into(), None));
    };
    let fence = on["reported"]["fence"].as_str().map(str::parse).transpose()?;
    Ok((on["reported"]["state"].as_str().unwrap_or("unknown").to_owned(), fence))
}

impl Story<'_> {
    pub(super) async fn workload(&mut self) -> anyhow::Result<()> {
        let eu = self.place("eu-north")?;
        let region = enter(&self.ada, &eu).await?;
        let workload = by_name(&region, "workloads", "ledger").await?;
        let id = text(&workload, "/id")?.to_owned();
        let a = text(&by_name(&region, "agents", "edge-a").await?, "/id")?.to_owned();
        let b = text(&by_name(&region, "agents", "edge-b").await?, "/id")?.to_owned();
        let start = format!("/v1/workloads/{id}/start");
        // An earlier telling may have left it running.
        region
            .post::<Value>(&format!("/v1/workloads/{id}/stop"), &json!({}))
            .await?;
        for name in ["edge-a", "edge-b"] {
            start_agent(self.layout, "eu-north", name)?;
        }
        let running = async |story: &Self, agent: &str, patience| {
            story
                .until(patience, "the workload runs", async || {
                    let (state, fence) = state_on(&region, &id, agent).await?;
                    Ok(fence.filter(|_| state == "running"))
                })
                .await
        };

        region
            .post::<Value>(&start, &json!({"agent_id": a, "wait": true}))
            .await?;
        let seen = running(self, &a, TTL * 4).await;
        let seen = async { seen.map(|fence| (format!("running on edge-a under fence {fence}"), fence)) };
        let first = self
            .step("agent edge-a starts the workload ledger under a lease", seen)
            .await?;

        let second = region
            .post::<Value>(&start, &json!({"agent_id": b, "wait": false}))
            .await;
        let seen = async {
            let problem = refused(second, 409)?;
            ensure!(
                problem["remaining_ms"].is_u64(),
                "the refusal names no time left: {problem}"
            );
            Ok((format!("409: {}", problem["detail"].as_str().unwrap_or_default()), ()))
        };
        self.step("agent edge-b is told to start it too", seen).await?;

        let volume = text(&workload, "/driver/volume")?.to_owned();
        let resource = text(&workload, "/resource_id")?.to_owned();
        let grants = self.layout.agent_dir("eu-north", "edge-a").join("grants");
        let old_grant = self.layout.dir.join("old.grant");
        fs::copy(grants.join(format!("{resource}.grant")), &old_grant)?;

        region
            .post::<Value>(&start, &json!({"agent_id": b, "wait": true}))
            .await?;
        let waits = self
            .until(TTL, "edge-b waits", async || {
                Ok((state_on(&region, &id, &b).await?.0 == "waiting").then_some(()))
            })
            .await;
        self.step("edge-b waits for the lease instead", async {
            waits.map(|()| ("waiting".to_owned(), ()))
        })
        .await?;

        agent_daemon(self.layout, "eu-north", "edge-a").kill().await?;
        let killed = self.ambient.boot();
        let bound = TTL * 101 / 100 + Duration::from_millis(2300);
        let seen = running(self, &b, bound + Duration::from_secs(2)).await;
        let took = self.ambient.boot().since(killed);
        let second = self
            .step("edge-a is killed with SIGKILL, and edge-b takes over", async {
                let fence = seen?;
                ensure!(fence > first, "fence {fence} is not above {first}");
                ensure!(took <= bound, "it took {took:?}, more than {bound:?}");
                let text = format!(
                    "running on edge-b under fence {fence}, {:.1} s after the kill",
                    took.as_secs_f64()
                );
                Ok((text, fence))
            })
            .await?;

        start_agent(self.layout, "eu-north", "edge-a")?;
        let marker = self.layout.dir.join("must-not-exist");
        let output = Command::new(self.layout.bin.join("exarch-guard"))
            .args(["run", "--volume", &volume, "--grant"])
            .arg(&old_grant)
            .args([
                "--deadline-boottime",
                &(self.ambient.boot() + TTL).nanos().to_string(),
                "--",
                "touch",
            ])
            .arg(&marker)
            .stdin(Stdio::null())
            .output()
            .await?;
        let seen = async {
            ensure!(
                output.status.code() == Some(3),
                "the guard ended with {}",
                output.status
            );
            ensure!(!marker.exists(), "the guard refused, but the command ran");
            let report: Value = serde_json::from_slice(&output.stderr)?;
            ensure!(
                report["highest"] == second.to_string(),
                "the volume remembers {}",
                report["highest"]
            );
            Ok((report["message"].as_str().unwrap_or_default().to_owned(), ()))
        };
        self.step(
            "edge-a returns with its old fence, and the guard at the volume refuses it",
            seen,
        )
        .await
    }
}
