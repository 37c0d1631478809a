//! The command line of `exarch-global`.
use crate::{
    app::{App, Pools},
    doctor,
    keys::{self, Keys, Made},
    mail::Outbound,
    router, serve,
    settings::Settings,
    setup,
    users::Email,
};
use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, CommandFactory, Parser, Subcommand};
use exarch_common_authz::{Role, Scope, UnknownRole};
use exarch_common_base::{Ambient, ExposeSecret, SecretSlice, SecretString};
use exarch_common_crypto::{password::Hasher, seal::Sealer};
use exarch_common_http::openapi_json;
use exarch_common_pg::{AppPool, Migrations, OwnerPool, SweepPool};
use exarch_common_runtime::{
    doctor::{Part, Telling, report},
    settings,
};
use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

/// The global controller: signs people in, knows who may enter which region, and registers the regions.
#[derive(Debug, Parser)]
#[command(name = "exarch-global", version)]
pub struct Command {
    /// Print the description of the API (OpenAPI 3.1) and end.
    #[arg(long)]
    openapi: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve until SIGTERM.
    Serve(Config),
    /// Make the keys of the installation and its first owner, once.
    Setup {
        #[command(flatten)]
        config: Config,
        /// Address of the first owner; without it only the keys are made.
        #[arg(long, requires = "password_stdin")]
        email: Option<Email>,
        /// Read the owner's password from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make somebody one of the provider's people; what takes two, as an emergency access, needs a second one.
    AddStaff {
        #[command(flatten)]
        config: Config,
        /// Address of the person.
        #[arg(long)]
        email: Email,
        /// The role over the federation: system-admin or provider-operator.
        #[arg(long, value_parser = over_the_federation)]
        role: Role,
        /// Make an account, whose password is read from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Take away the second factor of somebody who has lost the app and the recovery codes; all their sessions end.
    ResetSecondFactor {
        #[command(flatten)]
        config: Config,
        /// Address of the person.
        #[arg(long)]
        email: Email,
    },
    /// The database's schema.
    #[command(subcommand)]
    Migrate(Migrate),
    /// The settings.
    #[command(subcommand)]
    Config(ConfigAction),
    /// Look at everything that a controller needs, and say what is wrong, why, and what to do.
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

#[derive(Debug, Subcommand)]
enum Migrate {
    /// Apply what is pending.
    Up(Config),
    /// Show what is applied and what is pending.
    Status(Config),
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Check the settings and end.
    Check(Config),
    /// Show the settings in force, secrets masked.
    Show {
        #[command(flatten)]
        config: Config,
        /// With defaults and environment; this is always so.
        #[arg(long)]
        effective: bool,
    },
}

#[derive(Debug, Args)]
struct Config {
    /// The settings file, TOML.
    #[arg(long = "config", value_name = "FILE", env = "EXARCH_CONFIG")]
    file: PathBuf,
}

impl Config {
    fn load(&self) -> anyhow::Result<Settings> {
        Ok(settings::load(Some(&self.file), &settings::process_env())?)
    }
}

/// Runs what the command line asks for.
pub async fn run(command: Command) -> anyhow::Result<()> {
    if command.openapi {
        return say(&openapi_json(&router::openapi())?);
    }
    match command.action {
        None => {
            say(&Command::command().render_help().to_string())?;
            bail!("say what to do");
        }
        Some(Action::Serve(config)) => serve::run(Ambient::system(), config.load()?, config.file).await,
        Some(Action::Setup {
            config,
            email,
            password_stdin: _,
        }) => set_up(config.load()?, email).await,
        Some(Action::AddStaff {
            config,
            email,
            role,
            password_stdin,
        }) => {
            let password = password_stdin.then(password_from_stdin).transpose()?;
            let app = opened(config.load()?).await?;
            let user = setup::add_staff(&app, email, role, password).await?;
            say(&format!("{user} is {role}\n"))
        }
        Some(Action::ResetSecondFactor { config, email }) => {
            let app = opened(config.load()?).await?;
            let user = setup::reset_second_factor(&app, &email).await?;
            say(&format!("{user} has no second factor any more\n"))
        }
        Some(Action::Migrate(Migrate::Up(config))) => {
            let done = Migrations::global().up(&owner_pool(&config.load()?).await?).await?;
            say(&format!("{done} migrations applied\n"))
        }
        Some(Action::Migrate(Migrate::Status(config))) => status(&config.load()?).await,
        Some(Action::Doctor { config, output, only }) => {
            let loaded = settings::load(Some(&config.file), &settings::process_env());
            let (told, healthy) = report(&doctor::examine(&Ambient::system(), loaded, only).await, output)?;
            say(&told)?;
            anyhow::ensure!(healthy, "something is not well");
            Ok(())
        }
        Some(Action::Config(ConfigAction::Check(config))) => {
            Secrets::read(&config.load()?)?;
            say("the settings are good\n")
        }
        Some(Action::Config(ConfigAction::Show { config, effective: _ })) => {
            say(&settings::show_effective(&config.load()?)?)
        }
    }
}

fn over_the_federation(name: &str) -> Result<Role, String> {
    let role: Role = name.parse().map_err(|e: UnknownRole| e.to_string())?;
    match role.scope() {
        Scope::System => Ok(role),
        other => Err(format!("{role} is a role of {other} scope")),
    }
}

/// Standard output is for what was asked for; everything else goes to the log.
fn say(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("standard output does not take it")
}

async fn set_up(settings: Settings, email: Option<Email>) -> anyhow::Result<()> {
    let password = email.is_some().then(password_from_stdin).transpose()?;
    let app = opened(settings).await?;
    if let (Some(email), Some(password)) = (email, password) {
        let owner = setup::first_owner(&app, email, password).await?;
        say(&format!("{owner} is the first owner\n"))?;
    }
    Ok(())
}

/// The controller without its listeners, for what is done on the server itself; its keys are made where they are missing.
async fn opened(settings: Settings) -> anyhow::Result<App> {
    let ambient = Ambient::system();
    let secrets = Secrets::read(&settings)?;
    let pools = pools(&settings)?;
    Migrations::global().refuse_newer_schema(&pools.app).await?;
    match keys::make_missing(&ambient, &pools.app, &secrets.sealer).await? {
        Made::All => say("the keys of the installation were made\n")?,
        Made::Nothing => say("the keys of the installation are there\n")?,
    }
    let keys = Keys::load(&ambient, &pools.app, &secrets.sealer, &settings.public.url).await?;
    Ok(App::new(
        ambient,
        settings,
        pools,
        secrets.sealer,
        keys,
        secrets.hasher,
        secrets.outbound,
    ))
}

/// The first line of standard input.
fn password_from_stdin() -> anyhow::Result<SecretString> {
    let mut text = String::new();
    io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .context("no password on standard input")?;
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    if line.is_empty() {
        bail!("no password on standard input");
    }
    Ok(line.to_owned().into())
}

async fn status(settings: &Settings) -> anyhow::Result<()> {
    let pool = AppPool::lazy(settings.database.direct(&settings.database.app_url_file)?);
    let steps = Migrations::global().status(&pool).await?;
    say(&steps.iter().map(|step| format!("{step}\n")).collect::<String>())
}

async fn owner_pool(settings: &Settings) -> anyhow::Result<OwnerPool> {
    let file = settings.database.owner_url_file.as_ref();
    let file = file.context("migrating needs settings.database.owner_url_file")?;
    Ok(OwnerPool::connect(settings.database.direct(file)?).await?)
}

/// The pools of a server; nothing is connected yet.
pub(crate) fn pools(settings: &Settings) -> anyhow::Result<Pools> {
    let database = &settings.database;
    Ok(Pools {
        listen: database.direct(&database.app_url_file)?,
        app: AppPool::lazy(database.pool(&database.app_url_file)?),
        sweep: SweepPool::lazy(database.pool(&database.sweep_url_file)?),
    })
}

/// What is read from the files with secrets.
pub(crate) struct Secrets {
    pub sealer: Sealer,
    pub hasher: Hasher,
    pub outbound: Outbound,
}

impl Secrets {
    pub(crate) fn read(settings: &Settings) -> anyhow::Result<Self> {
        let master: SecretSlice<u8> = {
            let text = settings.keys.master_file.read()?;
            let bytes = STANDARD.decode(text.expose_secret().trim());
            bytes.ok().context("settings.keys.master_file holds no base64")?.into()
        };
        let pepper = settings.keys.pepper_file.read()?;
        Ok(Self {
            sealer: Sealer::new(&master).context("settings.keys.master_file")?,
            outbound: Outbound::new(&settings.mail)?,
            hasher: Hasher::new(pepper.expose_secret().as_bytes().to_vec().into()),
        })
    }
}
