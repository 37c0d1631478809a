//! `exarch audit` and `exarch federation-audit`: what happened, newest first.
use crate::{
    Failure,
    api::Api,
    context::Context,
    tables::{Column, Names, column, number, state},
    times,
};
use clap::Subcommand;

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List what happened, newest first
    List {
        /// Rows at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
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
    },
}

const COLUMNS: &[Column] = &[
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
    let api = if cx.flags.region.is_some() {
        cx.region().await?
    } else {
        cx.global_in_tenant().await?
    };
    list(cx, &api, "/v1/audit", command).await
}

/// Of the provider.
pub async fn of_federation(cx: &Context, command: Command) -> Result<(), Failure> {
    list(cx, &cx.global().await?, "/v1/federation-audit", command).await
}

async fn list(cx: &Context, api: &Api, path: &str, command: Command) -> Result<(), Failure> {
    let Command::List {
        limit,
        action,
        actor,
        target,
        outcome,
        since,
        until,
    } = command;
    let given = [
        ("action", &action),
        ("actor_id", &actor),
        ("target_id", &target),
        ("outcome", &outcome),
        ("since", &since),
        ("until", &until),
    ];
    let filter: Vec<_> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect();
    let rows = api.some(path, &filter, limit as usize).await?;
    cx.out.list("rows", COLUMNS, &rows, &Names::default())
}
