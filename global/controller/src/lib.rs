//! The global controller: signs people in, knows who may enter which region, and registers the regions.
//!
//! A request walks: the layers of `common/http`, the [`gate`] (who is it, may they), the room's endpoint, its use case with a
//! permit, its store. Rooms call each other's use cases, never each other's stores.
pub mod api_keys;
pub mod app;
pub mod audit;
pub mod break_glass;
pub mod command;
pub mod decisions;
pub mod device;
pub mod doctor;
pub mod entitlements;
pub mod exchange;
pub mod federation;
pub mod gate;
pub mod health;
pub mod instances;
pub mod invitations;
pub mod keys;
pub mod mail;
pub mod me;
pub mod memberships;
pub mod passports;
pub mod regions;
pub mod roles;
pub mod router;
pub mod second_factor;
pub mod serve;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod sign_in;
pub mod tenants;
pub mod users;
pub mod web;

#[cfg(test)]
mod tests;

pub use app::App;

/// How far apart clocks may be.
pub const SKEW: time::Duration = time::Duration::seconds(30);
