//! A region goes down and the others do not notice; the global goes down and the regions go on.
use super::Story;
use crate::federation::{
    demo::{enter, text},
    layout::Place,
    up::{daemon, serve},
};
use anyhow::ensure;
use exarch_common_http::client::ApiClient;
use serde_json::Value;
use std::time::Duration;

/// A probe each 30 s, with 5 s to answer.
const ONE_ROUND: Duration = Duration::from_secs(40);

impl Story<'_> {
    async fn state_of(&self, slug: &str) -> anyhow::Result<String> {
        let regions: Value = self.ada.get("/v1/me/regions").await?;
        let region = regions["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|r| r["slug"] == slug);
        Ok(region.and_then(|r| r["state"].as_str()).unwrap_or("missing").to_owned())
    }

    async fn until_state(&self, slug: &str, wanted: &[&str], patience: Duration) -> anyhow::Result<String> {
        self.until(
            patience,
            &format!("{slug} becomes {}", wanted.join(" or ")),
            async || {
                let state = self.state_of(slug).await?;
                Ok(wanted.contains(&state.as_str()).then_some(state))
            },
        )
        .await
    }

    pub(super) async fn region_outage(&mut self) -> anyhow::Result<()> {
        let (eu, us) = (self.place("eu-north")?, self.place("us-east")?);
        let region = enter(&self.ada, &eu).await?;
        daemon(self.layout, &us).stop().await?;
        let seen = self
            .until_state("us-east", &["degraded", "unreachable"], ONE_ROUND)
            .await;
        let clusters: Result<Value, _> = region.get("/v1/clusters").await;
        let north = self.state_of("eu-north").await;
        self.step("the gateway of us-east is stopped; eu-north does not notice", async {
            clusters?;
            let (state, north) = (seen?, north?);
            ensure!(north == "healthy", "eu-north is {north}");
            Ok((format!("us-east is {state}, eu-north is {north} and answers"), ()))
        })
        .await?;
        serve(self.layout, &us, &|_| ()).await?;
        let seen = self.until_state("us-east", &["healthy"], ONE_ROUND * 3).await;
        self.step("it is started again, and recovers", async {
            seen.map(|s| (format!("us-east is {s}"), ()))
        })
        .await
    }

    pub(super) async fn global_outage(&mut self) -> anyhow::Result<()> {
        let (eu, us) = (self.place("eu-north")?, self.place("us-east")?);
        let (north, east) = (enter(&self.ada, &eu).await?, enter(&self.ada, &us).await?);
        let before = seq(&north).await?;
        daemon(self.layout, &self.layout.global).stop().await?;
        let seen = async {
            for region in [&north, &east] {
                region.get::<Value>("/v1/clusters").await?;
            }
            ensure!(
                self.ada.get::<Value>("/v1/me").await.is_err(),
                "the global still answers"
            );
            Ok(("both regions answer; the global does not".to_owned(), ()))
        };
        let seen = seen.await;
        self.step("the global is stopped; tokens for the regions go on working", async {
            seen
        })
        .await?;

        let seen = self
            .until(Duration::from_secs(15), "the lease is renewed", async || {
                let now = seq(&north).await?;
                Ok((now > before).then_some(now))
            })
            .await;
        self.step("the lease goes on being renewed", async {
            seen.map(|now| (format!("its number rose from {before} to {now}"), ()))
        })
        .await?;

        let seen = self.restart_alone(&eu, &north).await;
        self.step(
            "the gateway of eu-north is restarted without the global, and serves",
            async { seen },
        )
        .await?;

        serve(self.layout, &self.layout.global, &|_| ()).await?;
        let back = self
            .until(Duration::from_secs(30), "the global answers", async || {
                Ok(self.ada.get::<Value>("/v1/me").await.ok())
            })
            .await;
        self.step("the global returns", async {
            back.map(|_| ("it answers, with the same session".to_owned(), ()))
        })
        .await?;
        let seen = self.until_state("eu-north", &["healthy"], ONE_ROUND * 3).await;
        self.step("and finds its regions again", async {
            seen.map(|s| (format!("eu-north is {s}"), ()))
        })
        .await
    }

    async fn restart_alone(&self, eu: &Place, region: &ApiClient) -> anyhow::Result<(String, ())> {
        daemon(self.layout, eu).stop().await?;
        serve(self.layout, eu, &|_| ()).await?;
        region.get::<Value>("/v1/clusters").await?;
        let continuity: Value = region.get("/v1/continuity").await?;
        let tier = text(&continuity, "/passport/tier")?;
        let stops = continuity["stops"].as_array().map_or(0, Vec::len);
        ensure!(stops > 0, "continuity does not say what will stop: {continuity}");
        Ok((
            format!("its passport is {tier}; it names {stops} things that will stop, and when"),
            (),
        ))
    }
}

/// The number of the lease that is held in a region.
async fn seq(region: &ApiClient) -> anyhow::Result<u64> {
    let leases: Value = region.get("/v1/leases").await?;
    let active = leases["items"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|l| l["state"] == "active");
    active
        .and_then(|l| l["seq"].as_u64())
        .ok_or_else(|| anyhow::anyhow!("no lease is active: {leases}"))
}
