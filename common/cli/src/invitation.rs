//! `exarch invitation`: who was invited into the tenant in force and has not come yet.
use crate::{
    Failure,
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column, state},
};
use clap::Subcommand;

const PATH: &str = "/v1/invitations";

const INVITATION: Kind = Kind {
    word: "invitation",
    plural: "invitations",
    prefix: "inv",
    names: &["/email"],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the invitations that were neither accepted nor cancelled
    List,
    /// Show the invitations, and then how they change, until Ctrl-C
    Watch,
    /// Send an invitation again, good for another day; the mail before is worth nothing then
    Resend {
        /// Id, or the address
        #[arg(value_name = "INVITATION|EMAIL")]
        invitation: String,
    },
    /// Cancel an invitation: nobody can accept it any more
    Cancel {
        /// Id, or the address
        #[arg(value_name = "INVITATION|EMAIL")]
        invitation: String,
    },
}

const COLUMNS: &[Column] = &[
    column("EMAIL", |r| r.text("/email")),
    column("NAME", |r| r.text("/display_name")),
    state("STATE", |r| r.text("/state")),
    column("ROLES", |r| r.text("/roles")),
    column("BY", |r| r.text("/invited_by/email")),
    column("ENDS", |r| r.text("/expires_at")),
    column("ID", |r| r.id("/id")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let watching = matches!(command, Command::Watch);
    let global = cx.global_in_tenant().await?;
    match command {
        Command::List | Command::Watch => {
            let listing = Listing::new("invitations", COLUMNS, At::Tenant, PATH);
            listing::show(cx, watching, &listing).await
        }
        Command::Resend { invitation } => {
            let id = names::resolve(&global, &INVITATION, PATH, &invitation, None).await?;
            let answer = global.act(&format!("{PATH}/{id}/resend")).await?;
            cx.out.done(&answer, &format!("Another mail for {id} is on its way."))
        }
        Command::Cancel { invitation } => {
            let id = names::resolve(&global, &INVITATION, PATH, &invitation, None).await?;
            cx.confirm(&format!("Nobody can accept {id} any more.")).await?;
            global.delete(&format!("{PATH}/{id}")).await?;
            cx.out.remark(&format!("{id} is cancelled."));
            Ok(())
        }
    }
}
