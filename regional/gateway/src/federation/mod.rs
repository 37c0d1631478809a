//! The way to the global: this replica's two connections, and what goes over them.
use arc_swap::ArcSwapOption;
use exarch_common_http::tunnel::H2Client;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::sync::{Notify, watch};

/// The way to the global, as the rest of the gateway sees it.
pub struct Federation {
    up: ArcSwapOption<H2Client>,
    /// Tickets of those who asked for a poll …
    wanted: AtomicU64,
    nudge: Notify,
    /// … the highest ticket that the last poll covers, and whether it reached the global.
    polled: watch::Sender<(u64, bool)>,
}

impl Default for Federation {
    fn default() -> Self {
        Self {
            up: ArcSwapOption::empty(),
            wanted: AtomicU64::new(0),
            nudge: Notify::new(),
            polled: watch::Sender::new((0, false)),
        }
    }
}

impl Federation {
    /// Polls the passport now and waits until that is done, at most `limit`; says whether the global was reached. What came
    /// is in the directory then.
    pub async fn fetch(&self, limit: Duration) -> bool {
        if self.up.load().is_none() {
            return false;
        }
        let mut polled = self.polled.subscribe();
        let ticket = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        self.nudge.notify_one();
        match tokio::time::timeout(limit, polled.wait_for(|(covered, _)| *covered >= ticket)).await {
            Ok(Ok(done)) => done.1,
            Ok(Err(_)) | Err(_) => false,
        }
    }
}
