//! What a region holds so that it can govern alone: its own keys ([`secrets`]), and what the global told it of tenants and
//! people ([`directory`]). Both lie in the region's database, are shared by its replicas, and are read from memory.
//!
//! Here is no route and no connection: the gateway brings what it received, and asks.
pub mod directory;
pub mod secrets;
mod store;

pub use store::spend;
