//! `exarch resource`: what can be leased.
use crate::{
    Failure,
    api::Api,
    cluster::{self, Within},
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column, number},
    times,
};
use clap::{ArgGroup, Subcommand, ValueEnum};
use exarch_common_base::Slug;
use serde_json::{Value, json};
use std::time::Duration;

/// Where resources are.
pub const PATH: &str = "/v1/resources";

/// What resources are called.
pub const RESOURCE: Kind = Kind {
    word: "resource",
    plural: "resources",
    prefix: "res",
    names: &["/name"],
};

/// What can be leased.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Class {
    /// A volume with a guard
    Volume,
}

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List resources
    List(Within),
    /// Show resources, and then how they change, until Ctrl-C
    Watch(Within),
    /// Show one resource
    Get {
        /// Name or id
        resource: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Make a resource in a cluster
    Create {
        /// Its name
        name: Slug,
        /// Its cluster
        #[arg(long)]
        cluster: String,
        /// How long a lease on it lasts without renewal, 5s to 5m; the region's default where not given
        #[arg(long, value_name = "DURATION", value_parser = times::duration)]
        ttl: Option<Duration>,
        /// What it is
        #[arg(long, value_enum, default_value_t = Class::Volume)]
        kind: Class,
    },
    /// Change a resource; a lease that is held keeps its time
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Name or id
        resource: String,
        /// Its new name
        #[arg(long, group = "change")]
        name: Option<Slug>,
        /// How long the next lease on it lasts without renewal, 5s to 5m
        #[arg(long, value_name = "DURATION", value_parser = times::duration, group = "change")]
        ttl: Option<Duration>,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Delete a resource that nobody holds and no workload uses
    Delete {
        /// Name or id
        resource: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
}

const COLUMNS: &[Column] = &[
    column("RESOURCE", |r| r.text("/name")),
    column("CLUSTER", |r| r.name("/cluster_id")),
    column("KIND", |r| r.text("/kind")),
    number("TTL", |r| r.millis("/ttl_ms")),
    column("AGE", |r| r.age("/created_at")),
    column("ID", |r| r.id("/id")),
];

/// The id of the resource that `text` names.
pub async fn id(region: &Api, text: &str, cluster: Option<&str>) -> Result<String, Failure> {
    names::resolve(region, &RESOURCE, PATH, text, cluster).await
}

async fn find(region: &Api, text: &str, cluster: Option<&str>) -> Result<String, Failure> {
    let cluster = cluster::id_of(region, cluster).await?;
    id(region, text, cluster.as_deref()).await
}

fn millis(ttl: Duration) -> Value {
    json!(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let watching = matches!(command, Command::Watch(_));
    let region = cx.region().await?;
    match command {
        Command::List(within) | Command::Watch(within) => {
            let cluster = within.id(&region).await?;
            let listing = Listing::new("resources", COLUMNS, At::Region, PATH).within(cluster);
            listing::show(cx, watching, &listing.named_by(&[cluster::PATH])).await
        }
        Command::Get { resource, cluster } => {
            let id = find(&region, &resource, cluster.as_deref()).await?;
            cx.out.one(&region.get(&format!("{PATH}/{id}")).await?)
        }
        Command::Create {
            name,
            cluster,
            ttl,
            kind,
        } => {
            let cluster = cluster::id(&region, &cluster).await?;
            let kind = match kind {
                Class::Volume => "volume",
            };
            let mut body = json!({ "cluster_id": cluster, "name": name, "kind": kind });
            if let Some(ttl) = ttl {
                body["ttl_ms"] = millis(ttl);
            }
            cx.out.one(&region.post(PATH, &body).await?)
        }
        Command::Update {
            resource,
            name,
            ttl,
            cluster,
        } => {
            let path = format!("{PATH}/{}", find(&region, &resource, cluster.as_deref()).await?);
            let mut body = json!({});
            if let Some(name) = name {
                body["name"] = json!(name);
            }
            if let Some(ttl) = ttl {
                body["ttl_ms"] = millis(ttl);
            }
            cx.update(&region, &path, &body).await
        }
        Command::Delete { resource, cluster } => {
            let id = find(&region, &resource, cluster.as_deref()).await?;
            cx.confirm(&format!("The resource {resource} ({id}) is deleted for good."))
                .await?;
            region.remove(&region.look(&format!("{PATH}/{id}")).await?).await?;
            cx.out.remark(&format!("The resource {resource} is deleted."));
            Ok(())
        }
    }
}
