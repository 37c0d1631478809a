//! `exarch-bench`: how fast a running box is, each figure beside its baseline in the same run.
//!
//! The load and the baseline are processes of their own, so that neither shares a runtime with what is measured.
//! Figures of one run compare; figures of two machines do not. Medians of interleaved rounds, and the spread.
mod bare;
mod load;
mod measure;
mod starts;

use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(
    name = "exarch-bench",
    version,
    about = "Measures a running box against baselines in the same run"
)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

/// What is measured, and how long.
#[derive(Args)]
struct Options {
    #[arg(long)]
    federation: PathBuf,
    /// Where the servers' programs are
    #[arg(long)]
    bin: PathBuf,
    /// Rounds; the measured and its baseline take turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load in each
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How long the box took to come up from nothing
    #[arg(long)]
    up_seconds: Option<f64>,
    /// How long the box took to come up again
    #[arg(long)]
    again_seconds: Option<f64>,
    /// Where RESULTS.md and results.json go
    #[arg(long)]
    out: PathBuf,
}

#[derive(Subcommand)]
enum Commands {
    /// Measure the box that a federation.json describes
    Run(Options),
    /// The baseline: axum and sqlx reading one row, with no token and no row-level security
    #[command(hide = true)]
    Bare,
    /// Requests over kept connections, from standard input: url, bearer (or empty), connections, seconds
    #[command(hide = true)]
    Load,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exarch_common_runtime::run("exarch-bench", async move {
        match cli.command {
            Commands::Run(options) => measure::run(&options).await,
            Commands::Bare => bare::serve().await,
            Commands::Load => load::run().await,
        }
    })
}
