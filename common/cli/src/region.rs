//! `exarch region`: the federation's regions for staff, one's own for everybody else.
use crate::{
    Failure, bootstrap,
    context::Context,
    listing::{self, At, Listing},
    tables::{Column, column, number, state},
};
use clap::{ArgGroup, Args, Subcommand};
use exarch_common_base::Slug;
use serde_json::{Value, json};

/// Whose.
#[derive(Args, Debug)]
pub struct Mine {
    /// Those you may enter in the tenant in force, for staff too
    #[arg(long)]
    mine: bool,
}

impl Mine {
    async fn listing(&self, cx: &Context) -> Result<Listing, Failure> {
        let global = cx.global().await?;
        // Asking first spares everybody else's audit a refusal.
        Ok(if !self.mine && cx.me(&global).await?.1 {
            Listing::new("regions", FEDERATION, At::Global, "/v1/regions")
        } else {
            Listing::new("regions", MINE, At::Global, "/v1/me/regions")
        })
    }
}

/// One step in a region's life.
#[derive(Args, Debug)]
pub struct Step {
    /// Its slug
    #[arg(value_name = "REGION")]
    slug: Slug,
    /// For the audit, one sentence
    #[arg(long)]
    reason: String,
}

impl Step {
    async fn take(&self, cx: &Context, action: &str) -> Result<(), Failure> {
        let path = format!("/v1/regions/{}/{action}", self.slug);
        let answer = cx
            .global()
            .await?
            .post(&path, &json!({ "reason": self.reason }))
            .await?;
        cx.out.one(&answer)
    }
}

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the regions of the federation, or those you may enter
    List(Mine),
    /// Show the same, and then how they change, until Ctrl-C
    Watch(Mine),
    /// Show one region
    Get {
        /// Its slug
        #[arg(value_name = "REGION")]
        slug: Slug,
    },
    /// Register a region and get the join token for its gateway, once
    Register {
        /// Its name in addresses and commands; never used again
        #[arg(value_name = "REGION")]
        slug: Slug,
        /// Its name for people
        #[arg(long)]
        name: String,
        /// Where its users reach it
        #[arg(long)]
        url: String,
        /// Where its console is, when elsewhere
        #[arg(long, value_name = "URL")]
        console_url: Option<String>,
    },
    /// Change a region's name or places
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Its slug
        #[arg(value_name = "REGION")]
        slug: Slug,
        /// Its name for people
        #[arg(long, group = "change")]
        name: Option<String>,
        /// Where its users reach it
        #[arg(long, group = "change")]
        url: Option<String>,
        /// Where its console is, when elsewhere
        #[arg(long, value_name = "URL", group = "change")]
        console_url: Option<String>,
    },
    /// Drain a region: what is there goes on, and no tenant is newly entitled to it
    Drain(Step),
    /// Put a draining region back in full service
    Resume(Step),
    /// Remove a draining region that no tenant is entitled to, for good
    Remove(Step),
    /// Get a new join token, while no gateway has joined; those before it end
    Token {
        /// Its slug
        #[arg(value_name = "REGION")]
        slug: Slug,
    },
}

const FEDERATION: &[Column] = &[
    column("REGION", |r| r.text("/slug")),
    column("NAME", |r| r.text("/name")),
    state("LIFECYCLE", |r| r.text("/lifecycle")),
    state("HEALTH", |r| r.text("/health")),
    number("LATENCY", |r| r.millis("/latency_ms")),
    column("PROBED", |r| r.age("/last_probe_at")),
    number("PASSPORT", |r| r.text("/passport/version")),
    number("APPLIED", |r| r.text("/passport/acknowledged")),
    number("LEASES", |r| r.text("/leases")),
    column("VERSION", |r| r.text("/software_version")),
    column("REASON", |r| r.text("/reason")),
];

const MINE: &[Column] = &[
    column("REGION", |r| r.text("/slug")),
    column("NAME", |r| r.text("/name")),
    state("STATE", |r| r.text("/state")),
    number("LATENCY", |r| r.millis("/latency_ms")),
    column("URL", |r| r.text("/url")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(mine) => listing::show(cx, false, &mine.listing(cx).await?).await,
        Command::Watch(mine) => listing::show(cx, true, &mine.listing(cx).await?).await,
        Command::Get { slug } => {
            let global = cx.global().await?;
            if cx.me(&global).await?.1 {
                return cx.out.one(&global.get(&format!("/v1/regions/{slug}")).await?);
            }
            let mine = global.list("/v1/me/regions").await?;
            let found = mine.iter().find(|region| region["slug"] == slug.as_str());
            cx.out
                .one(found.ok_or_else(|| Failure::NotFound(format!("There is no region {:?}.", slug.as_str())))?)
        }
        Command::Register {
            slug,
            name,
            url,
            console_url,
        } => {
            let mut body = json!({ "slug": slug, "name": name, "url": url });
            if let Some(console) = console_url {
                body["console_url"] = json!(console);
            }
            let answer = cx.global().await?.post("/v1/regions", &body).await?;
            joins(cx, &slug, &answer)
        }
        Command::Update {
            slug,
            name,
            url,
            console_url,
        } => {
            let global = cx.global().await?;
            let mut body = json!({});
            for (key, value) in [("name", name), ("url", url), ("console_url", console_url)] {
                if let Some(value) = value {
                    body[key] = json!(value);
                }
            }
            cx.update(&global, &format!("/v1/regions/{slug}"), &body).await
        }
        Command::Drain(step) => step.take(cx, "drain").await,
        Command::Resume(step) => step.take(cx, "resume").await,
        Command::Remove(step) => {
            cx.confirm(&format!("The region {} is removed for good.", step.slug))
                .await?;
            step.take(cx, "remove").await
        }
        Command::Token { slug } => {
            let answer = cx
                .global()
                .await?
                .act(&format!("/v1/regions/{slug}/join-token"))
                .await?;
            joins(cx, &slug, &answer)
        }
    }
}

fn joins(cx: &Context, slug: &Slug, answer: &Value) -> Result<(), Failure> {
    bootstrap::show(
        cx,
        answer,
        "join_token",
        &[("region", slug.to_string())],
        "On the gateway's host, give the token on standard input to this; it is shown once and works once:",
    )
}
