//! `exarch agent`: agents on hosts, and the tokens by which they come in.
use crate::{
    Failure,
    api::Api,
    bootstrap,
    cluster::{self, Within},
    context::Context,
    host,
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column, number, state},
};
use clap::Subcommand;
use exarch_common_base::Slug;
use serde_json::json;

/// Where agents are.
pub const PATH: &str = "/v1/agents";
const TOKENS: &str = "/v1/bootstrap-tokens";

const AGENT: Kind = Kind {
    word: "agent",
    plural: "agents",
    prefix: "agt",
    names: &["/name"],
};

const TOKEN: Kind = Kind {
    word: "bootstrap token",
    plural: "bootstrap tokens",
    prefix: "tok",
    names: &["/name"],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List agents
    List(Within),
    /// Show agents, and then how they change, until Ctrl-C
    Watch(Within),
    /// Show one agent
    Get {
        /// Name or id
        agent: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Let a pending agent in
    Approve {
        /// Name or id
        agent: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Put an agent aside for a time; its workloads stop with their leases
    Suspend {
        /// Name or id
        agent: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Let a suspended agent work again
    Resume {
        /// Name or id
        agent: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Let a quarantined or active agent in again with another key, from its genuine host; the token is shown once
    ReEnrol {
        /// Name or id
        agent: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Give an agent another name
    Rename {
        /// Name or id
        agent: String,
        /// Its new name
        name: Slug,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Forget an agent that does not work any more
    Remove {
        /// Name or id
        agent: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// End an agent's access for good; its workloads stop with their leases
    Revoke {
        /// Name or id
        agent: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Tokens by which agents come in
    #[command(subcommand)]
    Token(Token),
}

/// Verbs of tokens.
#[derive(Subcommand, Debug)]
pub enum Token {
    /// Make a token that lets one agent in, once; it is shown once
    Create {
        /// The cluster it comes into
        #[arg(long)]
        cluster: String,
        /// Its host
        #[arg(long)]
        host: Option<String>,
        /// Its name; without it the agent brings one
        #[arg(long)]
        name: Option<Slug>,
        /// Let it in without approval by a person
        #[arg(long)]
        auto: bool,
    },
    /// List tokens, without what they open
    List,
    /// Show tokens, and then how they change, until Ctrl-C
    Watch,
    /// End a token that nobody has used
    Revoke {
        /// Id
        #[arg(value_name = "ID")]
        bootstrap: String,
    },
}

const COLUMNS: &[Column] = &[
    column("AGENT", |r| r.text("/name")),
    column("CLUSTER", |r| r.name("/cluster_id")),
    column("HOST", |r| r.name("/host_id")),
    state("STATE", |r| r.text("/state")),
    column("SEEN", |r| r.age("/last_seen_at")),
    number("SKEW", |r| r.millis("/clock_skew_ms")),
    column("VERSION", |r| r.text("/software")),
    column("ID", |r| r.id("/id")),
];

const OF_TOKENS: &[Column] = &[
    column("TOKEN", |r| r.id("/id")),
    column("NAME", |r| r.text("/name")),
    column("CLUSTER", |r| r.name("/cluster_id")),
    state("STATE", |r| r.text("/state")),
    column("AUTO", |r| r.text("/auto")),
    column("EXPIRES", |r| r.age("/expires_at")),
    column("AGE", |r| r.age("/created_at")),
];

/// The id of the agent that `text` names.
pub async fn id(region: &Api, text: &str, cluster: Option<&str>) -> Result<String, Failure> {
    names::resolve(region, &AGENT, PATH, text, cluster).await
}

async fn find(region: &Api, text: &str, cluster: Option<&str>) -> Result<String, Failure> {
    let cluster = cluster::id_of(region, cluster).await?;
    id(region, text, cluster.as_deref()).await
}

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let watching = matches!(command, Command::Watch(_));
    let region = cx.region().await?;
    match command {
        Command::List(within) | Command::Watch(within) => {
            let cluster = within.id(&region).await?;
            let listing = Listing::new("agents", COLUMNS, At::Region, PATH).within(cluster);
            listing::show(cx, watching, &listing.named_by(&[cluster::PATH, "/v1/hosts"])).await
        }
        Command::Get { agent, cluster } => {
            let id = find(&region, &agent, cluster.as_deref()).await?;
            cx.out.one(&region.get(&format!("{PATH}/{id}")).await?)
        }
        Command::Approve { agent, cluster } => {
            let id = find(&region, &agent, cluster.as_deref()).await?;
            let answer = region.act(&format!("{PATH}/{id}/approve")).await?;
            cx.out.done(&answer, &format!("The agent {agent} may work."))
        }
        Command::Suspend { agent, cluster } => {
            let id = find(&region, &agent, cluster.as_deref()).await?;
            let answer = region.act(&format!("{PATH}/{id}/suspend")).await?;
            cx.out.done(&answer, &format!("The agent {agent} is suspended."))
        }
        Command::Resume { agent, cluster } => {
            let id = find(&region, &agent, cluster.as_deref()).await?;
            let answer = region.act(&format!("{PATH}/{id}/resume")).await?;
            cx.out.done(&answer, &format!("The agent {agent} may work again."))
        }
        Command::ReEnrol { agent, cluster } => {
            let id = find(&region, &agent, cluster.as_deref()).await?;
            cx.confirm(&format!(
                "The agent {agent} ({id}) gets another key; whoever has the present one is shut out."
            ))
            .await?;
            let answer = region.act(&format!("{PATH}/{id}/re-enrol")).await?;
            bootstrap::show(
                cx,
                &answer,
                "bootstrap_token",
                &[("agent", agent)],
                "On the genuine host, stop the agent and give the token on standard input to this; it works once:",
            )
        }
        Command::Rename { agent, name, cluster } => {
            let path = format!("{PATH}/{}", find(&region, &agent, cluster.as_deref()).await?);
            let answer = region
                .change(&region.look(&path).await?, &json!({ "name": name }))
                .await?;
            cx.out
                .done(&answer, &format!("The agent {agent} is called {name} from now on."))
        }
        Command::Remove { agent, cluster } => {
            let id = find(&region, &agent, cluster.as_deref()).await?;
            cx.confirm(&format!("The agent {agent} ({id}) is forgotten for good."))
                .await?;
            region.delete(&format!("{PATH}/{id}")).await?;
            cx.out.remark(&format!("The agent {agent} is removed."));
            Ok(())
        }
        Command::Revoke { agent, cluster } => {
            let id = find(&region, &agent, cluster.as_deref()).await?;
            cx.confirm(&format!("The agent {agent} ({id}) loses its access for good."))
                .await?;
            let answer = region.act(&format!("{PATH}/{id}/revoke")).await?;
            cx.out.done(&answer, &format!("The agent {agent} is revoked."))
        }
        Command::Token(verb) => token(cx, &region, verb).await,
    }
}

async fn token(cx: &Context, region: &Api, verb: Token) -> Result<(), Failure> {
    match verb {
        Token::Create {
            cluster,
            host,
            name,
            auto,
        } => {
            let cluster_id = cluster::id(region, &cluster).await?;
            let mut body = json!({ "cluster_id": cluster_id, "auto": auto });
            if let Some(host) = host {
                body["host_id"] = json!(host::id(region, &host, Some(&cluster_id)).await?);
            }
            let mut about = vec![("cluster", cluster)];
            if let Some(name) = name {
                body["name"] = json!(name);
                about.push(("agent", name.to_string()));
            }
            let answer = region.post(TOKENS, &body).await?;
            bootstrap::show(
                cx,
                &answer,
                "bootstrap_token",
                &about,
                "On the agent's host, give the token on standard input to this; it is shown once and works once:",
            )
        }
        Token::List => listing::show(cx, false, &tokens()).await,
        Token::Watch => listing::show(cx, true, &tokens()).await,
        Token::Revoke { bootstrap } => {
            let id = names::resolve(region, &TOKEN, TOKENS, &bootstrap, None).await?;
            region.delete(&format!("{TOKENS}/{id}")).await?;
            cx.out.remark(&format!("{id} opens nothing any more."));
            Ok(())
        }
    }
}

fn tokens() -> Listing {
    Listing::new("bootstrap tokens", OF_TOKENS, At::Region, TOKENS).named_by(&[cluster::PATH])
}
