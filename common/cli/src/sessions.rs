//! `exarch session`: where one is signed in, or somebody else by id, and ending that.
use crate::{
    Failure,
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column, state},
};
use clap::{Args, Subcommand};
use exarch_common_base::UserId;

const SESSION: Kind = Kind {
    word: "session",
    plural: "sessions",
    prefix: "ses",
    names: &[],
};

/// Whose sessions.
#[derive(Args, Debug)]
pub struct Whose {
    /// Of this person, by id, in the tenant in force
    #[arg(long, value_name = "ID")]
    user: Option<UserId>,
    /// With --user: in all tenants, for the provider's staff
    #[arg(long, requires = "user")]
    everywhere: bool,
}

impl Whose {
    fn listing(&self) -> Listing {
        Listing::new("sessions", COLUMNS, At::Global, self.path())
    }

    fn path(&self) -> String {
        match (self.user, self.everywhere) {
            (None, _) => "/v1/me/sessions".to_owned(),
            (Some(user), false) => format!("/v1/users/{user}/sessions"),
            (Some(user), true) => format!("/v1/federation-users/{user}/sessions"),
        }
    }
}

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List where you, or somebody else, are signed in
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Show where you, or somebody else, are signed in, and then how that changes, until Ctrl-C
    Watch {
        #[command(flatten)]
        whose: Whose,
    },
    /// End a session, or all: of your own all but this one
    Revoke {
        /// Its id, as the list shows it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        session: Option<String>,
        /// All of them
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        whose: Whose,
    },
}

const COLUMNS: &[Column] = &[
    column("BEGUN", |r| r.text("/created_at")),
    column("ENDS", |r| r.text("/expires_at")),
    state("KIND", |r| r.text("/kind")),
    column("FROM", |r| r.text("/address")),
    column("PROGRAM", |r| r.text("/user_agent")),
    column("THIS ONE", |r| r.text("/current")),
    column("ID", |r| r.id("/id")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::List { whose } => listing::show(cx, false, &whose.listing()).await,
        Command::Watch { whose } => listing::show(cx, true, &whose.listing()).await,
        Command::Revoke { session, whose, .. } => {
            let global = cx.global().await?;
            let path = whose.path();
            let Some(session) = session else {
                cx.confirm("They are signed out everywhere, in the regions too.")
                    .await?;
                let answer = global.delete(&path).await?;
                return cx.out.one(&answer);
            };
            let id = names::resolve(&global, &SESSION, &path, &session, None).await?;
            cx.confirm(&format!("The session {id} ends, in the regions too."))
                .await?;
            global.delete(&format!("{path}/{id}")).await?;
            cx.out.remark(&format!("{id} has ended."));
            Ok(())
        }
    }
}
