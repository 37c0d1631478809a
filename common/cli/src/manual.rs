//! `exarch completion` and `exarch man`: what shells and `man` know of this command, made from its table of commands.
use crate::{Cli, Failure, context::Context};
use clap::CommandFactory;
use std::{fs, path::Path};

/// The script for `shell`, on standard output.
pub fn completion(cx: &Context, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "exarch", &mut script);
    cx.out.print(String::from_utf8_lossy(&script).trim_end())
}

/// `exarch.1`, `exarch-cluster.1`, `exarch-cluster-list.1` and so on, into `directory`, which is made where it is missing.
pub fn pages(directory: &Path) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::Failed(format!("{}: {e}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed)
}
