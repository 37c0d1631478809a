//! Agents: the hand of the region on one host. An agent dials out, never listens, and proves two factors on every call.
//!
//! What the room promises: nobody becomes an agent without a token that a person made, and (unless that person said so) a
//! person's approval; an identity that turns up in two places ends in both; what is taken from an agent is gone on all
//! replicas within a second.
//!
//! Who may call in: people ([`routes`]), agents with a certificate ([`agent_routes`]) and without one ([`enrol_routes`]); the
//! gate, by [`sessions::authenticate`]. What leaves: an [`AgentCaller`], and what the passport leaves to it ([`standing`]).
mod agent;
mod caller;
mod enrol;
mod heartbeat;
mod limits;
mod people;
mod re_enrol;
mod rename;
mod renew;
mod routes;
pub mod sessions;
mod shown;
mod standing;
mod store;
mod token;
mod tokens;
mod watch;
mod wire;

pub use caller::AgentCaller;
pub use routes::{agent_routes, enrol_routes, routes};
pub use standing::{Standing, standing};
pub use tokens::{TokensOf, revoke_tokens};
pub use wire::Wire;

use crate::app::App;
use exarch_common_base::{AgentId, Ambient};
use exarch_common_http::Problem;
use exarch_common_runtime::Lifecycle;

/// What one gateway keeps in memory.
pub struct Agents {
    memory: sessions::Memory,
    limits: limits::Limits,
}

impl Agents {
    /// Nothing is known and nobody has come yet.
    pub fn new(ambient: &Ambient) -> Self {
        Self {
            memory: sessions::Memory::default(),
            limits: limits::Limits::new(ambient),
        }
    }

    /// Starts to watch for what other replicas take from agents, until the process stops.
    pub fn background(app: &App, life: &Lifecycle) {
        let (app, stop) = (app.clone(), life.stop());
        life.spawn("watch-agents", async move {
            watch::keep(app, stop).await;
            Ok(())
        });
    }

    /// Everything was taken from `agent`, or from all of its keys but `key`: here it ends at once, with the open connections.
    /// Says how many there were.
    fn put_out(&self, app: &App, agent: AgentId, key: Option<&[u8]>) -> usize {
        self.memory.forget(agent);
        app.agent_connections.close_where(|peer| {
            peer.certificate().is_some_and(|certificate| {
                sessions::agent_of(app, certificate) == Some(agent) && key != Some(&certificate.public_key)
            })
        })
    }
}

/// The one 401 of agents: it never tells which factor was wrong.
pub fn unauthenticated() -> Problem {
    Problem::unauthorized("unauthenticated")
        .detail("Present the agent's certificate and the token of its present session; open a session for a new one.")
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
