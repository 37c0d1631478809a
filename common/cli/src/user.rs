//! `exarch user`: the people of the tenant in force.
use crate::{
    Failure,
    api::Api,
    bootstrap,
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column, state},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

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
    /// Show the people of the tenant in force, and then how they change, until Ctrl-C
    Watch,
    /// Invite a person into the tenant in force by mail, or make one with an initial password
    Create {
        /// By which the person signs in
        #[arg(long)]
        email: String,
        /// How the person is shown
        #[arg(long)]
        name: String,
        /// A role of tenant scope, as tenant-admin or auditor; may be given several times; none for who gets roles in single clusters only
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Make the person at once, with a password that is shown once and handed over; without mail it is always so
        #[arg(long)]
        initial_password: bool,
    },
    /// Change how a person of the tenant in force is shown
    Update {
        /// Address or id
        #[arg(value_name = "EMAIL|ID")]
        person: String,
        /// How the person is shown from now on
        #[arg(long)]
        name: String,
    },
    /// Show a person of any tenant, for the provider's staff
    Find {
        #[command(flatten)]
        person: Person,
    },
    /// Disable an account in the whole federation and end all its sessions, for the provider's staff
    Disable {
        #[command(flatten)]
        person: Person,
        /// For the audit, one sentence
        #[arg(long)]
        reason: String,
    },
    /// Let a disabled account sign in again, for the provider's staff
    Enable {
        #[command(flatten)]
        person: Person,
        /// For the audit, one sentence
        #[arg(long)]
        reason: String,
    },
}

/// Who, whichever tenants they belong to.
#[derive(Args, Debug)]
pub struct Person {
    /// Address or id
    #[arg(value_name = "EMAIL|ID")]
    person: String,
}

impl Person {
    async fn found(&self, global: &Api) -> Result<Value, Failure> {
        if USER.is_id(&self.person) {
            return global.get(&format!("/v1/federation-users/{}", self.person)).await;
        }
        global
            .post("/v1/federation-users/find", &json!({ "email": self.person }))
            .await
    }

    /// Puts the account into another state.
    async fn step(&self, cx: &Context, action: &str, told: &str, reason: &str) -> Result<(), Failure> {
        let global = cx.global().await?;
        let found = self.found(&global).await?;
        let text = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default();
        cx.confirm(&format!("{} {told}", text("email"))).await?;
        let path = format!("/v1/federation-users/{}/{action}", text("id"));
        cx.out.one(&global.post(&path, &json!({ "reason": reason })).await?)
    }
}

const COLUMNS: &[Column] = &[
    column("EMAIL", |r| r.text("/email")),
    column("NAME", |r| r.text("/display_name")),
    state("STATE", |r| r.text("/state")),
    column("ROLES", |r| r.text("/roles")),
    column("ID", |r| r.id("/id")),
];

fn people() -> Listing {
    Listing::new("users", COLUMNS, At::Tenant, "/v1/users")
}

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::List => listing::show(cx, false, &people()).await,
        Command::Watch => listing::show(cx, true, &people()).await,
        Command::Create {
            email,
            name,
            roles,
            initial_password,
        } => {
            let mut body = json!({ "email": email, "display_name": name, "roles": roles });
            if initial_password {
                body["initial_password"] = json!(true);
            }
            let answer = cx.global_in_tenant().await?.post("/v1/users", &body).await?;
            if answer.get("expires_at").is_some() {
                return cx
                    .out
                    .done(&answer, &format!("An invitation is on its way to {email}."));
            }
            bootstrap::person(cx, &answer, &answer)
        }
        Command::Update { person, name } => {
            let global = cx.global_in_tenant().await?;
            let id = names::resolve(&global, &USER, "/v1/users", &person, None).await?;
            cx.update(&global, &format!("/v1/users/{id}"), &json!({ "display_name": name }))
                .await
        }
        Command::Find { person } => cx.out.one(&person.found(&cx.global().await?).await?),
        Command::Disable { person, reason } => {
            let told = "is signed out everywhere and signs in nowhere, in all tenants.";
            person.step(cx, "disable", told, &reason).await
        }
        Command::Enable { person, reason } => {
            person
                .step(cx, "enable", "can sign in again, with what it might before.", &reason)
                .await
        }
    }
}
