//! What this replica knows of tenants and people: the passport, applied.
//!
//! Readers take [`Directory::current`] and never wait: the index is built whole and swapped whole. Its age is kept apart,
//! because it is renewed each half minute while the index stays.
mod age;
mod index;
#[cfg(test)]
mod testing;

pub use age::Age;
pub use index::{EntitlementEntry, Index, MembershipEntry, TenantEntry, Unusable, UserEntry};

use arc_swap::{ArcSwapOption, Guard};
use exarch_common_base::Ambient;
use exarch_common_wire::passport::{Tier, TierLimits};
use std::sync::Arc;

/// The directory of one replica.
pub struct Directory {
    ambient: Ambient,
    limits: TierLimits,
    index: ArcSwapOption<Index>,
    age: ArcSwapOption<Age>,
}

impl Directory {
    /// Empty: nobody is known.
    pub fn new(ambient: Ambient, limits: TierLimits) -> Self {
        Self {
            ambient,
            limits,
            index: ArcSwapOption::empty(),
            age: ArcSwapOption::empty(),
        }
    }

    /// The index in force, if there is one. Take it once for each decision: two readings may be two passports.
    pub fn current(&self) -> Guard<Option<Arc<Index>>> {
        self.index.load()
    }

    /// Seconds since the global last stood by the passport.
    pub fn age(&self) -> Option<u64> {
        let age = self.age.load();
        Some(age.as_ref()?.seconds(self.ambient.now(), self.ambient.boot()))
    }

    /// When that was, seconds since 1970.
    pub fn as_of(&self) -> Option<i64> {
        Some(self.age.load().as_ref()?.as_of())
    }

    /// What age leaves of the passport; nothing when there is none.
    pub fn tier(&self) -> Option<Tier> {
        self.index.load().as_ref()?;
        self.age().map(|age| self.limits.tier(age))
    }

    /// The ages at which the tiers end.
    pub fn limits(&self) -> TierLimits {
        self.limits
    }
}
