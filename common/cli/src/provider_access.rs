//! `exarch provider-access`: what the provider's people did to the tenant, and in it by emergency access.
use crate::{
    Failure,
    audit::COLUMNS,
    context::Context,
    listing::{self, At, Listing},
};
use clap::Subcommand;
use exarch_common_base::BreakGlassId;
use serde_json::json;

const PATH: &str = "/v1/provider-access";

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List what they did, newest first; in a region with --region
    List {
        /// Rows at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Show what they did lately, and then what they do, until Ctrl-C
    Watch,
    /// End an emergency access to the tenant in force, or a request for one, by its id as the audit has it
    End {
        /// Id, whole
        #[arg(value_name = "ID")]
        id: String,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
    },
}

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let most = match command {
        Command::List { limit } => Some(limit),
        Command::Watch => None,
        Command::End { id, reason } => {
            let id = grant(&id)?;
            let global = cx.global_in_tenant().await?;
            global
                .post(&format!("{PATH}/{id}/end"), &json!({ "reason": reason }))
                .await?;
            cx.out.remark(&format!("{id} is over."));
            return Ok(());
        }
    };
    let at = if cx.flags.region.is_some() {
        At::Region
    } else {
        At::Tenant
    };
    let mut listing = Listing::new("rows", COLUMNS, at, PATH);
    listing.most = most.map_or(usize::MAX, |most| most as usize);
    listing::show(cx, most.is_none(), &listing).await
}

/// What becomes a path is an id and nothing else.
fn grant(text: &str) -> Result<BreakGlassId, Failure> {
    text.parse().map_err(|_| {
        Failure::Usage(format!(
            "{text:?} is no id of an emergency access: it begins with bgl_."
        ))
    })
}
