//! When a lease ends for its holder: pure, on CLOCK_BOOTTIME.
use exarch_common_base::BootTime;
use std::time::Duration;

/// One stretch of a lease: from a grant or a renewal to the deadline. 0.99 and 250 ms are protocol: the region counts
/// TTL × 1.01 + 300 ms from later on, so the two never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    asked: BootTime,
    ttl: Duration,
}

impl Hold {
    /// A stretch of `ttl`, asked for at `asked`, read before the request was sent.
    pub const fn new(asked: BootTime, ttl: Duration) -> Self {
        Self { asked, ttl }
    }

    /// Everything done under the lease is dead by then.
    pub fn deadline(&self) -> BootTime {
        (self.asked + self.ttl * 99 / 100).saturating_sub(Duration::from_millis(250))
    }

    /// No new step begins within this time before the deadline.
    pub fn margin(&self) -> Duration {
        Duration::from_secs(5).min(self.ttl / 6)
    }

    /// Whether a step that takes `worst` at most may begin at `now`.
    pub fn may_begin(&self, now: BootTime, worst: Duration) -> bool {
        now + worst < self.deadline().saturating_sub(self.margin())
    }

    /// How long the lease lasts.
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The later of two stretches: an answer that came out of order shortens nothing.
    pub fn later(self, other: Self) -> Self {
        if other.deadline() > self.deadline() {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_deadline_of_thirty_seconds_is_29_45_seconds_after_asking() {
        let hold = Hold::new(BootTime::from_nanos(0), Duration::from_secs(30));
        assert_eq!(hold.deadline().nanos(), 29_450_000_000);
        assert_eq!(hold.margin(), Duration::from_secs(5));
        assert!(hold.may_begin(BootTime::from_nanos(23_000_000_000), Duration::from_secs(1)));
        assert!(!hold.may_begin(BootTime::from_nanos(24_000_000_000), Duration::from_secs(1)));
    }

    proptest! {
        /// The region frees a resource after it has seen a row unchanged for TTL × 1.01 + 300 ms, and it first sees the
        /// row after the request was sent.
        #[test]
        fn the_holder_is_done_before_the_region_frees(asked in 0u64..1 << 60, ttl_ms in 5000u64..=300_000, seen in 0u64..1 << 40) {
            let (asked, ttl) = (BootTime::from_nanos(asked), Duration::from_millis(ttl_ms));
            let freed = asked + Duration::from_nanos(seen) + ttl * 101 / 100 + Duration::from_millis(300);
            prop_assert!(Hold::new(asked, ttl).deadline() < freed);
        }

        #[test]
        fn nothing_begins_that_could_outlast_the_deadline(now in 0u64..40_000_000_000, worst_ms in 0u64..40_000, ttl_ms in 5000u64..30_000) {
            let hold = Hold::new(BootTime::from_nanos(0), Duration::from_millis(ttl_ms));
            let (now, worst) = (BootTime::from_nanos(now), Duration::from_millis(worst_ms));
            if hold.may_begin(now, worst) {
                prop_assert!(now + worst < hold.deadline());
            }
        }
    }
}
