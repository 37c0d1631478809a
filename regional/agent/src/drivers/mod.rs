//! How a workload runs. Each driver starts it under the guard of its volume, and of what it started nothing is left when
//! it says that it ended.
mod process;

pub use process::{Ended, Process, StartError, find_guard};
