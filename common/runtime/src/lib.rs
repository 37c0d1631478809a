//! What a process is made of besides its work: settings, start and stop, schedules, logs and metrics.
mod lifecycle;
mod main_fn;
mod notify;
mod schedule;
pub mod settings;
pub mod telemetry;

pub use lifecycle::{Ended, Lifecycle, Signal, os_signals};
pub use main_fn::run;
pub use notify::Notify;
pub use schedule::{Nudge, Reconcile, Schedule, run_reconciler};
