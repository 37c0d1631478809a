//! `exarch api-key`: what software of the tenant in force shows in the place of a person.
use crate::{
    Failure,
    api::Api,
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    output::Shown,
    tables::{Column, column, state},
    times,
};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use exarch_common_base::Slug;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/v1/api-keys";

const KEY: Kind = Kind {
    word: "API key",
    plural: "API keys",
    prefix: "key",
    names: &["/name"],
};

/// Where a key is known.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Known {
    /// In --region alone, also while the global is away
    Regional,
    /// At the global, which gives tokens for regions for it
    Federated,
}

/// A key that exists.
#[derive(Args, Debug)]
pub struct One {
    /// Id or name
    #[arg(value_name = "KEY")]
    key: String,
}

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the keys that were not revoked
    List,
    /// Show the keys, and then how they change, until Ctrl-C
    Watch,
    /// Show one key, without its secret
    Get(One),
    /// Make a key that rests on your membership; its secret is shown this once
    Create {
        /// Its name, for people
        name: String,
        /// Where it is known
        #[arg(long, value_enum)]
        kind: Known,
        /// What it may do at most: a role of the tenant
        #[arg(long)]
        role: Slug,
        /// From where it may be used, as 192.0.2.0/24; may be given several times
        #[arg(long = "from", value_name = "CIDR")]
        cidrs: Vec<String>,
        /// When it ends by itself
        #[arg(long, value_name = "TIME", value_parser = times::instant)]
        until: Option<String>,
    },
    /// Change a key; what is not named stays as it is
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Which
        #[command(flatten)]
        one: One,
        /// Its name, for people
        #[arg(long, group = "change")]
        name: Option<String>,
        /// From where it may be used from then on; may be given several times
        #[arg(long = "from", value_name = "CIDR", group = "change")]
        cidrs: Vec<String>,
        /// It may be used from anywhere
        #[arg(long, group = "change", conflicts_with = "cidrs")]
        anywhere: bool,
        /// When it ends by itself
        #[arg(long, value_name = "TIME", value_parser = times::instant, group = "change")]
        until: Option<String>,
        /// It does not end by itself
        #[arg(long, group = "change", conflicts_with = "until")]
        open: bool,
    },
    /// Give a key another secret, which is shown this once
    Rotate {
        /// Which
        #[command(flatten)]
        one: One,
        /// How long the secret before stays good; see --at-once
        #[arg(long, value_name = "DURATION", value_parser = times::duration, default_value = "24h")]
        overlap: Duration,
        /// The secret before ends now
        #[arg(long, conflicts_with = "overlap")]
        at_once: bool,
    },
    /// End a key for good
    Revoke {
        /// Which
        #[command(flatten)]
        one: One,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

const COLUMNS: &[Column] = &[
    column("NAME", |r| r.text("/name")),
    column("KIND", |r| r.text("/kind")),
    column("REGION", |r| r.text("/region/slug")),
    state("STATE", |r| r.text("/state")),
    column("ROLE", |r| r.text("/role")),
    column("OWNER", |r| r.text("/owner/user/email")),
    column("FROM", |r| r.text("/cidrs")),
    column("ENDS", |r| r.age("/expires_at")),
    column("USED", |r| r.text("/last_used_on")),
    column("ID", |r| r.id("/id")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let watching = matches!(command, Command::Watch);
    let global = cx.global_in_tenant().await?;
    match command {
        Command::List | Command::Watch => {
            let listing = Listing::new("API keys", COLUMNS, At::Tenant, PATH);
            listing::show(cx, watching, &listing).await
        }
        Command::Get(one) => cx.out.one(&global.get(&path(&global, &one).await?).await?),
        Command::Create {
            name,
            kind,
            role,
            cidrs,
            until,
        } => {
            let mut body = json!({ "name": name, "role": role, "cidrs": cidrs });
            match kind {
                Known::Federated => body["kind"] = json!("federated"),
                Known::Regional => {
                    body["kind"] = json!("regional");
                    body["region"] = json!(cx.region_slug().await?);
                }
            }
            if let Some(until) = until {
                body["expires_at"] = json!(until);
            }
            shown(cx, &global.post(PATH, &body).await?)
        }
        Command::Update {
            one,
            name,
            cidrs,
            anywhere,
            until,
            open,
        } => {
            let mut body = json!({});
            if let Some(name) = name {
                body["name"] = json!(name);
            }
            if anywhere || !cidrs.is_empty() {
                body["cidrs"] = json!(cidrs);
            }
            if open || until.is_some() {
                body["expires_at"] = json!(until);
            }
            cx.update(&global, &path(&global, &one).await?, &body).await
        }
        Command::Rotate { one, overlap, at_once } => {
            let overlap = if at_once { 0 } else { overlap.as_secs() };
            let path = format!("{}/rotate", path(&global, &one).await?);
            shown(cx, &global.post(&path, &json!({ "overlap_seconds": overlap })).await?)
        }
        Command::Revoke { one, reason } => {
            let path = path(&global, &one).await?;
            cx.confirm(&format!("Whatever uses the key {} stops working.", one.key))
                .await?;
            global
                .post(&format!("{path}/revoke"), &json!({ "reason": reason }))
                .await?;
            cx.out.remark(&format!("The key {} is revoked.", one.key));
            Ok(())
        }
    }
}

async fn path(global: &Api, one: &One) -> Result<String, Failure> {
    let id = names::resolve(global, &KEY, PATH, &one.key, None).await?;
    Ok(format!("{PATH}/{id}"))
}

fn shown(cx: &Context, answer: &Value) -> Result<(), Failure> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    cx.out.secret(
        answer,
        &Shown {
            fields: &[("id", text("id").to_owned()), ("name", text("name").to_owned())],
            secret: ("secret", text("secret")),
            then: "The secret is shown once: keep it where only its user reads it.".to_owned(),
            line: None,
        },
    )
}
