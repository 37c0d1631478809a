//! `exarch audit` and `exarch federation-audit`: what happened, newest first.
use crate::{
    Failure,
    context::Context,
    listing::{self, At, Listing},
    tables::{Column, column, number, state},
    times,
};
use clap::{Args, Subcommand};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List what happened, newest first
    List {
        /// Rows at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        #[command(flatten)]
        which: Which,
    },
    /// Show what happened lately, and then what happens, until Ctrl-C
    Watch {
        #[command(flatten)]
        which: Which,
    },
}

/// Which rows.
#[derive(Args, Debug)]
pub struct Which {
    /// This action alone, as membership.grant
    #[arg(long)]
    action: Option<String>,
    /// What this one did alone, by id; in a region
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// What was done to this thing alone, by id; in a region
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// What ended like this alone: ok, denied or failed; in a region
    #[arg(long, value_parser = ["ok", "denied", "failed"])]
    outcome: Option<String>,
    /// Not before this time; in a region
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    since: Option<String>,
    /// Before this time; in a region
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    until: Option<String>,
}

/// A row of an audit.
pub(crate) const COLUMNS: &[Column] = &[
    number("SEQ", |r| r.text("/seq")),
    column("WHEN", |r| r.age("/at")),
    column("ACTOR", |r| r.id("/actor/id")),
    column("ACTION", |r| r.text("/action")),
    column("TARGET", |r| r.id("/target/id")),
    state("OUTCOME", |r| r.text("/outcome")),
    column("REASON", |r| r.text("/reason")),
];

/// Of the tenant in force, at the global or in the region of `--region`.
pub async fn of_tenant(cx: &Context, command: Command) -> Result<(), Failure> {
    let at = if cx.flags.region.is_some() {
        At::Region
    } else {
        At::Tenant
    };
    show(cx, at, "/v1/audit", command).await
}

/// Of the provider.
pub async fn of_federation(cx: &Context, command: Command) -> Result<(), Failure> {
    show(cx, At::Global, "/v1/federation-audit", command).await
}

async fn show(cx: &Context, at: At, path: &str, command: Command) -> Result<(), Failure> {
    let (which, most) = match command {
        Command::List { limit, which } => (which, Some(limit)),
        Command::Watch { which } => (which, None),
    };
    let given = [
        ("action", which.action),
        ("actor_id", which.actor),
        ("target_id", which.target),
        ("outcome", which.outcome),
        ("since", which.since),
        ("until", which.until),
    ];
    let mut listing = Listing::new("rows", COLUMNS, at, path);
    listing.filter = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    listing.most = most.map_or(usize::MAX, |most| most as usize);
    listing::show(cx, most.is_none(), &listing).await
}
