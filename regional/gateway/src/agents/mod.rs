//! Agents: the hand of the region on one host. An agent dials out, never listens, and proves two factors on every call.
mod caller;

pub use caller::AgentCaller;

use exarch_common_http::Problem;
<<<<<<< Updated upstream
=======
use exarch_common_runtime::Lifecycle;

/// What one gateway keeps in memory.
#[derive(Default)]
pub struct Agents {
    memory: sessions::Memory,
    limits: limits::Limits,
}

impl Agents {
    /// Starts to watch for what other replicas take from agents, until the process stops.
    pub fn background(app: &App, life: &Lifecycle) {
        let (app, stop) = (app.clone(), life.stop());
        life.spawn("watch-agents", async move {
            watch::keep(app, stop).await;
            Ok(())
        });
    }

    /// Everything was taken from `agent` a moment ago: here it ends at once.
    fn put_out(&self, app: &App, agent: AgentId) {
        self.memory.forget(agent);
        self.close(app, agent);
    }

    /// Ends the open connections of `agent`; says how many.
    fn close(&self, app: &App, agent: AgentId) -> usize {
        app.agent_connections.close_where(|peer| {
            peer.certificate()
                .and_then(|certificate| sessions::agent_of(app, certificate))
                == Some(agent)
        })
    }
}
>>>>>>> Stashed changes

/// The one 401 of agents: it never tells which factor was wrong.
pub fn unauthenticated() -> Problem {
    Problem::unauthorized("unauthenticated")
        .detail("Present the agent's certificate and the token of its present session; open a session for a new one.")
}
