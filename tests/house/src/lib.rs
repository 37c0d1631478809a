//! The rules of the house, as tests.
//!
//! Each rule is a function from sources, manifests or the dependency graph to the violations it finds; its unit tests show
//! it a planted violation. `tests/house.rs` applies all of them to this repository.
pub mod code;
pub mod graph;
pub mod imports;
pub mod manifests;
pub mod openapi;
mod repository;
mod tokens;
pub mod words;

pub use repository::{File, Repository};

/// What breaks a rule: where, and what to do about it.
pub type Violation = String;
