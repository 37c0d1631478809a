//! `exarch-guard`: the fence at a volume.
use clap::{Parser, Subcommand};
use exarch_common_base::{BootTime, RegionId, ResourceId};
use exarch_common_wire::{agent::GrantKey, grant::Action};
use exarch_regional_guard::{Admission, Ended, Pinned, Supervise, admit, exec_workload, init, read, supervise};
use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

/// The grant was refused.
const REFUSED: u8 = 3;
/// The command was ended at the deadline.
const AT_DEADLINE: u8 = 4;

#[derive(Parser)]
#[command(
    version,
    about = "Lets a command act on a volume only under the highest fence that the volume has seen"
)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    /// Prepare a volume: pin its region, resource and the keys that sign grants
    Init {
        /// A directory, or a file such as a disk image
        #[arg(long)]
        volume: PathBuf,
        #[arg(long)]
        region: RegionId,
        #[arg(long)]
        resource: ResourceId,
        /// kid:public, the point on P-256 in base64url; may be given several times
        #[arg(long = "grant-key", required = true, value_parser = grant_key)]
        grant_keys: Vec<GrantKey>,
    },
    /// Check a grant, remember its fence and run a command until the deadline
    Run {
        #[arg(long)]
        volume: PathBuf,
        /// The signed grant
        #[arg(long)]
        grant: PathBuf,
        /// CLOCK_BOOTTIME in nanoseconds; lines `deadline N` on standard input move it on
        #[arg(long = "deadline-boottime")]
        deadline: u64,
        /// Milliseconds between SIGTERM and SIGKILL after the line `stop`
        #[arg(long, default_value_t = 3000)]
        grace_ms: u64,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Show what a volume remembers
    Show {
        #[arg(long)]
        volume: PathBuf,
    },
    #[command(name = exarch_regional_guard::EXEC_COMMAND, hide = true)]
    Exec {
        parent: u32,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn grant_key(text: &str) -> Result<GrantKey, String> {
    let (kid, public) = text.split_once(':').ok_or("expected kid:public")?;
    Ok(GrantKey {
        kid: kid.into(),
        public: public.into(),
    })
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(e) => {
            say(&format!("exarch-guard: {e}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // Nobody may be reading; that is no reason to fail.
    let _ = writeln!(io::stderr(), "{line}");
}

fn run(command: Commands) -> Result<ExitCode, Box<dyn std::error::Error>> {
    match command {
        Commands::Init {
            volume,
            region,
            resource,
            grant_keys,
        } => {
            init(
                &volume,
                Pinned {
                    region,
                    resource,
                    keys: grant_keys,
                },
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Commands::Show { volume } => {
            writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&read(&volume)?)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Commands::Run {
            volume,
            grant,
            deadline,
            grace_ms,
            command,
        } => {
            let token = std::fs::read_to_string(&grant).map_err(|e| format!("{}: {e}", grant.display()))?;
            if let Admission::Refused { refusal, highest } = admit(&volume, token.trim(), Action::Start)? {
                let mut report = serde_json::to_value(&refusal)?;
                report["highest"] = serde_json::to_value(highest)?;
                report["message"] = refusal.to_string().into();
                say(&report.to_string());
                return Ok(ExitCode::from(REFUSED));
            }
            let job = Supervise {
                argv: command,
                deadline: BootTime::from_nanos(deadline),
                grace: Duration::from_millis(grace_ms),
            };
            Ok(match supervise(&std::env::current_exe()?, &job, io::stdin())? {
                Ended::ByItself(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
                Ended::Stopped => ExitCode::SUCCESS,
                Ended::AtDeadline => {
                    say("exarch-guard: the deadline came; the command and its process group were ended");
                    ExitCode::from(AT_DEADLINE)
                }
            })
        }
        Commands::Exec { parent, command } => Err(exec_workload(parent, &command).into()),
    }
}
