//! Agents: the hand of the region on one host. An agent dials out, never listens, and proves two factors on every call.
mod caller;

pub use caller::AgentCaller;

use exarch_common_http::Problem;

/// The one 401 of agents: it never tells which factor was wrong.
pub fn unauthenticated() -> Problem {
    Problem::unauthorized("unauthenticated")
        .detail("Present the agent's certificate and the token of its present session; open a session for a new one.")
}
