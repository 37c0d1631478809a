//! The fence at the resource.
//!
//! A lease is a promise of the region; the guard is where the promise is kept. The volume itself remembers the highest
//! fence that ever acted on it, and whoever comes with a lower one is refused, even when the grant is signed and its
//! lease has not run out: somebody else was granted the volume since.
//!
//! The guard judges no expiry. It ends what it started at the holder's deadline, which is counted on CLOCK_BOOTTIME by
//! the agent and moved on by renewals; when nobody moves it on, because the agent died, the deadline comes.
//!
//! What it cannot do: stop an effect that does not pass through it. Two agents that share no volume share no guard.
mod header;
mod supervise;

pub use header::{Admission, Header, HeaderError, Pinned, Refusal, Seen, admit, header_path, init, read};
pub use supervise::{EXEC_COMMAND, Ended, Supervise, SuperviseError, exec_workload, supervise};
