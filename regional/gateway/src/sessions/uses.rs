//! On which day a key was used last: noted in memory, told to the global with acknowledgements. A process that ends before that
//! forgets it.
use exarch_common_base::KeyId;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
};
use time::OffsetDateTime;

/// Seconds of a day.
const DAY: i64 = 24 * 3600;

/// What the global was not told yet: days since 1970.
#[derive(Default)]
pub struct KeyUses(Mutex<BTreeMap<KeyId, i64>>);

/// The day on which something was noted last.
#[derive(Debug, Default)]
pub(super) struct Noted(AtomicI64);

impl KeyUses {
    /// Notes a use; once a day where nothing changes.
    pub(super) fn note(&self, noted: &Noted, key: KeyId, now: OffsetDateTime) {
        let today = now.unix_timestamp().div_euclid(DAY);
        if noted.0.swap(today, Ordering::Relaxed) != today {
            self.waiting().insert(key, today);
        }
    }

    /// What is to be told.
    pub fn untold(&self) -> BTreeMap<KeyId, i64> {
        self.waiting().clone()
    }

    /// The global knows this now.
    pub fn told(&self, uses: &BTreeMap<KeyId, i64>) {
        self.waiting().retain(|key, day| uses.get(key) != Some(day));
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<KeyId, i64>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
