//! One sign-in, two regions; what is not yours does not exist.
use super::{Story, names, refused};
use crate::federation::{
    demo::{ACME, CLUSTER, GLOBEX, enter, text},
    up::account,
};
use anyhow::{anyhow, ensure};
use serde_json::{Value, json};

impl Story<'_> {
    pub(super) async fn people(&mut self) -> anyhow::Result<()> {
        for (who, email) in [("ada", ACME), ("grace", GLOBEX)] {
            let step = async {
                std::fs::create_dir_all(self.profile(who))?;
                let url = self.layout.global_url();
                let args = ["login", "--global", &url, "--email", email, "--password-stdin"];
                let password = account(&self.file, email)?.password.clone();
                let output = self.exarch(who, &args, Some(&password)).await?;
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                ensure!(output.status.success(), "{said}");
                Ok((format!("{email} is signed in"), ()))
            };
            let sentence = format!("{who} signs in once, at the global");
            let done = step.await;
            self.step(&sentence, async { done }).await?;
        }

        for (who, expected) in [("ada", vec!["eu-north", "us-east"]), ("grace", vec!["eu-north"])] {
            let listed = self.exarch_json(who, &["region", "list"]).await;
            let seen = async {
                let slugs = names(&listed?, "slug");
                ensure!(slugs == expected, "listed {slugs:?}, expected {expected:?}");
                Ok((format!("exarch region list: {}", slugs.join(", ")), ()))
            };
            self.step(
                &format!("{who} sees the regions that {who} may enter, and no other"),
                seen,
            )
            .await?;
        }

        for slug in ["eu-north", "us-east"] {
            let listed = self.exarch_json("ada", &["cluster", "list", "--region", slug]).await;
            let seen = async {
                let clusters = names(&listed?, "name");
                ensure!(clusters == [CLUSTER], "listed {clusters:?}");
                Ok((format!("clusters in {slug}: {}", clusters.join(", ")), ()))
            };
            self.step(&format!("ada lists clusters in {slug} with no second sign-in"), seen)
                .await?;
        }

        let exchange = self.grace.post::<Value>("/v1/regions/us-east/token", &json!({})).await;
        let seen = async {
            let problem = refused(exchange, 404)?;
            Ok((format!("404: {}", problem["title"].as_str().unwrap_or_default()), ()))
        };
        self.step("grace asks for a token for us-east, where globex is not entitled", seen)
            .await?;

        let eu = self.place("eu-north")?;
        let ada = enter(&self.ada, &eu).await?;
        let grace = enter(&self.grace, &eu).await?;
        let seen = async {
            let clusters: Value = ada.get("/v1/clusters").await?;
            let id = text(&clusters, "/items/0/id")?;
            refused(grace.get(&format!("/v1/clusters/{id}")).await, 404)?;
            let own: Value = grace.get("/v1/clusters").await?;
            ensure!(names(&own, "id").is_empty(), "grace sees {own}");
            Ok((format!("404 for {id}; her own list is empty"), ()))
        };
        self.step("grace asks in eu-north for the cluster of acme, by its id", seen)
            .await?;

        let us = self.place("us-east")?;
        let exchanged: Value = self.ada.post("/v1/regions/eu-north/token", &json!({})).await?;
        let seen = async {
            let token = text(&exchanged, "/access_token")?.to_owned();
            let elsewhere = super::super::demo::client(&format!("http://127.0.0.1:{}", us.public))?;
            refused(elsewhere.bearer(token.into()).get("/v1/clusters").await, 401)?;
            Ok(("401".to_owned(), ()))
        };
        self.step("a token for eu-north is shown in us-east", seen)
            .await
            .map_err(|e| anyhow!(e))
    }
}
