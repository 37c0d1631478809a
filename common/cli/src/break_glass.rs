//! `exarch break-glass`: emergency access of the provider's people to a tenant. One asks, another one approves; then `exarch
//! tenant switch` goes in.
use crate::{
    Failure,
    context::{Context, tenant_key},
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column, number, state},
};
use clap::Subcommand;
use serde_json::{Value, json};

const PATH: &str = "/v1/break-glass";

const BREAK_GLASS: Kind = Kind {
    word: "emergency access",
    plural: "emergency accesses",
    prefix: "bgl",
    names: &[],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List who asked for access to which tenant, and what became of it
    List,
    /// Show that, and then how it changes, until Ctrl-C
    Watch,
    /// Show one request
    Get {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Ask for access to --tenant; somebody else must approve within the hour
    Request {
        /// To look, or to repair
        #[arg(long, value_parser = ["read", "write"], default_value = "read")]
        mode: String,
        /// Why: the tenant reads it
        #[arg(long)]
        reason: String,
        /// Where the emergency is written down
        #[arg(long)]
        ticket: String,
        /// For how long
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=60))]
        minutes: u16,
    },
    /// Approve somebody else's request
    Approve {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Deny somebody else's request
    Deny {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
    },
    /// End an access, or take a request back
    End {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
    },
}

const COLUMNS: &[Column] = &[
    column("TENANT", |r| r.text("/tenant/slug")),
    column("WHO", |r| r.text("/requester/display_name")),
    column("MODE", |r| r.text("/mode")),
    state("STATE", |r| r.text("/state")),
    number("MINUTES", |r| r.text("/minutes")),
    column("UNTIL", |r| r.age("/until")),
    column("TICKET", |r| r.text("/ticket")),
    column("REASON", |r| r.text("/reason")),
    column("AGE", |r| r.age("/requested_at")),
    column("ID", |r| r.id("/id")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::List | Command::Watch => {
            let watching = matches!(command, Command::Watch);
            let listing = Listing::new("emergency accesses", COLUMNS, At::Global, PATH);
            listing::show(cx, watching, &listing).await
        }
        Command::Get { id } => {
            let global = cx.global().await?;
            let id = names::resolve(&global, &BREAK_GLASS, PATH, &id, None).await?;
            cx.out.one(&global.get(&format!("{PATH}/{id}")).await?)
        }
        Command::Request {
            mode,
            reason,
            ticket,
            minutes,
        } => {
            // To whose data is said, never guessed from the tenant that happens to be in force.
            let tenant = cx.flags.tenant.as_deref();
            let tenant = tenant.ok_or_else(|| Failure::Usage("Say to which tenant with --tenant.".into()))?;
            let body = json!({
                "tenant": tenant_key(tenant)?, "mode": mode, "reason": reason, "ticket": ticket, "minutes": minutes,
            });
            cx.out.one(&cx.global().await?.post(PATH, &body).await?)
        }
        Command::Approve { id } => step(cx, &id, "approve", &Value::Null).await,
        Command::Deny { id, reason } => step(cx, &id, "deny", &json!({ "reason": reason })).await,
        Command::End { id, reason } => step(cx, &id, "end", &json!({ "reason": reason })).await,
    }
}

async fn step(cx: &Context, id: &str, action: &str, body: &Value) -> Result<(), Failure> {
    let global = cx.global().await?;
    let id = names::resolve(&global, &BREAK_GLASS, PATH, id, None).await?;
    cx.out.one(&global.post(&format!("{PATH}/{id}/{action}"), body).await?)
}
