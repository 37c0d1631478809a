//! `exarch-agent`: one per host.
use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use exarch_common_base::{Ambient, SecretString};
use exarch_common_crypto::pki::Pin;
use exarch_common_runtime::{
    Lifecycle, Notify, Pulse, Reloader, TakeOver, os_signals,
    settings::{self, Env, SecretFile, process_env},
    telemetry,
};
use exarch_regional_agent::{
    drivers::find_guard,
    identity::{Offer, State, StateError, approved, enrol, enrol_again},
    leases::Keeper,
    session::Session,
    settings::Settings,
    workloads::{Fences, TURN, Work},
};
use std::{
    io::{Read, Write, stdout},
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

/// Where settings come from: a file, the environment, and before both the flags.
#[derive(clap::Args)]
struct Config {
    /// The settings file, TOML; without it the environment and the flags are enough
    #[arg(long, value_name = "FILE", env = "EXARCH_CONFIG")]
    config: Option<PathBuf>,
    /// Directory for this agent's key and state: settings.state.dir
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Config {
    fn env(&self, guard: Option<&Path>) -> anyhow::Result<Env> {
        let mut env = process_env();
        for (name, flag) in [
            ("EXARCH_STATE__DIR", self.state.as_deref()),
            ("EXARCH_WORKLOADS__GUARD", guard),
        ] {
            if let Some(path) = flag {
                let text = path
                    .to_str()
                    .with_context(|| format!("{} is not UTF-8", path.display()))?;
                env.insert(name.to_owned(), text.to_owned());
            }
        }
        Ok(env)
    }

    fn load(&self) -> anyhow::Result<Settings> {
        Ok(settings::load(self.config.as_deref(), &self.env(None)?)?)
    }
}

#[derive(Subcommand)]
enum Commands {
    /// Become an agent of a region: the bootstrap token is read from a file or, with -, from standard input
    Enrol {
        /// The gateway's listener for agents, https://host:port; once for each replica of the gateway
        #[arg(long, required = true)]
        gateway: Vec<String>,
        /// Fingerprint of the region's agent authority, sha256:…
        #[arg(long)]
        ca_pin: Pin,
        /// A file with the bootstrap token, or - for standard input
        #[arg(long)]
        token_file: PathBuf,
        #[command(flatten)]
        config: Config,
        /// Name of the agent, unless the token gives it
        #[arg(long)]
        name: Option<String>,
        /// This host has an identity that was copied or lost its place: come in again under the same id, with another key
        #[arg(long)]
        again: bool,
    },
    /// Run the agent
    Run {
        #[command(flatten)]
        config: Config,
        /// The guard's program, settings.workloads.guard; the one beside this program by default
        #[arg(long)]
        guard: Option<PathBuf>,
    },
    /// The settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether an agent would start with them
    Check(Config),
    /// Print all settings in force, secrets masked
    Show {
        #[command(flatten)]
        config: Config,
        /// With defaults and overrides; they always are
        #[arg(long)]
        effective: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exarch_common_runtime::run("exarch-agent", run(cli.command))
}

async fn run(command: Commands) -> anyhow::Result<()> {
    match command {
        Commands::Enrol {
            gateway,
            ca_pin,
            token_file,
            config,
            name,
            again,
        } => {
            let settings = config.load()?;
            telemetry::init_logs(&settings.log)?;
            let mut gateways = gateway.into_iter();
            let offer = Offer {
                gateway: gateways.next().context("--gateway")?,
                other_gateways: gateways.collect(),
                pin: ca_pin,
                token: read_token(&token_file)?,
                name,
            };
            let state = State::open(&settings.state.dir)?;
            let identity = match again {
                true => enrol_again(&state, offer).await?,
                false => enrol(&Ambient::system(), &state, offer).await?,
            };
            tracing::info!(agent = %identity.agent, name = %identity.name, "enrolled");
            Ok(())
        }
        Commands::Run { config, guard } => {
            let env = config.env(guard.as_deref())?;
            let settings = settings::load(config.config.as_deref(), &env)?;
            serve(settings, config.config, env).await
        }
        Commands::Config(ConfigCommand::Check(config)) => {
            find_guard(config.load()?.workloads.guard)?;
            say("the settings are good\n")
        }
        Commands::Config(ConfigCommand::Show { config, effective: _ }) => {
            say(&settings::show_effective(&config.load()?)?)
        }
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(stdout().write_all(text.as_bytes())?)
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

async fn serve(settings: Settings, file: Option<PathBuf>, env: Env) -> anyhow::Result<()> {
    telemetry::init_logs(&settings.log)?;
    let life = Lifecycle::new(Notify::from_env(&process_env()));
    let signals = os_signals()?;
    let reloader = Reloader::new(&settings, file, env, |new: &Settings| {
        Ok(TakeOver::new().with(&["log.filter"], telemetry::next_log_filter(&new.log.filter)?))
    })?;
    life.on_reload(move || reloader.reload());
    let guard = find_guard(settings.workloads.guard)?;
    let state = State::open(&settings.state.dir)?;
    let starting = life.clone();
    // A signal must be heard while a person is waited for.
    tokio::spawn(async move {
        if let Err(error) = start(guard, state, settings.region.gateways, &starting).await {
            starting.fail(format!("{error:#}"));
        }
    });
    life.run(signals, Duration::ZERO, settings.stop.grace)
        .await
        .into_result()
}

async fn start(guard: PathBuf, state: State, gateways: Vec<String>, life: &Lifecycle) -> anyhow::Result<()> {
    let ambient = Ambient::system();
    let mut identity = match state.identity() {
        // Until a person has approved it, it runs nothing and polls.
        Err(StateError::NotEnrolled(dir)) => {
            if state.waiting()?.is_some() {
                life.status("waiting for a person of the region to approve this agent");
                life.set_ready();
            }
            let stop = life.stop();
            let approved = tokio::select! {
                approved = approved(&ambient, &state) => approved?,
                () = stop.cancelled() => return Ok(()),
            };
            approved.ok_or(StateError::NotEnrolled(dir))?
        }
        known => known?,
    };
    let mut gateways = gateways.into_iter();
    if let Some(first) = gateways.next() {
        (identity.gateway, identity.other_gateways) = (first, gateways.collect());
    }
    let identity = Arc::new(identity);
    let (session, link) = Session::new(ambient.clone(), state, &identity)?;
    let session = Arc::new(session);
    let keeper = Keeper::new(ambient.clone(), link.clone());
    let pulse = Pulse::default();
    let work = Work {
        ambient,
        identity: identity.clone(),
        state: session.clone(),
        link,
        keeper: keeper.clone(),
        guard,
        fences: Fences::default(),
        pulse: pulse.clone(),
    };
    tracing::info!(agent = %identity.agent, name = %identity.name, region = %identity.region, "agent starts");
    let stop = life.stop();
    life.alive_while("workloads", move || std::future::ready(pulse.is_fresh(TURN)));
    // Session and renewals go on while workloads are being ended, so they stop last, with the process.
    life.track(work.clone().run(stop.clone()));
    let until_exit = tokio_util::sync::CancellationToken::new();
    tokio::spawn(session.keep_open(until_exit.clone()));
    tokio::spawn(keeper.keep_renewing(until_exit.clone()));
    tokio::spawn(work.heartbeat(stop));
    life.status(&format!("agent {} in region {}", identity.agent, identity.region));
    life.set_ready();
    Ok(())
}
