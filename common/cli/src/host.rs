//! `exarch host`.
use crate::{
    Failure,
    api::Api,
    cluster::{self, Within},
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column},
};
use clap::Subcommand;
use exarch_common_base::Slug;
use serde_json::json;

/// Where hosts are.
pub const PATH: &str = "/v1/hosts";

const HOST: Kind = Kind {
    word: "host",
    plural: "hosts",
    prefix: "hst",
    names: &["/name"],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List hosts
    List(Within),
    /// Show hosts, and then how they change, until Ctrl-C
    Watch(Within),
    /// Show one host
    Get {
        /// Name or id
        host: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Make a host in a cluster
    Create {
        /// Its name
        name: Slug,
        /// Its cluster
        #[arg(long)]
        cluster: String,
    },
    /// Give a host another name
    Update {
        /// Name or id
        host: String,
        /// Its new name
        #[arg(long)]
        name: Slug,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Delete a host on which no agent is left
    Delete {
        /// Name or id
        host: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
}

const COLUMNS: &[Column] = &[
    column("HOST", |r| r.text("/name")),
    column("CLUSTER", |r| r.name("/cluster_id")),
    column("AGE", |r| r.age("/created_at")),
    column("ID", |r| r.id("/id")),
];

/// The id of the host that `text` names.
pub async fn id(region: &Api, text: &str, cluster: Option<&str>) -> Result<String, Failure> {
    names::resolve(region, &HOST, PATH, text, cluster).await
}

async fn find(region: &Api, text: &str, cluster: Option<&str>) -> Result<String, Failure> {
    let cluster = cluster::id_of(region, cluster).await?;
    id(region, text, cluster.as_deref()).await
}

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let watching = matches!(command, Command::Watch(_));
    let region = cx.region().await?;
    match command {
        Command::List(within) | Command::Watch(within) => {
            let cluster = within.id(&region).await?;
            let listing = Listing::new("hosts", COLUMNS, At::Region, PATH).within(cluster);
            listing::show(cx, watching, &listing.named_by(&[cluster::PATH])).await
        }
        Command::Get { host, cluster } => {
            let id = find(&region, &host, cluster.as_deref()).await?;
            cx.out.one(&region.get(&format!("{PATH}/{id}")).await?)
        }
        Command::Create { name, cluster } => {
            let cluster = cluster::id(&region, &cluster).await?;
            cx.out.one(
                &region
                    .post(PATH, &json!({ "cluster_id": cluster, "name": name }))
                    .await?,
            )
        }
        Command::Update { host, name, cluster } => {
            let path = format!("{PATH}/{}", find(&region, &host, cluster.as_deref()).await?);
            cx.update(&region, &path, &json!({ "name": name })).await
        }
        Command::Delete { host, cluster } => {
            let id = find(&region, &host, cluster.as_deref()).await?;
            cx.confirm(&format!("The host {host} ({id}) is deleted for good."))
                .await?;
            region.remove(&region.look(&format!("{PATH}/{id}")).await?).await?;
            cx.out.remark(&format!("The host {host} is deleted."));
            Ok(())
        }
    }
}
