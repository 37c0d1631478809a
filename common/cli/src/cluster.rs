//! `exarch cluster`.
use crate::{
    Failure,
    api::Api,
    context::Context,
    names::{self, Kind},
    tables::{Column, Names, column},
};
use clap::Subcommand;
use exarch_common_base::Slug;
use serde_json::json;

/// Where clusters are.
pub const PATH: &str = "/v1/clusters";

const CLUSTER: Kind = Kind {
    word: "cluster",
    plural: "clusters",
    prefix: "clu",
    names: &["/name"],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the tenant's clusters in the region
    List,
    /// Show one cluster
    Get {
        /// Name or id
        cluster: String,
    },
    /// Make a cluster
    Create {
        /// Its name
        name: Slug,
    },
}

const COLUMNS: &[Column] = &[
    column("CLUSTER", |r| r.text("/name")),
    column("AGE", |r| r.age("/created_at")),
    column("ID", |r| r.id("/id")),
];

/// The id of the cluster that `text` names.
pub async fn id(region: &Api, text: &str) -> Result<String, Failure> {
    names::resolve(region, &CLUSTER, PATH, text, None).await
}

/// The same where there may be none.
pub async fn id_of(region: &Api, text: Option<&str>) -> Result<Option<String>, Failure> {
    match text {
        Some(text) => id(region, text).await.map(Some),
        None => Ok(None),
    }
}

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let region = cx.region().await?;
    match command {
        Command::List => cx
            .out
            .list("clusters", COLUMNS, &region.list(PATH).await?, &Names::default()),
        Command::Get { cluster } => {
            let id = id(&region, &cluster).await?;
            cx.out.one(&region.get(&format!("{PATH}/{id}")).await?)
        }
        Command::Create { name } => cx.out.one(&region.post(PATH, &json!({ "name": name })).await?),
    }
}
