//! Workloads: what should run in a cluster, each only under a lease on its resource, and the agents it is assigned to.
//!
//! People say on which agents a workload should run, wait or stop; agents fetch what concerns them and report what became of
//! it. An assignment starts nothing by itself: whichever of its agents holds the lease runs it, so a workload that is
//! assigned twice still runs once. Each change raises the version of the agent's assignments in its own transaction, and a
//! notification wakes the agent's long poll; a notification that is lost is made good within a quarter of a second.
mod assignments;
mod create;
mod delete;
mod get;
mod list;
mod routes;
mod start;
mod status;
mod stop;
mod store;
mod update;
mod waiters;
mod workload;

pub use routes::{agent_routes, routes};
pub use waiters::{CHANNEL, Waiters};
pub use workload::{Assigned, Desired, Workload};

#[cfg(test)]
mod tests;
