//! Clusters: what a tenant's hosts, agents, resources and workloads in this region are grouped by, and the smallest scope of a
//! role. To whoever holds a role in one cluster alone, the others do not exist.
mod cluster;
mod create;
mod get;
mod list;
mod routes;
mod store;

pub use cluster::Cluster;
pub use routes::routes;

#[cfg(test)]
mod tests;
