//! Asks for leases, renews all that are held in one batch, and tells each holder what became of its own.
use super::deadline::{Grant, Hold, Known};
use crate::session::Link;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, BootTime, Fence, LeaseId, ResourceId, backoff::jitter};
use exarch_common_http::client::ClientError;
use exarch_common_wire::agent::{Granted, Held, HeldBatch, RequestLease, Verdict, Verdicts};
use exarch_common_wire::grant::Action;
use reqwest::Method;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Good for this stretch.
    Good(Hold),
    /// Stop now; the region's word.
    Stop(Verdict),
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The gateway is away, or said no: another holds it, for example.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// The answer came when the lease was over already, or had been given back. No lease is left behind by it.
    #[error("the grant came too late to be used")]
    Late,
}

/// A lease that was granted to this process.
#[derive(Debug)]
pub struct Acquired {
    /// What it is on.
    pub resource: ResourceId,
    /// Its id.
    pub lease: LeaseId,
    /// Its fence.
    pub fence: Fence,
    /// The signed grant, for the guard.
    pub grant: String,
    /// What becomes of it.
    pub events: watch::Receiver<Event>,
}

struct Kept {
    held: Held,
    hold: Hold,
    events: watch::Sender<Event>,
}

/// All leases of this process.
#[derive(Clone)]
pub struct Keeper {
    ambient: Ambient,
    link: Link,
    kept: Arc<Mutex<HashMap<ResourceId, Kept>>>,
    /// The last fence that was given back or lost, and when.
    over: Arc<Mutex<HashMap<ResourceId, (Fence, BootTime)>>>,
    changed: Arc<Notify>,
}

