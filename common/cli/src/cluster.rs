//! `exarch cluster`.
use crate::{
    Failure,
    api::Api,
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column},
};
use clap::{Args, Subcommand};
use exarch_common_base::Slug;
use serde_json::json;

/// Where clusters are.
pub const PATH: &str = "/v1/clusters";

/// What clusters are called.
pub const CLUSTER: Kind = Kind {
    word: "cluster",
    plural: "clusters",
    prefix: "clu",
    names: &["/name"],
};

/// Which of the things in clusters.
#[derive(Args, Debug)]
pub struct Within {
    /// Of this cluster alone
    #[arg(long)]
    cluster: Option<String>,
}

impl Within {
    /// The cluster's id, if one is given.
    ///
    /// # Errors
    /// It names none.
    pub async fn id(self, region: &Api) -> Result<Option<String>, Failure> {
        id_of(region, self.cluster.as_deref()).await
    }
}

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the tenant's clusters in the region
    List,
    /// Show clusters, and then how they change, until Ctrl-C
    Watch,
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
    /// Give a cluster another name
    Update {
        /// Name or id
        cluster: String,
        /// Its new name
        #[arg(long)]
        name: Slug,
    },
    /// Delete a cluster in which nothing is left
    Delete {
        /// Name or id
        cluster: String,
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
    let watching = matches!(command, Command::Watch);
    let region = cx.region().await?;
    match command {
        Command::List | Command::Watch => {
            let listing = Listing::new("clusters", COLUMNS, At::Region, PATH);
            listing::show(cx, watching, &listing).await
        }
        Command::Get { cluster } => {
            let id = id(&region, &cluster).await?;
            cx.out.one(&region.get(&format!("{PATH}/{id}")).await?)
        }
        Command::Create { name } => cx.out.one(&region.post(PATH, &json!({ "name": name })).await?),
        Command::Update { cluster, name } => {
            let path = format!("{PATH}/{}", id(&region, &cluster).await?);
            cx.update(&region, &path, &json!({ "name": name })).await
        }
        Command::Delete { cluster } => {
            let id = id(&region, &cluster).await?;
            cx.confirm(&format!("The cluster {cluster} ({id}) is deleted for good."))
                .await?;
            region.remove(&region.look(&format!("{PATH}/{id}")).await?).await?;
            cx.out.remark(&format!("The cluster {cluster} is deleted."));
            Ok(())
        }
    }
}
