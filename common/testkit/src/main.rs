//! `exarch-box`: a federation in a box, for `./dev`.
use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use exarch_common_base::{Ambient, BootTime};
use exarch_common_crypto::totp::{self, Secret};
use exarch_common_testkit::federation::{Account, FederationFile, Layout, down, tell, up};
use std::{
    io::{Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

#[derive(Parser)]
#[command(
    name = "exarch-box",
    version,
    about = "A federation in a box: a global controller, two regions, four agents"
)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    /// Bring everything up, and stop it again at Ctrl-C
    Up {
        #[command(flatten)]
        place: Place,
        /// Return when all is ready, and leave it running
        #[arg(long)]
        detach: bool,
        /// Processes of the global and of each gateway; as many as there were by default
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=5))]
        replicas: Option<u16>,
    },
    /// Stop exactly what was started
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// Use a running box as its users would, and say what happens
    Story {
        #[command(flatten)]
        place: Place,
    },
    /// Say what runs and where
    Status {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct Place {
    /// Everything of the box lies in it
    #[arg(long)]
    dir: PathBuf,
    /// The global's public port; the others follow from it
    #[arg(long, default_value_t = 8440)]
    port_base: u16,
    /// Where the binaries are; beside this one by default
    #[arg(long)]
    bin: Option<PathBuf>,
}

impl Place {
    fn layout(&self) -> anyhow::Result<Layout> {
        if !(1024..=60_000).contains(&self.port_base) {
            bail!("--port-base {} is outside 1024..60000", self.port_base);
        }
        let beside = || std::env::current_exe().map(|exe| exe.with_file_name(""));
        let bin = self.bin.clone().map_or_else(beside, Ok)?;
        for name in [
            "exarch-global",
            "exarch-gateway",
            "exarch-agent",
            "exarch-guard",
            "exarch",
        ] {
            if !bin.join(name).is_file() {
                bail!(
                    "{} is missing; build first: cargo build --workspace --bins",
                    bin.join(name).display()
                );
            }
        }
        let layout = Layout::new(
            &std::path::absolute(&self.dir)?,
            &std::path::absolute(bin)?,
            self.port_base,
        );
        let file = FederationFile::read(&layout.federation_file())?;
        Ok(layout.with_replicas(file.map_or(1, |file| file.replicas())))
    }
}

fn main() -> ExitCode {
    exarch_common_runtime::run("exarch-box", run(Cli::parse().command))
}

/// Progress goes to standard error with the seconds since the start.
fn clocked(ambient: &Ambient, start: BootTime) -> impl Fn(&str) + Sync {
    let ambient = ambient.clone();
    move |line: &str| {
        let _ = writeln!(stderr(), "{:7.1} s  {line}", ambient.boot().since(start).as_secs_f64());
    }
}

async fn run(command: Commands) -> anyhow::Result<()> {
    let ambient = Ambient::system();
    let say = clocked(&ambient, ambient.boot());
    match command {
        Commands::Up {
            place,
            detach,
            replicas,
        } => {
            let layout = place.layout()?;
            let had = layout.replicas;
            let layout = layout.with_replicas(replicas.unwrap_or(had));
            if layout.replicas < had {
                bail!("this box has {had} replicas, and none is taken away; start over with --fresh");
            }
            let file = up(&ambient, &layout, &say).await?;
            overview(&ambient, &layout, &file)?;
            if !detach {
                say("running; Ctrl-C stops everything");
                tokio::signal::ctrl_c().await?;
                down(&layout, &say).await?;
            }
            Ok(())
        }
        Commands::Down { place } => down(&place.layout()?, &say).await,
        Commands::Story { place } => tell(&ambient, &place.layout()?).await,
        Commands::Status { place } => {
            let layout = place.layout()?;
            match FederationFile::read(&layout.federation_file())? {
                Some(file) => overview(&ambient, &layout, &file),
                None => bail!("nothing was ever started in {}", layout.dir.display()),
            }
        }
    }
}

fn overview(ambient: &Ambient, layout: &Layout, file: &FederationFile) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "\n  Global dashboard   {}", file.global.url)?;
    for region in &file.regions {
        writeln!(
            out,
            "  {:<18} {}   agents {}",
            region.slug, region.console_url, region.agents_url
        )?;
    }
    for (name, replicas) in [("global", &file.global.replicas)]
        .into_iter()
        .chain(
            file.regions
                .iter()
                .map(|region| (region.slug.as_str(), &region.replicas)),
        )
        .filter(|(_, replicas)| replicas.len() > 1)
    {
        for (n, replica) in replicas.iter().enumerate() {
            writeln!(
                out,
                "  {:<18} {}   inner {}   ops {}   process {}",
                format!("{name} #{}", n + 1),
                replica.url,
                replica.inner_url,
                replica.ops_url,
                replica.pid
            )?;
        }
    }
    writeln!(out, "\n  {:<24} {:<46} works in", "account", "password")?;
    for Account {
        email,
        password,
        tenant,
        regions,
        ..
    } in &file.accounts
    {
        let place = match tenant {
            Some(tenant) => format!("{tenant}: {}", regions.join(", ")),
            None => "the federation, as its owner".to_owned(),
        };
        writeln!(out, "  {email:<24} {password:<46} {place}")?;
    }
    for Account { email, totp_secret, .. } in &file.accounts {
        if let Some(text) = totp_secret {
            let secret = Secret::from_base32(text).context("totp_secret in federation.json")?;
            let code = secret.code(totp::step(ambient.now().unix_timestamp()));
            writeln!(
                out,
                "\n  {email} also gives a code: {code} for some seconds from now; ./dev status says the next,\n  \
                 and so does an authenticator app that is given the secret {text}"
            )?;
        }
    }
    writeln!(out, "\n  For other tools    {}", layout.federation_file().display())?;
    writeln!(out, "  Logs               {}\n", layout.logs().display())?;
    Ok(())
}