impl Keeper {
    /// Without any lease.
    pub fn new(ambient: Ambient, link: Link) -> Self {
        Self {
            ambient,
            link,
            kept: Arc::default(),
            over: Arc::default(),
            changed: Arc::default(),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<ResourceId, Kept>> {
        // A holder of this lock only moves plain values.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) -> std::sync::MutexGuard<'_, HashMap<ResourceId, (Fence, BootTime)>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a lease and waits up to `wait` while another holds it.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub async fn acquire(
        &self,
        resource: ResourceId,
        actions: Vec<Action>,
        wait: Duration,
    ) -> Result<Acquired, LeaseError> {
        let nonce = B64.encode(self.ambient.bytes::<16>());
        let client = self.link.client().await;
        let body = RequestLease {
            resource,
            actions,
            nonce,
            wait_ms: wait.as_millis() as u64,
        };
        let asked = self.ambient.boot();
        let request = client.request(Method::POST, "/agent/v1/leases").json(&body);
        let granted: Granted = client.send(request.timeout(wait + Duration::from_secs(10))).await?;
        let hold = Hold::new(asked, Duration::from_millis(granted.ttl_ms));
        let held = Held {
            lease: granted.lease,
            resource,
            fence: granted.fence,
        };
        // The stretch counts from before a request that may have waited long: little of it may be left.
        match self.known(resource).judge(held.fence, hold, self.ambient.boot()) {
            Grant::Use => Ok(self.keep(held, granted.grant, hold)),
            Grant::Renew => self.renew_at_once(held, granted, hold.ttl()).await,
            Grant::Ignore => Err(LeaseError::Late),
        }
    }

    fn known(&self, resource: ResourceId) -> Known {
        let live = self
            .kept()
            .get(&resource)
            .map(|kept| (kept.held.fence, kept.hold.deadline()));
        let over = self.over().get(&resource).copied();
        Known { live, over }
    }

    /// One renewal right after a grant that was long under way gives a whole stretch.
    async fn renew_at_once(&self, held: Held, granted: Granted, ttl: Duration) -> Result<Acquired, LeaseError> {
        let asked = self.ambient.boot();
        let hold = Hold::new(asked, ttl);
        match self.call("/agent/v1/leases/renew", vec![held.clone()], ttl / 3).await {
            Ok(verdicts) if verdicts == [Verdict::Renewed] && hold.may_begin(self.ambient.boot(), Duration::ZERO) => {
                Ok(self.keep(held, granted.grant, hold))
            }
            _ => {
                // Another answer may have brought the same fence while we asked.
                if !self.known(held.resource).holds(held.fence, self.ambient.boot()) {
                    self.end(held.resource, held.fence);
                    let _ = self.call("/agent/v1/leases/release", vec![held], ttl / 3).await;
                }
                Err(LeaseError::Late)
            }
        }
    }

    fn keep(&self, held: Held, grant: String, hold: Hold) -> Acquired {
        let (events, receiver) = watch::channel(Event::Good(hold));
        let acquired = Acquired {
            resource: held.resource,
            lease: held.lease,
            fence: held.fence,
            grant,
            events: receiver,
        };
        self.kept().insert(held.resource, Kept { held, hold, events });
        self.changed.notify_one();
        acquired
    }

    /// From now on what was asked for before is no answer for this fence any more.
    fn end(&self, resource: ResourceId, fence: Fence) {
        self.over().insert(resource, (fence, self.ambient.boot()));
    }

    /// Gives a lease back. Everything done under it must be over.
    pub async fn release(&self, resource: ResourceId) {
        let Some(kept) = self.forget(resource) else {
            return;
        };
        if let Err(e) = self
            .call("/agent/v1/leases/release", vec![kept], Duration::from_secs(5))
            .await
        {
            // The region frees it by itself, a TTL later.
            tracing::warn!(%resource, error = %e, "the lease could not be released");
        }
    }

    /// Forgets a lease that is over.
    pub fn forget(&self, resource: ResourceId) -> Option<Held> {
        let kept = self.kept().remove(&resource)?;
        self.end(resource, kept.held.fence);
        Some(kept.held)
    }

    async fn call(&self, path: &str, leases: Vec<Held>, timeout: Duration) -> Result<Vec<Verdict>, ClientError> {
        let client = self.link.client().await;
        let request = client
            .request(Method::POST, path)
            .json(&HeldBatch { leases })
            .timeout(timeout);
        let answer: Result<Verdicts, ClientError> = client.send(request).await;
        let answer = answer.inspect_err(|e| self.link.heed(&client, e))?;
        Ok(answer.verdicts)
    }

    /// Renews what is held, each third of the shortest TTL, until told to stop.
    pub async fn keep_renewing(self, stop: CancellationToken) {
        loop {
            let shortest = self.kept().values().map(|k| k.hold.ttl()).min();
            let Some(ttl) = shortest else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.changed.notified() => continue,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(jitter(&self.ambient, ttl * 28 / 100, ttl / 3)) => {}
            }
            // Another gateway is asked at once: who waits for the next turn may be late.
            if !self.renew(ttl).await && self.link.client().await.has_others() {
                self.renew(ttl).await;
            }
        }
    }

    /// Says whether the gateway answered.
    async fn renew(&self, ttl: Duration) -> bool {
        let mut answered = true;
        let batch: Vec<Held> = self.kept().values().map(|k| k.held.clone()).collect();
        for chunk in batch.chunks(256) {
            let asked = self.ambient.boot();
            match self.call("/agent/v1/leases/renew", chunk.to_vec(), ttl / 3).await {
                Ok(verdicts) if verdicts.len() == chunk.len() => self.judge(asked, chunk, &verdicts),
                Ok(_) => tracing::warn!("the gateway answered a renewal for another number of leases"),
                // Silence and errors decide nothing: the deadline does.
                Err(e) => {
                    tracing::warn!(error = %e, "leases could not be renewed");
                    answered = false;
                }
            }
        }
        answered
    }

    fn judge(&self, asked: BootTime, batch: &[Held], verdicts: &[Verdict]) {
        let now = self.ambient.boot();
        let mut kept = self.kept();
        for (held, verdict) in batch.iter().zip(verdicts) {
            let Some(entry) = kept.get_mut(&held.resource).filter(|k| k.held == *held) else {
                continue;
            };
            match verdict {
                // An answer after the deadline is ignored: what ran under the lease is dead.
                Verdict::Renewed if now >= entry.hold.deadline() => {}
                Verdict::Renewed => {
                    entry.hold = entry.hold.later(Hold::new(asked, entry.hold.ttl()));
                    entry.events.send_replace(Event::Good(entry.hold));
                }
                other => {
                    entry.events.send_replace(Event::Stop(*other));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
