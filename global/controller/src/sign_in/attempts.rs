//! Failed sign-ins of one address: ten within ten minutes lock it, for ten minutes the first time, twice as long each further
//! time. The address counts whether or not somebody has it.
use time::{Duration, OffsetDateTime};

const FAILURES: usize = 10;
const WITHIN: Duration = Duration::minutes(10);
const FIRST_LOCK: Duration = Duration::minutes(10);
const LONGEST_LOCK: Duration = Duration::hours(24);
/// After so long without a failure the next lock is a first one again.
const FORGIVEN: Duration = Duration::hours(24);

/// What is remembered of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// The failures that count, oldest first.
    pub failures: Vec<OffsetDateTime>,
    /// Until when nobody signs in with it.
    pub locked_until: Option<OffsetDateTime>,
    /// How often in a row it was locked.
    pub locks: u32,
}

impl Attempts {
    /// Whether a sign-in is refused whatever the password.
    pub fn is_locked(&self, now: OffsetDateTime) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// After a failure; true when it locked the address. Tries during a lock neither count nor prolong it.
    #[must_use]
    pub fn failed(mut self, now: OffsetDateTime) -> (Self, bool) {
        if self.is_locked(now) {
            return (self, false);
        }
        let last = self.failures.last().copied().max(self.locked_until);
        if last.is_some_and(|last| last + FORGIVEN <= now) {
            self.locks = 0;
        }
        self.failures.retain(|at| *at + WITHIN > now);
        self.failures.push(now);
        if self.failures.len() < FAILURES {
            return (self, false);
        }
        let lock = FIRST_LOCK * 2i32.saturating_pow(self.locks.min(16));
        let locked = Self {
            failures: Vec::new(),
            locked_until: Some(now + lock.min(LONGEST_LOCK)),
            locks: self.locks + 1,
        };
        (locked, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const T0: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

    fn fail(mut attempts: Attempts, times: usize, now: OffsetDateTime) -> (Attempts, usize) {
        let mut locks = 0;
        for _ in 0..times {
            let (next, locked) = attempts.failed(now);
            attempts = next;
            locks += usize::from(locked);
        }
        (attempts, locks)
    }

    #[test]
    fn the_tenth_failure_within_ten_minutes_locks_for_ten() {
        let (nine, locks) = fail(Attempts::default(), 9, T0);
        assert!(locks == 0 && !nine.is_locked(T0));
        let (ten, locked) = nine.clone().failed(T0 + WITHIN - Duration::SECOND);
        assert!(locked);
        let end = T0 + WITHIN - Duration::SECOND + FIRST_LOCK;
        assert!(ten.is_locked(end - Duration::SECOND) && !ten.is_locked(end));
        assert!(!nine.failed(T0 + WITHIN).1, "the first nine are too old");
    }

    #[test]
    fn further_locks_are_longer_until_a_day_has_passed() {
        let (once, _) = fail(Attempts::default(), 10, T0);
        let later = T0 + FIRST_LOCK;
        let (twice, locks) = fail(once.clone(), 10, later);
        assert_eq!((locks, twice.locked_until), (1, Some(later + FIRST_LOCK * 2)));
        let next_day = later + FORGIVEN;
        let (again, _) = fail(once, 10, next_day);
        assert_eq!(again.locked_until, Some(next_day + FIRST_LOCK));
    }

    #[test]
    fn tries_during_a_lock_do_not_prolong_it() {
        let (locked, _) = fail(Attempts::default(), 10, T0);
        assert_eq!(fail(locked.clone(), 100, T0 + Duration::MINUTE), (locked, 0));
    }

    proptest! {
        #[test]
        fn a_lock_ends_and_nobody_has_more_than_ten_tries_in_ten_minutes(
            gaps in proptest::collection::vec(0i64..700, 1..120),
        ) {
            let (mut attempts, mut now, mut counted) = (Attempts::default(), T0, Vec::new());
            for seconds in gaps {
                now += Duration::seconds(seconds);
                if !attempts.is_locked(now) {
                    counted.push(now);
                }
                attempts = attempts.failed(now).0;
                let recent = counted.iter().filter(|at| **at + WITHIN > now).count();
                prop_assert!(recent <= FAILURES, "{} tries", recent);
                prop_assert!(!attempts.is_locked(now + LONGEST_LOCK));
            }
        }
    }
}
