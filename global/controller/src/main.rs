//! `exarch-global`.
use clap::Parser;
use exarch_global_controller::command::{self, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    exarch_common_runtime::run("exarch-global", command::run(Command::parse()))
}
