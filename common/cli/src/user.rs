//! `exarch user`: the people of the tenant in force.
use crate::{
    Failure, bootstrap,
    context::Context,
    names::Kind,
    tables::{Column, Names, column, state},
};
use clap::Subcommand;
use serde_json::json;

/// People, as memberships name them.
pub const USER: Kind = Kind {
    word: "user",
    plural: "users",
    prefix: "usr",
    names: &["/email"],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the people of the tenant in force
    List,
    /// Make a person with roles in the tenant in force; the initial password is shown once
    Create {
        /// By which the person signs in
        #[arg(long)]
        email: String,
        /// How the person is shown
        #[arg(long)]
        name: String,
        /// A role of tenant scope, as tenant-admin or auditor; may be given several times
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
    },
}

const COLUMNS: &[Column] = &[
    column("EMAIL", |r| r.text("/email")),
    column("NAME", |r| r.text("/display_name")),
    state("STATE", |r| r.text("/state")),
    column("ROLES", |r| r.text("/roles")),
    column("ID", |r| r.id("/id")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let global = cx.global_in_tenant().await?;
    match command {
        Command::List => cx
            .out
            .list("users", COLUMNS, &global.list("/v1/users").await?, &Names::default()),
        Command::Create { email, name, roles } => {
            let body = json!({ "email": email, "display_name": name, "roles": roles });
            let answer = global.post("/v1/users", &body).await?;
            bootstrap::person(cx, &answer, &answer)
        }
    }
}
