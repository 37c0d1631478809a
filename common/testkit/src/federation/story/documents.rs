//! Documents that say what should be there, applied by the command line to a region: a second time they change nothing.
use super::Story;
use crate::federation::demo::CLUSTER;
use anyhow::ensure;
use serde_json::Value;

const DOCUMENTS: &str = "\
kind: Resource
region: eu-north
spec: { cluster: CLUSTER, name: archive-volume, kind: volume, ttl_ms: TTL }
---
kind: Host
region: eu-north
spec: { cluster: CLUSTER, name: archive-1 }
";

impl Story<'_> {
    pub(super) async fn documents(&mut self) -> anyhow::Result<()> {
        let file = self.layout.dir.join("documents.yaml");
        let name = file.display().to_string();
        let write = |ttl: &str| std::fs::write(&file, DOCUMENTS.replace("CLUSTER", CLUSTER).replace("TTL", ttl));
        write("20000")?;
        let first = self.exarch_json("ada", &["apply", "-f", &name]).await;
        let second = self.exarch_json("ada", &["apply", "-f", &name]).await;
        let seen = async {
            first?;
            let outcomes = outcomes(&second?);
            ensure!(
                outcomes == "Host unchanged, Resource unchanged",
                "the second time: {outcomes}"
            );
            Ok((format!("the second time: {outcomes}"), ()))
        };
        self.step("ada applies documents to eu-north, twice", seen).await?;

        write("30000")?;
        let tried = self.exarch_json("ada", &["apply", "-f", &name, "--dry-run"]).await;
        let done = self.exarch_json("ada", &["apply", "-f", &name]).await;
        write("20000")?;
        let back = self.exarch_json("ada", &["apply", "-f", &name]).await;
        let seen = async {
            for (answer, expected) in [(tried, "change"), (done, "changed"), (back, "changed")] {
                let outcomes = outcomes(&answer?);
                ensure!(outcomes == format!("Host unchanged, Resource {expected}"), "{outcomes}");
            }
            Ok(("only what differs is changed".to_owned(), ()))
        };
        self.step("she changes one of them, first with --dry-run, and back", seen)
            .await
    }
}

fn outcomes(answer: &Value) -> String {
    let items = answer["items"].as_array().into_iter().flatten();
    let told = items.map(|item| {
        let text = |key: &str| item[key].as_str().unwrap_or_default();
        format!("{} {}", text("kind"), text("outcome"))
    });
    told.collect::<Vec<_>>().join(", ")
}
