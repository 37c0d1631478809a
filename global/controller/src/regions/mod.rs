//! The registry of regions: who may join, where each stands in its life, and how it is shown.
//!
//! A region is registered by staff, who receive a join token once. Its gateway comes with it (see `federation`), applies
//! its first passport, answers its first good probe, and is in service. A slug is never used again: rows are never deleted.
pub mod join_token;
mod region;

pub use region::{LifeCycle, NoSuchStep, Region, UnknownLifeCycle};
