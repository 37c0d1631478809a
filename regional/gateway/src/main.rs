//! The process `exarch-gateway`.
use anyhow::Context;
use clap::{Parser, Subcommand};
use exarch_common_base::{Ambient, SecretString};
use exarch_common_crypto::pki::Pin;
use exarch_common_pg::{Migrations, OwnerPool};
use exarch_common_runtime::{
    Lifecycle, Notify, os_signals,
    settings::{self, SecretFile},
    telemetry,
};
use exarch_regional_gateway::{
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

/// For load balancers to see that readiness is red.
const DRAIN: Duration = Duration::from_millis(500);
const GRACE: Duration = Duration::from_secs(10);

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
        Some(Command::Serve(config)) => serve(config.load()?).await,
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
            let steps = Migrations::regional().status(&owner(&config.load()?).await?).await?;
            let lines = steps
                .iter()
                .map(|step| format!("{:04} {:40} {:?}\n", step.version, step.description, step.state));
            say(&lines.collect::<String>())
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

async fn serve(settings: Settings) -> anyhow::Result<()> {
    telemetry::init_logs(&settings.log.filter, settings.log.format)?;
    let life = Lifecycle::new(Notify::from_env(&settings::process_env()));
    let signals = os_signals()?;
    let prepared = start::prepare(Ambient::system(), settings, &life).await?;
    let starting = life.clone();
    // A signal must be heard while the start waits for the database.
    tokio::spawn(async move {
        if let Err(error) = start::start(prepared, &starting).await
            && !starting.stop().is_cancelled()
        {
            starting.fail(format!("the gateway did not start: {error:#}"));
        }
    });
    life.run(signals, DRAIN, GRACE).await.into_result()
}

async fn join(settings: &Settings, joining: Joining) -> anyhow::Result<()> {
    telemetry::init_logs(&settings.log.filter, settings.log.format)?;
    let pools = start::pools(settings)?;
    Migrations::regional().refuse_newer_schema(&pools.app).await?;
    let region = federation::join(&Ambient::system(), &pools.app, &start::sealer(settings)?, &joining).await?;
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
    Ok(OwnerPool::connect(settings.database.pool(file)?).await?)
}
