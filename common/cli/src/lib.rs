//! `exarch`, the command line for people of the federation: users, regional operators, provider staff.
//!
//! A command is a noun and a verb; [`args`] is the table of nouns, each noun's own file holds its verbs. What a command
//! does with the world goes through four things: the profile on disk ([`profile`]), the tokens in it ([`session`]), calls
//! ([`api`]) and what is printed ([`output`], [`tables`]). Data goes to standard output and everything else to standard
//! error; secrets come by standard input, file or prompt, never by argument or environment; answers are read leniently, so
//! that a newer server does not break an older command.
mod api;
mod args;
mod context;
mod events;
mod failure;
mod keyring;
mod listing;
mod live;
mod names;
mod output;
mod profile;
mod progress;
mod session;
mod tables;
mod terminal;
mod times;

mod agent;
mod api_key;
mod apply;
mod audit;
mod binding;
mod bootstrap;
mod break_glass;
mod by_key;
mod cluster;
mod continuity;
mod device;
mod entitlement;
mod host;
mod invitation;
mod lease;
mod login;
mod logout;
mod manual;
mod membership;
mod provider_access;
mod region;
mod resource;
mod role;
mod sessions;
mod tenant;
mod user;
mod version;
mod whoami;
mod why;
mod workload;

pub use args::{Cli, Command, Flags, Format};
pub use failure::{Exit, Failure, tell};

use context::Context;

/// Runs one command for the person at this machine.
///
/// # Errors
/// What stood in the way; [`Failure::exit`] is its exit code.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let context = Context::new(cli.flags, exarch_common_base::Ambient::system())?;
    match cli.command.run(&context).await {
        // `exarch … | head` has read enough.
        Err(Failure::Output(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
