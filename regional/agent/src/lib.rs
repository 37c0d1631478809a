//! The hand of a region on one host.
//!
//! The agent dials out and never listens. It holds two factors, a client certificate and a session token bound to it,
//! and both must be good on every call. What it does to a resource it does under a lease at the moment of acting, and it
//! counts the lease's end itself, on CLOCK_BOOTTIME from before it asked, so that no delay on the way and no step of a
//! wall clock makes a lease longer than the region thinks it is.
//!
//! Rooms: [`identity`] (who we are, enrolment), [`session`] (the second factor), [`leases`] (deadlines, renewal),
//! [`workloads`] (what should run here), [`drivers`] (how it runs).
pub mod drivers;
pub mod identity;
pub mod leases;
pub mod session;
pub mod settings;
pub mod workloads;

/// This version of the software.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
