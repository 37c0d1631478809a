//! Who this agent is: one directory, with a key that never leaves it.
mod enrol;
mod state;

pub use enrol::{EnrolError, Offer, enrol};
pub(crate) use state::tls_identity;
pub use state::{Identity, State, StateError};
