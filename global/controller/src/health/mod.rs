//! Health: every region is probed each 30 seconds, and what the last probes came to is one word.
//!
//! A probe is a challenge; only an answer that carries it in a service token counts. Probes spread over the period, run
//! side by side and never twice at a time for one region; of several replicas the one that claims a region's row for a
//! round probes it. A region that nobody holds a tunnel of misses the round.
pub mod judge;
pub mod machine;
