//! HTTP as every listener of the project speaks it: problems, strict reading, the table of routes, the standard layers,
//! the accept loop, the tunnel's parts, clients.
//!
//! A request walks: [`serve`] (socket, TLS, protocol) → [`layers::standard`] → the [`Gate`] of its route → extractors
//! ([`Path`], [`Query`], [`List`], [`Json`]) → the handler, which answers with [`Json`] or a [`Problem`].
//!
//! This crate knows who may call a route only as a [`RouteKind`]; authenticating and deciding are the gate's.
mod answers;
#[cfg(feature = "pg")]
mod api;
pub mod client;
pub mod conditions;
pub mod explained;
mod in_force;
mod json;
pub mod layers;
pub mod ops;
mod page;
mod params;
pub mod patch;
#[cfg(test)]
mod pki_for_tests;
mod problem;
mod refusal;
#[cfg(feature = "pg")]
pub mod repeats;
pub mod serve;
pub mod sse;
mod text;
pub mod tunnel;
#[cfg(feature = "pg")]
pub mod watch;

pub use answers::{Created, Versioned};
#[cfg(feature = "pg")]
pub use api::{Api, Gate, PeerBody, RouteEntry, RouteKind, openapi_json};
pub use in_force::{InForce, TENANT};
pub use json::{Json, MAX_BODY, MAX_DEPTH, OptionalJson, parse, parse_value, read_body};
pub use layers::RequestContext;
pub use page::{Page, PageQuery, Paging};
pub use params::{List, Path, Query, pairs, typed};
pub use problem::{FieldError, PROBLEM_JSON, Problem, ProblemDocument};
pub use text::Text;
