//! What a process is made of besides its work: settings, start and stop, schedules, logs and metrics.
pub mod doctor;
mod lifecycle;
mod limits;
mod main_fn;
mod notify;
mod reload;
mod schedule;
pub mod settings;
pub mod telemetry;

pub use lifecycle::{Ended, Lifecycle, Pulse, Signal, os_signals};
pub use limits::raise_open_files;
pub use main_fn::run;
pub use notify::Notify;
pub use reload::{Reloaded, Reloader, TakeOver};
pub use schedule::{Nudge, Reconcile, Schedule, run_reconciler};
