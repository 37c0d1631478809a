//! Those who wait on this gateway for a resource, one line for each resource: first come, first served.
use exarch_common_base::ResourceId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};
use tokio::sync::watch;

/// The lines of one gateway.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<ResourceId, Weak<Line>>>);

/// The line for one resource. The lock is fair: whoever has it is the first of the line, and alone tries.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) first: tokio::sync::Mutex<()>,
    freed: watch::Sender<()>,
}

impl Waiting {
    /// The line for `resource`, for as long as one keeps it.
    pub(super) fn line(&self, resource: ResourceId) -> Arc<Line> {
        let mut lines = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        lines.retain(|_, line| line.strong_count() > 0);
        if let Some(line) = lines.get(&resource).and_then(Weak::upgrade) {
            return line;
        }
        let line = Arc::new(Line {
            first: tokio::sync::Mutex::default(),
            freed: watch::Sender::new(()),
        });
        lines.insert(resource, Arc::downgrade(&line));
        line
    }

    /// Wakes the first of each line whose resource is free.
    pub(super) fn wake(&self, free: impl Fn(ResourceId) -> bool) {
        let lines = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (resource, line) in lines.iter() {
            if let Some(line) = line.upgrade()
                && free(*resource)
            {
                line.freed.send_replace(());
            }
        }
    }
}

impl Line {
    /// What is woken from now on.
    pub(super) fn freed(&self) -> watch::Receiver<()> {
        self.freed.subscribe()
    }
}
