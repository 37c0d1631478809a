//! A directory that holds what a test says.
use super::{Age, Directory, Index, disk::Disk};
use exarch_common_base::{Ambient, RegionId};
use exarch_common_pg::AppPool;
use exarch_common_wire::passport::TierLimits;
use std::sync::Arc;

impl Directory {
    /// One that knows nobody and has no disk.
    pub fn without_disk(ambient: Ambient, region: RegionId, pool: AppPool) -> Self {
        let disk = Disk::new("/nowhere");
        Self::empty(ambient, TierLimits::default(), region, pool, disk, String::new())
    }

    /// Takes `index` as if it had come in a passport signed this moment.
    pub fn put(&self, index: Index) {
        let now = self.ambient.now();
        let age = Age::start(now.unix_timestamp(), now, self.ambient.boot());
        self.age.store(Some(Arc::new(age)));
        self.index.store(Some(Arc::new(index)));
    }
}
