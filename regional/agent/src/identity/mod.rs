//! Who this agent is: one directory, with a key that never leaves it.
mod certificate;
mod enrol;
mod state;

pub use certificate::{Certificate, CertificateError};
pub use enrol::{EnrolError, Offer, approved, enrol, enrol_again};
pub use state::{Identity, State, StateError, Waiting};
