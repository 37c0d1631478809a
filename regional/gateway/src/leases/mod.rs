//! Activation leases: a short, exclusive permission for one process of one agent to act on one resource.
pub mod lease;
pub mod observe;
