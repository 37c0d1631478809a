//! `exarch role`: what can be given in the tenant in force, and what it holds.
use crate::{
    Failure,
    context::Context,
    listing::{self, At, Listing},
    tables::{Column, column},
};
use clap::{ArgGroup, Subcommand, ValueEnum};
use exarch_common_base::Slug;
use serde_json::json;

const PATH: &str = "/v1/roles";

/// Where a role is given.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Scope {
    /// In the whole tenant, by a membership
    Tenant,
    /// In one cluster, by a binding in its region
    Cluster,
}

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the roles of the tenant: its own, and behind them the presets
    List,
    /// Show the roles of the tenant, and then how they change, until Ctrl-C
    Watch,
    /// Show one role and what it holds
    Get {
        /// Its name
        role: Slug,
    },
    /// Make a role of the tenant's own, out of what you hold yourself
    Create {
        /// Its name
        name: Slug,
        /// Where it is given
        #[arg(long, value_enum, default_value = "tenant")]
        scope: Scope,
        /// A name of the catalogue, as user.list; may be given several times
        #[arg(long = "permission", value_name = "NAME", required = true)]
        permissions: Vec<String>,
        /// For people
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Change a role of the tenant's own, for everybody who has it; what is not named stays as it is
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Its name
        role: Slug,
        /// What it holds from then on; may be given several times
        #[arg(long = "permission", value_name = "NAME", group = "change")]
        permissions: Vec<String>,
        /// For people
        #[arg(long, value_name = "TEXT", group = "change")]
        description: Option<String>,
    },
    /// Delete a role of the tenant's own that nobody has
    Delete {
        /// Its name
        role: Slug,
    },
    /// List every permission there is: what roles are made of
    Permissions,
}

const COLUMNS: &[Column] = &[
    column("ROLE", |r| r.text("/name")),
    column("KIND", |r| r.text("/kind")),
    column("SCOPE", |r| r.text("/scope")),
    column("DESCRIPTION", |r| r.text("/description")),
    column("AGE", |r| r.age("/created_at")),
];

const PERMISSIONS: &[Column] = &[
    column("PERMISSION", |r| r.text("/name")),
    column("SCOPE", |r| r.text("/scope")),
    column("HELD", |r| r.text("/held")),
    column("LETS YOU", |r| r.text("/sentence")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let watching = matches!(command, Command::Watch);
    let global = cx.global_in_tenant().await?;
    match command {
        Command::List | Command::Watch => {
            let listing = Listing::new("roles", COLUMNS, At::Tenant, PATH);
            listing::show(cx, watching, &listing).await
        }
        Command::Get { role } => cx.out.one(&global.get(&format!("{PATH}/{role}")).await?),
        Command::Create {
            name,
            scope,
            permissions,
            description,
        } => {
            let scope = match scope {
                Scope::Tenant => "tenant",
                Scope::Cluster => "cluster",
            };
            let mut body = json!({ "name": name, "scope": scope, "permissions": permissions });
            if let Some(description) = description {
                body["description"] = json!(description);
            }
            cx.out.one(&global.post(PATH, &body).await?)
        }
        Command::Update {
            role,
            permissions,
            description,
        } => {
            let mut body = json!({});
            if !permissions.is_empty() {
                body["permissions"] = json!(permissions);
            }
            if let Some(description) = description {
                body["description"] = json!(description);
            }
            cx.update(&global, &format!("{PATH}/{role}"), &body).await
        }
        Command::Delete { role } => {
            cx.confirm(&format!("The role {role} is deleted for good.")).await?;
            global.remove(&global.look(&format!("{PATH}/{role}")).await?).await?;
            cx.out.remark(&format!("The role {role} is deleted."));
            Ok(())
        }
        Command::Permissions => {
            let all = global.get("/v1/permissions").await?;
            let items = all["items"].as_array().cloned().unwrap_or_default();
            let names = cx.names(&global, &[]).await?;
            cx.out.list("permissions", PERMISSIONS, &items, &names)
        }
    }
}
