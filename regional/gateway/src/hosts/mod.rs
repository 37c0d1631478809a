//! Hosts: the machines of a cluster, each with one agent on it.
mod create;
mod get;
mod host;
mod list;
mod routes;
mod store;

pub use host::Host;
pub use routes::routes;

#[cfg(test)]
mod tests;
