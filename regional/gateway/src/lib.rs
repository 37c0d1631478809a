//! The gateway of one region: it owns the region's clusters, hosts, agents, leases and audit, and governs by the passport
//! that the global signed, also when the global is silent.
//!
//! Rooms are capabilities. A room adds its routes in [`router`], its state in [`app::Parts`] and its background work in
//! [`app::App::background`], one line each.
pub mod agents;
pub mod app;
pub mod audit;
pub mod bindings;
pub mod clusters;
pub mod continuity;
mod decisions;
pub mod doctor;
pub mod federation;
pub mod gate;
pub mod hosts;
pub mod instances;
pub mod leases;
pub mod paging;
pub mod repeats;
pub mod resources;
pub mod router;
pub mod sessions;
pub mod settings;
pub mod start;
pub mod usage;
pub mod workloads;

pub use exarch_regional_state::{directory, secrets};

#[cfg(test)]
mod fake_global;
#[cfg(test)]
mod testing;
