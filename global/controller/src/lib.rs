//! The global controller: signs people in, knows who may enter which region, and registers the regions.
pub mod health;
pub mod regions;
