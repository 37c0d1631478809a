//! Leases as their holder sees them.
//!
//! The end of a lease is counted here, from the moment *before* the request was sent, so it lies before the end that the
//! region waits for, whatever happened on the way. A verdict other than `renewed` means stop now; silence means go on
//! until the deadline.
mod deadline;
mod keeper;

pub use deadline::Hold;
pub use keeper::{Acquired, Event, Keeper, LeaseError};
