//! What should run on this host: the gateway says it, each workload is one task, and each task acts only under a lease.
mod runner;
mod tasks;

use crate::{
    identity::{Identity, State},
    leases::Keeper,
    session::Link,
};
use exarch_common_base::{Ambient, Fence, ResourceId, backoff::Backoff};
use exarch_common_http::client::ClientError;
use exarch_common_runtime::Pulse;
use exarch_common_wire::agent::{AssignmentStatus, Assignments, Heartbeat};
use reqwest::Method;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tasks::Tasks;
use tokio_util::sync::CancellationToken;

const LONG_POLL: Duration = Duration::from_secs(25);
/// Longer than this, with the pause after a failure, no turn takes unless something hangs.
pub const TURN: Duration = Duration::from_secs(90);
const HEARTBEAT: Duration = Duration::from_secs(30);

/// What every workload's task needs.
#[derive(Clone)]
pub struct Work {
    /// Clocks and randomness.
    pub ambient: Ambient,
    /// Who we are.
    pub identity: Arc<Identity>,
    /// Where grants are kept.
    pub state: Arc<crate::session::Session>,
    /// The gateway.
    pub link: Link,
    /// Our leases.
    pub keeper: Keeper,
    /// The guard's program.
    pub guard: PathBuf,
    /// The highest fences that guards on this host have told, for heartbeats.
    pub fences: Fences,
    /// That it still asks what should run here.
    pub pulse: Pulse,
}

/// The highest fence seen for each resource.
#[derive(Clone, Default)]
pub struct Fences(Arc<Mutex<BTreeMap<ResourceId, Fence>>>);

impl Fences {
    /// Remembers a fence, if it is higher than the one before.
    pub fn saw(&self, resource: ResourceId, fence: Fence) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let highest = seen.entry(resource).or_default();
        *highest = fence.max(*highest);
    }

    fn all(&self) -> Vec<(ResourceId, Fence)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(r, f)| (*r, *f))
            .collect()
    }
}

impl Work {
    fn state(&self) -> &State {
        self.state.state()
    }

    /// Tells the gateway; a report that is lost is made good by the next one.
    async fn report(&self, status: &AssignmentStatus) {
        tracing::info!(workload = %status.workload, state = ?status.state, detail = %status.detail, "workload");
        let client = self.link.client().await;
        if let Err(e) = client
            .post::<Option<serde_json::Value>>("/agent/v1/assignments/status", status)
            .await
        {
            tracing::warn!(error = %e, "the state of a workload could not be reported");
        }
    }

    async fn poll(&self, after: u64) -> Result<Assignments, ClientError> {
        let client = self.link.client().await;
        let path = format!("/agent/v1/assignments?after={after}&wait_ms={}", LONG_POLL.as_millis());
        let request = client.request(Method::GET, &path);
        let polled = client.send(request.timeout(LONG_POLL + Duration::from_secs(10))).await;
        polled.inspect_err(|e| self.link.heed(&client, e))
    }

    /// Converges on what should run here, until told to stop; then everything is ended and its leases released.
    pub async fn run(self, stop: CancellationToken) {
        let mut tasks = Tasks::default();
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
        // 0 is before every version: the first poll answers at once.
        let mut after = 0;
        loop {
            self.pulse.beat();
            let polled = tokio::select! {
                () = stop.cancelled() => break,
                polled = self.poll(after) => polled,
            };
            match polled {
                Ok(assignments) => {
                    backoff.reset();
                    after = assignments.version;
                    tasks.converge(assignments.items, &stop, |assignment, cancel| {
                        runner::run(self.clone(), assignment, cancel)
                    });
                }
                Err(e) => {
                    tracing::warn!(error = %e, "the gateway does not say what should run here");
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(backoff.next(&self.ambient)) => {}
                    }
                }
            }
        }
        tasks.ended().await;
    }

    /// Tells the gateway each half minute that this host lives, and the highest fences seen on it.
    pub async fn heartbeat(self, stop: CancellationToken) {
        loop {
            let body = Heartbeat {
                software: crate::VERSION.to_owned(),
                fences: self.fences.all(),
                clock_ms: (self.ambient.now().unix_timestamp_nanos() / 1_000_000) as i64,
            };
            let client = self.link.client().await;
            if let Err(e) = client
                .post::<Option<serde_json::Value>>("/agent/v1/heartbeat", &body)
                .await
            {
                tracing::warn!(error = %e, "no heartbeat");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
        }
    }
}
