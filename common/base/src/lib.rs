//! What every process needs and nothing else: ids, clocks, entropy, fences, slugs, pages, back-off, what a
//! doctor finds, what waits.
//!
//! This crate performs no network or disk I/O and names no asynchronous runtime. Time and randomness enter the rest of
//! the project only through [`Ambient`], so that a test can hold both still.
mod ambient;
pub mod backoff;
mod clock;
mod fence;
mod finding;
mod ids;
pub mod page;
mod slug;
mod waiting;

pub use ambient::{Ambient, Entropy, SeededEntropy};
pub use clock::{BootTime, Clock, ManualClock, SystemClock};
pub use fence::{Fence, FenceError};
pub use finding::{Finding, Outcome};
pub use ids::*;
pub use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};
pub use slug::{Slug, SlugError};
pub use waiting::{Lost, Waiting};
