//! `exarch lease`: who may act on a resource now.
use crate::{
    Failure, agent, cluster,
    context::Context,
    names::{self, Kind},
    resource,
    tables::{Column, Names, column, number, state},
};
use clap::Subcommand;

const PATH: &str = "/v1/leases";

const LEASE: Kind = Kind {
    word: "lease",
    plural: "leases",
    prefix: "lse",
    names: &[],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List leases, newest first, those that have ended too
    List {
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
    },
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
        Command::List {
            resource,
            agent,
            cluster,
            state,
        } => {
            let cluster = cluster::id_of(&region, cluster.as_deref()).await?;
            let mut filter = Vec::new();
            if let Some(text) = resource {
                filter.push(("resource_id", resource::id(&region, &text, cluster.as_deref()).await?));
            }
            if let Some(text) = agent {
                filter.push(("agent_id", agent::id(&region, &text, cluster.as_deref()).await?));
            }
            filter.extend(state.map(|state| ("state", state)));
            let filter: Vec<_> = filter.iter().map(|(name, value)| (*name, value.as_str())).collect();
            cx.out.list(
                "leases",
                COLUMNS,
                &region.some(PATH, &filter, usize::MAX).await?,
                &Names::default(),
            )
        }
        Command::Get { lease } => {
            let id = names::resolve(&region, &LEASE, PATH, &lease, None).await?;
            cx.out.one(&region.get(&format!("{PATH}/{id}")).await?)
        }
    }
}
