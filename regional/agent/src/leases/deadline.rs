//! When a lease ends for its holder: pure, on CLOCK_BOOTTIME.
use exarch_common_base::{BootTime, Fence};
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

/// What is done with the answer to a request for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It is used.
    Use,
    /// Much of its stretch has passed on the way: it is used if one renewal, asked for at once, gives a whole one.
    Renew,
    /// It speaks of a fence under which this process acts, or had stopped to act before the answer came: nothing is done.
    Ignore,
}

/// What this process knows of a resource when a grant on it arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// The fence under which it acts, and until when.
    pub live: Option<(Fence, BootTime)>,
    /// The fence that it gave back or lost last, and when.
    pub over: Option<(Fence, BootTime)>,
}

impl Known {
    /// Judges an answer that arrived at `now`.
    pub fn judge(&self, fence: Fence, hold: Hold, now: BootTime) -> Grant {
        // Asked for before we gave up that fence: what it says is older than what we did. The same fence asked for
        // afterwards is a new answer: the region had not seen us stop.
        if self
            .over
            .is_some_and(|(over, at)| fence < over || fence == over && hold.asked <= at)
        {
            return Grant::Ignore;
        }
        let late = now.since(hold.asked) > hold.ttl / 6;
        match late {
            true if self.holds(fence, now) => Grant::Ignore,
            true => Grant::Renew,
            false => Grant::Use,
        }
    }

    /// Whether a deadline in the future holds `fence`; then it must not be released for a late answer's sake.
    pub fn holds(&self, fence: Fence, now: BootTime) -> bool {
        self.live
            .is_some_and(|(live, deadline)| live == fence && now < deadline)
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

    const TTL: Duration = Duration::from_secs(30);

    fn second(n: u64) -> BootTime {
        BootTime::from_nanos(n * 1_000_000_000)
    }

    fn fence(generation: u64) -> Fence {
        Fence { epoch: 1, generation }
    }

    #[test]
    fn a_grant_that_was_long_under_way_is_renewed_before_it_is_used() {
        let (known, hold) = (Known::default(), Hold::new(second(100), TTL));
        assert_eq!(known.judge(fence(1), hold, second(105)), Grant::Use);
        assert_eq!(known.judge(fence(1), hold, second(106)), Grant::Renew);
        assert_eq!(
            known.judge(fence(1), hold, second(200)),
            Grant::Renew,
            "after its deadline"
        );
    }

    #[test]
    fn a_late_grant_of_the_fence_under_which_we_act_is_left_alone() {
        let known = Known {
            live: Some((fence(1), second(150))),
            over: None,
        };
        let hold = Hold::new(second(100), TTL);
        assert_eq!(known.judge(fence(1), hold, second(140)), Grant::Ignore);
        assert!(known.holds(fence(1), second(149)) && !known.holds(fence(1), second(150)));
        // a deadline that has passed holds nothing, and another fence is another lease
        assert_eq!(known.judge(fence(1), hold, second(150)), Grant::Renew);
        assert_eq!(known.judge(fence(2), hold, second(140)), Grant::Renew);
    }

    #[test]
    fn an_answer_of_before_a_fence_was_given_back_is_ignored_and_one_of_afterwards_is_not() {
        let known = Known {
            live: None,
            over: Some((fence(2), second(100))),
        };
        let asked = |at| Hold::new(second(at), TTL);
        assert_eq!(known.judge(fence(2), asked(100), second(101)), Grant::Ignore);
        assert_eq!(
            known.judge(fence(1), asked(101), second(102)),
            Grant::Ignore,
            "a lower one is older still"
        );
        assert_eq!(known.judge(fence(2), asked(101), second(102)), Grant::Use);
        assert_eq!(
            known.judge(fence(3), asked(99), second(101)),
            Grant::Use,
            "the next one"
        );
    }

    proptest! {
        /// Whatever arrives whenever: nothing is used of which less than the deadline's margin is left, and no fence that
        /// was given back after it was asked for.
        #[test]
        fn nothing_old_is_used(
            asked in 0u64..100, delay in 0u64..100, generation in 1u64..4, over in proptest::option::of((1u64..4, 0u64..200)),
            live in proptest::option::of((1u64..4, 0u64..200)),
        ) {
            let known = Known {
                live: live.map(|(generation, at)| (fence(generation), second(at))),
                over: over.map(|(generation, at)| (fence(generation), second(at))),
            };
            let (hold, now) = (Hold::new(second(asked), TTL), second(asked + delay));
            match known.judge(fence(generation), hold, now) {
                Grant::Use => {
                    prop_assert!(hold.may_begin(now, Duration::ZERO));
                    prop_assert!(over.is_none_or(|(given, at)| given < generation || given == generation && at < asked));
                }
                Grant::Renew => prop_assert!(!known.holds(fence(generation), now)),
                Grant::Ignore => prop_assert!(over.is_some() || known.holds(fence(generation), now)),
            }
        }

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
