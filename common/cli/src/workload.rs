//! `exarch workload`: what runs under a lease.
use crate::{
    Failure, agent,
    api::Api,
    cluster::{self, Within},
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    progress::Progress,
    resource,
    tables::{Column, Names, column, number, state},
    times,
};
use clap::{ArgGroup, Subcommand};
use exarch_common_base::Slug;
use serde_json::{Value, json};
use std::time::Duration;

/// Where workloads are.
pub const PATH: &str = "/v1/workloads";

/// How long `--wait` waits unless told.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

const WORKLOAD: Kind = Kind {
    word: "workload",
    plural: "workloads",
    prefix: "wrk",
    names: &["/name"],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List workloads
    List(Within),
    /// Show workloads, and then how they change, until Ctrl-C
    Watch(Within),
    /// Show one workload, and where it runs
    Get {
        /// Name or id
        workload: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Describe a workload: a command that runs on one agent at a time, under a lease
    Create {
        /// Its name
        name: Slug,
        /// Its cluster
        #[arg(long)]
        cluster: String,
        /// What must be leased before it starts
        #[arg(long)]
        resource: String,
        /// The volume, on the agent's host, whose guard must accept the fence
        #[arg(long, value_name = "PATH")]
        volume: String,
        /// Program and arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        argv: Vec<String>,
    },
    /// Change a workload that is stopped; what is not named stays as it is
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Name or id
        workload: String,
        /// Its new name
        #[arg(long, group = "change")]
        name: Option<Slug>,
        /// The volume, on the agent's host, whose guard must accept the fence
        #[arg(long, value_name = "PATH", group = "change")]
        volume: Option<String>,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
        /// Program and arguments
        #[arg(last = true, value_name = "COMMAND", group = "change")]
        argv: Vec<String>,
    },
    /// Delete a workload that is stopped
    Delete {
        /// Name or id
        workload: String,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Let a workload run on an agent; refused while another one holds the resource
    Start {
        /// Name or id
        workload: String,
        /// On which agent
        #[arg(long)]
        agent: String,
        /// Queue up while another agent holds the resource, and wait until it runs
        #[arg(long)]
        wait: bool,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Stop a workload, and with it end its lease
    Stop {
        /// Name or id
        workload: String,
        /// On this agent alone
        #[arg(long)]
        agent: Option<String>,
        /// Where names repeat: its cluster
        #[arg(long)]
        cluster: Option<String>,
    },
}

const COLUMNS: &[Column] = &[
    column("WORKLOAD", |r| r.text("/name")),
    column("CLUSTER", |r| r.name("/cluster_id")),
    column("RESOURCE", |r| r.name("/resource_id")),
    column("RUNS ON", |r| {
        r.those("/agents", ("/reported/state", "running"), "/agent")
    }),
    column("AGE", |r| r.age("/created_at")),
    column("ID", |r| r.id("/id")),
];

const PLACES: &[Column] = &[
    column("AGENT", |r| r.text("/agent")),
    column("WANTED", |r| r.text("/desired")),
    state("STATE", |r| r.text("/reported/state")),
    number("FENCE", |r| r.text("/reported/fence")),
    column("SINCE", |r| r.age("/reported/at")),
    column("DETAIL", |r| r.text("/reported/detail")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let watching = matches!(command, Command::Watch(_));
    let region = cx.region().await?;
    match command {
        Command::List(within) | Command::Watch(within) => {
            let cluster = within.id(&region).await?;
            let listing = Listing::new("workloads", COLUMNS, At::Region, PATH).within(cluster);
            listing::show(cx, watching, &listing.named_by(&[cluster::PATH, resource::PATH])).await
        }
        Command::Get { workload, cluster } => {
            let (id, _) = find(&region, &workload, cluster.as_deref()).await?;
            let mut workload = region.get(&format!("{PATH}/{id}")).await?;
            if cx.out.is_data() {
                return cx.out.one(&workload);
            }
            let places = workload.as_object_mut().and_then(|object| object.remove("agents"));
            cx.out.one(&workload)?;
            match places {
                Some(Value::Array(places)) => cx.out.below(PLACES, &places, &Names::default()),
                _ => Ok(()),
            }
        }
        Command::Create {
            name,
            cluster,
            resource,
            volume,
            argv,
        } => {
            let cluster = cluster::id(&region, &cluster).await?;
            let resource = resource::id(&region, &resource, Some(&cluster)).await?;
            let driver = json!({ "kind": "process", "argv": argv, "volume": volume });
            let body = json!({ "cluster_id": cluster, "name": name, "resource_id": resource, "driver": driver });
            cx.out.one(&region.post(PATH, &body).await?)
        }
        Command::Update {
            workload,
            name,
            volume,
            cluster,
            argv,
        } => {
            let (id, _) = find(&region, &workload, cluster.as_deref()).await?;
            let mut seen = region.look(&format!("{PATH}/{id}")).await?;
            let mut body = json!({});
            if let Some(name) = name {
                body["name"] = json!(name);
            }
            if volume.is_some() || !argv.is_empty() {
                // the driver changes as a whole
                let mut driver = seen.value["driver"].take();
                if let Some(volume) = volume {
                    driver["volume"] = json!(volume);
                }
                if !argv.is_empty() {
                    driver["argv"] = json!(argv);
                }
                body["driver"] = driver;
            }
            cx.out.one(&region.change(&seen, &body).await?)
        }
        Command::Delete { workload, cluster } => {
            let (id, _) = find(&region, &workload, cluster.as_deref()).await?;
            cx.confirm(&format!("The workload {workload} ({id}) is deleted for good."))
                .await?;
            region.remove(&region.look(&format!("{PATH}/{id}")).await?).await?;
            cx.out.remark(&format!("The workload {workload} is deleted."));
            Ok(())
        }
        Command::Start {
            workload,
            agent,
            wait,
            cluster,
        } => {
            let (id, cluster) = find(&region, &workload, cluster.as_deref()).await?;
            let agent_id = agent::id(&region, &agent, cluster.as_deref()).await?;
            let path = format!("{PATH}/{id}");
            let runs_already = wait && place(&region.get(&path).await?, &agent_id).is_some_and(|place| place.runs);
            let body = json!({ "agent_id": agent_id, "wait": wait });
            let answer = region.post(&format!("{path}/start"), &body).await?;
            if !wait {
                return cx.out.done(&answer, &format!("{workload} is to run on {agent}."));
            }
            if runs_already {
                return cx.out.done(&answer, &format!("{workload} runs on {agent} already."));
            }
            let patience = cx.flags.timeout.unwrap_or(PATIENCE);
            let waiting = format!("{workload} is to run on {agent}");
            let stays = format!("{workload} stays queued on {agent}: `exarch workload stop {workload}` ends that.");
            let progress = Progress::begin(&cx.out, &waiting, None, stays);
            let running = tokio::time::timeout(patience, until_running(&progress, &region, &path, &agent_id)).await;
            progress.end();
            let answer = running.map_err(|_| {
                let waited = times::seconds(patience.as_secs());
                Failure::Failed(format!(
                    "{workload} does not run on {agent} after {waited}; it stays queued."
                ))
            })??;
            cx.out.done(&answer, &format!("{workload} runs on {agent}."))
        }
        Command::Stop {
            workload,
            agent,
            cluster,
        } => {
            let (id, cluster) = find(&region, &workload, cluster.as_deref()).await?;
            let mut body = json!({});
            if let Some(agent) = agent {
                body["agent_id"] = json!(agent::id(&region, &agent, cluster.as_deref()).await?);
            }
            let answer = region.post(&format!("{PATH}/{id}/stop"), &body).await?;
            cx.out.done(&answer, &format!("{workload} is to stop."))
        }
    }
}

/// The workload's id and, where it was said, its cluster's.
async fn find(region: &Api, text: &str, cluster: Option<&str>) -> Result<(String, Option<String>), Failure> {
    let cluster = cluster::id_of(region, cluster).await?;
    let id = names::resolve(region, &WORKLOAD, PATH, text, cluster.as_deref()).await?;
    Ok((id, cluster))
}

/// A workload on one agent: what people want, and what the agent said since they did.
struct Place {
    /// It is wanted there and was said to run.
    runs: bool,
    /// State and detail, if they are younger than the wish.
    said: Option<(String, String)>,
}

fn place(workload: &Value, agent: &str) -> Option<Place> {
    let places = workload.get("agents")?.as_array()?;
    let place = places.iter().find(|place| place["agent_id"] == agent)?;
    let text = |pointer: &str| place.pointer(pointer).and_then(Value::as_str);
    let time = |pointer: &str| text(pointer).and_then(times::parse);
    let state = text("/reported/state");
    let young = time("/reported/at")
        .zip(time("/changed_at"))
        .is_some_and(|(said, wanted)| said >= wanted);
    Some(Place {
        runs: state == Some("running") && text("/desired") != Some("stop"),
        said: state.filter(|_| young).map(|state| {
            (
                state.to_owned(),
                text("/reported/detail").unwrap_or_default().to_owned(),
            )
        }),
    })
}

async fn until_running(progress: &Progress<'_>, region: &Api, path: &str, agent: &str) -> Result<Value, Failure> {
    let mut told = None;
    loop {
        let workload = region.get(path).await?;
        let said = place(&workload, agent).and_then(|place| place.said);
        match &said {
            Some((state, _)) if state == "running" => return Ok(workload),
            Some((state, detail)) if matches!(state.as_str(), "failed" | "fenced") => {
                return Err(Failure::Failed(format!("It {state}: {detail}")));
            }
            Some((state, detail)) if told != said => progress.remark(&format!("{state}: {detail}")),
            _ => {}
        }
        told = said;
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(desired: &str, state: &str, said: &str) -> Value {
        json!({ "agents": [{ "agent_id": "agt_1", "desired": desired, "changed_at": "2026-06-01T12:00:00.5Z",
                             "reported": { "state": state, "detail": "d", "at": said } }] })
    }

    #[test]
    fn what_an_agent_said_before_the_wish_says_nothing_of_it() {
        let place = |value: &Value| place(value, "agt_1").unwrap();
        let before = place(&workload("run", "failed", "2026-06-01T12:00:00.4Z"));
        assert!(before.said.is_none());
        let after = place(&workload("run", "waiting", "2026-06-01T12:00:00.6Z"));
        assert_eq!(after.said, Some(("waiting".to_owned(), "d".to_owned())));
        let silent =
            json!({ "agents": [{ "agent_id": "agt_1", "desired": "run", "changed_at": "2026-06-01T12:00:00Z" }] });
        assert!(place(&silent).said.is_none());
    }

    #[test]
    fn what_was_said_to_run_runs_unless_it_was_told_to_stop() {
        let runs = |desired: &str| {
            place(&workload(desired, "running", "2026-06-01T11:00:00Z"), "agt_1")
                .unwrap()
                .runs
        };
        assert!(runs("run") && runs("wait") && !runs("stop"));
        assert!(place(&workload("run", "running", "2026-06-01T11:00:00Z"), "agt_2").is_none());
    }
}
