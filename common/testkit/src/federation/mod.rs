//! A federation in a box: one global controller, two regions, each with its own Postgres, two agents in each.
//!
//! `./dev up` runs it for people, the end-to-end tests for themselves; both drive the real binaries, and only through
//! what their users have: settings files, command lines and the public API.
mod authority;
mod demo;
mod file;
mod layout;
mod process;
mod story;
mod up;

pub use file::{Account, AgentEntry, Database, FederationFile, GlobalEntry, RegionEntry, ReplicaEntry};
pub use layout::{Layout, Place};
pub use process::{Daemon, DaemonError};
pub use story::tell;
pub use up::{Progress, database, down, up};
