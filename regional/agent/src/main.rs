//! `exarch-agent`: one per host.
use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use exarch_common_base::{Ambient, SecretString};
use exarch_common_crypto::pki::Pin;
use exarch_common_runtime::{
    Lifecycle, Notify, os_signals,
    settings::{SecretFile, process_env},
    telemetry,
};
use exarch_regional_agent::{
    drivers::find_guard,
    identity::{Offer, State, StateError, approved, enrol, enrol_again},
    leases::Keeper,
    session::Session,
    workloads::{Fences, Work},
};
use std::{
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

#[derive(Parser)]
#[command(version, about = "The hand of an Exarch region on one host")]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    /// Become an agent of a region: the bootstrap token is read from a file or, with -, from standard input
    Enrol {
        /// The gateway's listener for agents, https://host:port
        #[arg(long)]
        gateway: String,
        /// Fingerprint of the region's agent authority, sha256:…
        #[arg(long)]
        ca_pin: Pin,
        /// A file with the bootstrap token, or - for standard input
        #[arg(long)]
        token_file: PathBuf,
        /// Directory for this agent's key and state
        #[arg(long)]
        state: PathBuf,
        /// Name of the agent, unless the token gives it
        #[arg(long)]
        name: Option<String>,
        /// This host has an identity that was copied or lost its place: come in again under the same id, with another key
        #[arg(long)]
        again: bool,
    },
    /// Run the agent
    Run {
        /// The directory of `enrol`
        #[arg(long)]
        state: PathBuf,
        /// The guard's program; the one beside this program by default
        #[arg(long)]
        guard: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exarch_common_runtime::run("exarch-agent", async move {
        let format = if std::io::stderr().is_terminal() {
            telemetry::LogFormat::Text
        } else {
            telemetry::LogFormat::Json
        };
        let filter = std::env::var("EXARCH_LOG").unwrap_or_else(|_| "info".into());
        telemetry::init_logs(&filter, format)?;
        match cli.command {
            Commands::Enrol {
                gateway,
                ca_pin,
                token_file,
                state,
                name,
                again,
            } => {
                let offer = Offer {
                    gateway,
                    pin: ca_pin,
                    token: read_token(&token_file)?,
                    name,
                };
                let state = State::open(&state)?;
                let identity = match again {
                    true => enrol_again(&state, offer).await?,
                    false => enrol(&Ambient::system(), &state, offer).await?,
                };
                tracing::info!(agent = %identity.agent, name = %identity.name, "enrolled");
                Ok(())
            }
            Commands::Run { state, guard } => serve(state, guard).await,
        }
    })
}

/// The first words of standard input, or a file that nobody else can read.
fn read_token(path: &Path) -> anyhow::Result<SecretString> {
    if path.as_os_str() != "-" {
        return SecretFile::new(path).read().context("--token-file");
    }
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .context("standard input")?;
    let token = text.trim();
    if token.is_empty() {
        bail!("the bootstrap token is empty");
    }
    Ok(token.to_owned().into())
}

async fn serve(dir: PathBuf, guard: Option<PathBuf>) -> anyhow::Result<()> {
    let ambient = Ambient::system();
    let guard = find_guard(guard)?;
    let state = State::open(&dir)?;
    let identity = match state.identity() {
        // Until a person has approved it, it runs nothing and polls.
        Err(StateError::NotEnrolled(dir)) => {
            let approved = approved(&ambient, &state).await?;
            approved.ok_or(StateError::NotEnrolled(dir))?
        }
        known => known?,
    };
    let identity = Arc::new(identity);
    let (session, link) = Session::new(ambient.clone(), state, &identity)?;
    let session = Arc::new(session);
    let keeper = Keeper::new(ambient.clone(), link.clone());
    let work = Work {
        ambient,
        identity: identity.clone(),
        state: session.clone(),
        link,
        keeper: keeper.clone(),
        guard,
        fences: Fences::default(),
    };
    let lifecycle = Lifecycle::new(Notify::from_env(&process_env()));
    tracing::info!(agent = %identity.agent, name = %identity.name, region = %identity.region, "agent starts");
    let stop = lifecycle.stop();
    // Session and renewals go on while workloads are being ended, so they stop last, with the process.
    lifecycle.track(work.clone().run(stop.clone()));
    let until_exit = tokio_util::sync::CancellationToken::new();
    tokio::spawn(session.keep_open(until_exit.clone()));
    tokio::spawn(keeper.keep_renewing(until_exit.clone()));
    tokio::spawn(work.heartbeat(stop));
    lifecycle.set_ready();
    lifecycle
        .run(os_signals()?, Duration::ZERO, Duration::from_secs(20))
        .await
        .into_result()
}
