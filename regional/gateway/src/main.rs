//! The process `exarch-gateway`.
use anyhow::Context;
use clap::{Parser, Subcommand};
use exarch_common_base::{Ambient, SecretString};
use exarch_common_crypto::pki::Pin;
use exarch_common_pg::{AppPool, Migrations, OwnerPool};
use exarch_common_runtime::{
    Lifecycle, Notify,
    doctor::{Part, Telling, report},
    os_signals, raise_open_files,
    settings::{self, SecretFile},
    telemetry,
};
use exarch_regional_gateway::{
    doctor,
    federation::{self, Joining},
    router,
    settings::Settings,
    start,
};
use std::{
    io::{Read, Write, stdin, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// At the end of the grace listeners cut off what is left, which takes a moment.
const CUT: Duration = Duration::from_secs(1);

/// What is done once, by hand, waits longer for a busy database than a request may.
const PATIENCE: Duration = Duration::from_secs(20);

/// The gateway of one region.
#[derive(Parser)]
#[command(name = "exarch-gateway", version, arg_required_else_help = true)]
struct Args {
    /// Print the description of the API (OpenAPI 3.1) and end.
    #[arg(long)]
    openapi: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the region.
    Serve(Config),
    /// Join a federation, once; further replicas share the database and do not join.
    Join {
        #[command(flatten)]
        config: Config,
        /// The global's federation listener, as https://host:8441.
        #[arg(long)]
        global: String,
        /// Fingerprint of the federation's authority, as sha256:….
        #[arg(long)]
        ca_pin: Pin,
        /// File with the join token; - for standard input.
        #[arg(long)]
        token_file: PathBuf,
    },
    /// The schema of the region's database.
    #[command(subcommand)]
    Migrate(Migrate),
    /// The settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at everything that a gateway needs, and say what is wrong, why, and what to do.
    Doctor {
        #[command(flatten)]
        config: Config,
        /// How to tell: text or json.
        #[arg(short, long, default_value = "text")]
        output: Telling,
        /// The one thing to look at: rls, for each table, view, function and policy that breaks a rule. Everything by default.
        only: Option<Part>,
    },
}

#[derive(Subcommand)]
enum Migrate {
    /// Apply what is pending.
    Up(Config),
    /// Show which steps are applied.
    Status(Config),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether a gateway would start with them.
    Check(Config),
    /// Print all settings in force, secrets masked.
    Show {
        #[command(flatten)]
        config: Config,
        /// With defaults and overrides; they always are.
        #[arg(long)]
        effective: bool,
    },
}

#[derive(clap::Args)]
struct Config {
    /// The settings file.
    #[arg(long, value_name = "FILE", env = "EXARCH_CONFIG")]
    config: PathBuf,
}

impl Config {
    fn load(&self) -> anyhow::Result<Settings> {
        Ok(settings::load(Some(&self.config), &settings::process_env())?)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    exarch_common_runtime::run("exarch-gateway", run(args))
}

async fn run(args: Args) -> anyhow::Result<()> {
    if args.openapi {
        return say(&exarch_common_http::openapi_json(&router::openapi())?);
    }
    match args.command {
        None => Ok(()),
        Some(Command::Serve(config)) => serve(config.load()?, config.config).await,
        Some(Command::Join {
            config,
            global,
            ca_pin,
            token_file,
        }) => {
            let settings = config.load()?;
            let token = token(&token_file)?;
            join(
                &settings,
                Joining {
                    global,
                    pin: ca_pin,
                    token,
                },
            )
            .await
        }
        Some(Command::Migrate(Migrate::Up(config))) => {
            let applied = Migrations::regional().up(&owner(&config.load()?).await?).await?;
            say(&format!("{applied} migrations applied\n"))
        }
        Some(Command::Migrate(Migrate::Status(config))) => {
            let settings = config.load()?;
            let pool = AppPool::lazy(settings.database.direct(&settings.database.app_url_file)?);
            let steps = Migrations::regional().status(&pool).await?;
            say(&steps.iter().map(|step| format!("{step}\n")).collect::<String>())
        }
        Some(Command::Doctor { config, output, only }) => {
            let loaded = settings::load(Some(&config.config), &settings::process_env());
            let (told, healthy) = report(&doctor::examine(&Ambient::system(), loaded, only).await, output)?;
            say(&told)?;
            anyhow::ensure!(healthy, "something is not well");
            Ok(())
        }
        Some(Command::Config(ConfigCommand::Check(config))) => {
            let settings = config.load()?;
            start::sealer(&settings)?;
            start::pools(&settings)?;
            say("the settings are good\n")
        }
        Some(Command::Config(ConfigCommand::Show { config, effective: _ })) => {
            say(&settings::show_effective(&config.load()?)?)
        }
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(stdout().write_all(text.as_bytes())?)
}

async fn serve(settings: Settings, file: PathBuf) -> anyhow::Result<()> {
    telemetry::init_logs(&settings.log)?;
    raise_open_files();
    let life = Lifecycle::new(Notify::from_env(&settings::process_env()));
    let signals = os_signals()?;
    let stop = settings.stop.clone();
    let prepared = start::prepare(Ambient::system(), settings, file, &life).await?;
    let starting = life.clone();
    // A signal must be heard while the start waits for the database.
    tokio::spawn(async move {
        if let Err(error) = start::start(prepared, &starting).await
            && !starting.stop().is_cancelled()
        {
            starting.fail(format!("the gateway did not start: {error:#}"));
        }
    });
    life.run(signals, stop.drain, stop.grace + CUT).await.into_result()
}

async fn join(settings: &Settings, joining: Joining) -> anyhow::Result<()> {
    telemetry::init_logs(&settings.log)?;
    let mut once = settings.database.direct(&settings.database.app_url_file)?;
    once.acquire_timeout = PATIENCE;
    let pool = AppPool::lazy(once);
    Migrations::regional().refuse_newer_schema(&pool).await?;
    let region = federation::join(&Ambient::system(), &pool, &start::sealer(settings)?, &joining).await?;
    say(&format!(
        "joined as region {} ({}); start the gateway with: exarch-gateway serve\n",
        region.slug, region.id
    ))
}

/// The first line of standard input, or a file that nobody else can read. Never the command line.
fn token(file: &Path) -> anyhow::Result<SecretString> {
    if file != Path::new("-") {
        return SecretFile::new(file).read().context("--token-file");
    }
    let mut text = String::new();
    stdin()
        .take(4096)
        .read_to_string(&mut text)
        .context("the token could not be read from standard input")?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "no token came on standard input");
    Ok(token.to_owned().into())
}

async fn owner(settings: &Settings) -> anyhow::Result<OwnerPool> {
    let file = settings
        .database
        .owner_url_file
        .as_ref()
        .context("migrations need settings.database.owner_url_file")?;
    Ok(OwnerPool::connect(settings.database.direct(file)?).await?)
}
