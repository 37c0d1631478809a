//! `exarch lease`: who may act on a resource now.
use crate::{
    Failure, agent,
    api::Api,
    cluster,
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    resource,
    tables::{Column, column, number, state},
};
use clap::{Args, Subcommand};

const PATH: &str = "/v1/leases";

const LEASE: Kind = Kind {
    word: "lease",
    plural: "leases",
    prefix: "lse",
    names: &[],
};

/// Which ones.
#[derive(Args, Debug)]
pub struct Which {
    /// On this resource alone
    #[arg(long)]
    resource: Option<String>,
    /// Of this agent alone
    #[arg(long)]
    agent: Option<String>,
    /// Where names repeat: the cluster of the resource and the agent
    #[arg(long)]
    cluster: Option<String>,
    /// In this state alone
    #[arg(long, value_parser = ["active", "released", "expired", "revoking", "revoked"])]
    state: Option<String>,
}

impl Which {
    async fn listing(self, region: &Api) -> Result<Listing, Failure> {
        let cluster = cluster::id_of(region, self.cluster.as_deref()).await?;
        let mut listing = Listing::new("leases", COLUMNS, At::Region, PATH);
        if let Some(text) = self.resource {
            let id = resource::id(region, &text, cluster.as_deref()).await?;
            listing.filter.push(("resource_id", id));
        }
        if let Some(text) = self.agent {
            let id = agent::id(region, &text, cluster.as_deref()).await?;
            listing.filter.push(("agent_id", id));
        }
        listing.filter.extend(self.state.map(|state| ("state", state)));
        Ok(listing)
    }
}

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List leases, newest first, those that have ended too
    List(Which),
    /// Show leases, and then how they change, until Ctrl-C
    Watch(Which),
    /// Show one lease
    Get {
        /// Id
        lease: String,
    },
}

const COLUMNS: &[Column] = &[
    column("RESOURCE", |r| r.text("/resource")),
    column("HOLDER", |r| r.text("/agent")),
    state("STATE", |r| r.text("/state")),
    number("FENCE", |r| r.text("/fence")),
    number("SEQ", |r| r.text("/seq")),
    number("TTL", |r| r.millis("/ttl_ms")),
    number("LEFT", |r| r.millis("/remaining_ms")),
    column("GRANTED", |r| r.age("/granted_at")),
    column("ID", |r| r.id("/id")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let region = cx.region().await?;
    match command {
        Command::List(which) => listing::show(cx, false, &which.listing(&region).await?).await,
        Command::Watch(which) => listing::show(cx, true, &which.listing(&region).await?).await,
        Command::Get { lease } => {
            let id = names::resolve(&region, &LEASE, PATH, &lease, None).await?;
            cx.out.one(&region.get(&format!("{PATH}/{id}")).await?)
        }
    }
}
