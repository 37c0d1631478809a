//! `exarch binding`: who has a role in one cluster alone.
use crate::{
    Failure,
    cluster::{self, Within},
    context::Context,
    listing::{self, At, Listing},
    names,
    tables::{Column, column},
    times,
    user::USER,
};
use clap::Subcommand;
use serde_json::json;

const PATH: &str = "/v1/bindings";

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List who has which role in which of the tenant's clusters in the region
    List(Within),
    /// Show them, and then how they change, until Ctrl-C
    Watch(Within),
    /// Show one
    Get {
        /// Id
        binding: String,
    },
    /// Give a person of the tenant a role in one cluster
    Create {
        /// Name or id
        #[arg(long)]
        cluster: String,
        /// Address or id of the person; while the global cannot be reached, the id
        #[arg(long)]
        user: String,
        /// cluster-admin, cluster-operator, or a role of the tenant's own
        #[arg(long)]
        role: String,
        /// When it ends by itself
        #[arg(long, value_name = "TIME", value_parser = times::instant)]
        until: Option<String>,
    },
    /// Take a role in a cluster away
    Delete {
        /// Id
        binding: String,
    },
}

const COLUMNS: &[Column] = &[
    column("PERSON", |r| r.text("/user/display_name")),
    column("ROLE", |r| r.text("/role")),
    column("CLUSTER", |r| r.name("/cluster_id")),
    column("STATE", |r| r.text("/state")),
    column("UNTIL", |r| r.age("/until")),
    column("AGE", |r| r.age("/created_at")),
    column("ID", |r| r.id("/id")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let watching = matches!(command, Command::Watch(_));
    let region = cx.region().await?;
    match command {
        Command::List(within) | Command::Watch(within) => {
            let listing = Listing::new("bindings", COLUMNS, At::Region, PATH);
            let listing = listing.within(within.id(&region).await?).named_by(&[cluster::PATH]);
            listing::show(cx, watching, &listing).await
        }
        Command::Get { binding } => cx.out.one(&region.get(&format!("{PATH}/{binding}")).await?),
        Command::Create {
            cluster,
            user,
            role,
            until,
        } => {
            let user = if USER.is_id(&user) {
                user
            } else {
                names::resolve(&cx.global_in_tenant().await?, &USER, "/v1/users", &user, None).await?
            };
            let cluster = cluster::id(&region, &cluster).await?;
            let mut body = json!({ "cluster_id": cluster, "user_id": user, "role": role });
            if let Some(until) = until {
                body["until"] = json!(until);
            }
            cx.out.one(&region.post(PATH, &body).await?)
        }
        Command::Delete { binding } => {
            cx.confirm(&format!("The role in the cluster ends ({binding})."))
                .await?;
            region.delete(&format!("{PATH}/{binding}")).await?;
            cx.out.remark(&format!("{binding} has ended."));
            Ok(())
        }
    }
}
