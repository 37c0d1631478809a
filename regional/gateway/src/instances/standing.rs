//! Whether a replica may serve: pure.
//!
//! Others wait for this replica while its row is warm, and no longer. So what it has read counts as the region's truth only
//! if its row was warm before the reading and has been ever since: then whatever was acknowledged meanwhile was either seen
//! by that reading, or waited for this replica.
use super::ALIVE;
use exarch_common_base::BootTime;

/// What a replica knows of its row and of its last reading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// The last heartbeat that was written: the moment before it was sent.
    beat: Option<BootTime>,
    /// Since when the row is warm without a gap: the moment at which the first heartbeat was answered.
    warm_since: Option<BootTime>,
    /// The last good reading: the moment before it was asked for.
    read: Option<BootTime>,
}

impl Standing {
    /// A heartbeat was written, some time between the two moments.
    pub(super) fn beaten(&mut self, sent: BootTime, answered: BootTime) {
        if self.beat.is_none_or(|last| answered.since(last) > ALIVE) {
            self.warm_since = Some(answered);
        }
        self.beat = self.beat.max(Some(sent));
    }

    /// The database was read, later than `asked`.
    pub(super) fn read(&mut self, asked: BootTime) {
        self.read = self.read.max(Some(asked));
    }

    /// Until when it may serve; nothing when it may not.
    pub(super) fn good_until(&self) -> Option<BootTime> {
        let read = self.read.filter(|read| Some(*read) >= self.warm_since)?;
        Some(read.min(self.beat?) + ALIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(ms: u64) -> BootTime {
        BootTime::from_nanos(0) + Duration::from_millis(ms)
    }

    #[test]
    fn it_serves_after_a_heartbeat_and_a_reading_and_for_three_seconds() {
        let mut standing = Standing::default();
        standing.read(at(0));
        assert_eq!(standing.good_until(), None, "nobody waits for it yet");
        standing.beaten(at(100), at(150));
        assert_eq!(standing.good_until(), None, "what it read may be outdated by now");
        standing.read(at(150));
        assert_eq!(standing.good_until(), Some(at(3100)));
        standing.beaten(at(1100), at(1110));
        assert_eq!(standing.good_until(), Some(at(3150)));
    }

    #[test]
    fn after_a_gap_it_reads_again_before_it_serves() {
        let mut standing = Standing::default();
        standing.beaten(at(0), at(10));
        standing.read(at(10));
        standing.read(at(3000));
        standing.beaten(at(2990), at(3001));
        assert_eq!(standing.good_until(), None, "its row may have been cold for a moment");
        standing.read(at(3001));
        assert_eq!(standing.good_until(), Some(at(5990)));
    }

    /// One step of the replica: a heartbeat or a reading, how long before it and how long until its answer, in milliseconds.
    type Step = (bool, u64, u64, u64);

    proptest! {
        /// Another replica applies passports, and acknowledges as soon as this one's row is cold or says that it has them. This
        /// one never serves by an older passport than was acknowledged.
        #[test]
        fn what_was_acknowledged_is_served_by_nobody_older(
            steps in proptest::collection::vec((any::<bool>(), 0..2500u64, 0..1500u64, 0..1500u64), 1..40),
            applied in proptest::collection::vec(0..40_000u64, 1..6),
        ) {
            // Passport n is in the database from `applied[n - 1]` on.
            let mut applied = applied;
            applied.sort_unstable();
            let newest = |ms: u64| applied.iter().filter(|at| **at <= ms).count();
            let (mut standing, mut has, mut now) = (Standing::default(), 0, 0);
            // Each heartbeat as the database has it: when, and what it says.
            let mut rows: Vec<(u64, usize)> = Vec::new();
            // What the replica serves by: from when, until when at most, and which passport.
            let mut serves: Vec<(u64, u64, usize)> = Vec::new();
            for (beat, pause, there, back) in steps.into_iter() as std::vec::IntoIter<Step> {
                let sent = now + pause;
                let (held, answered) = (sent + there, sent + there + back);
                if beat {
                    rows.push((held, has));
                    standing.beaten(at(sent), at(answered));
                } else {
                    has = newest(held);
                    standing.read(at(sent));
                }
                now = answered;
                if let Some(until) = standing.good_until() {
                    let until = until.nanos() / 1_000_000;
                    serves.push((now, until, has));
                }
            }
            // When a passport is acknowledged: the first moment after it is there at which no warm row lacks it.
            let acknowledged = |n: usize| {
                let mut moment = applied[n - 1];
                loop {
                    let row = rows.iter().rfind(|(held, _)| *held <= moment);
                    match row {
                        Some((held, says)) if *says < n && moment <= held + 3000 => {
                            let next = rows.iter().find(|(later, _)| *later > moment).map(|(later, _)| *later);
                            moment = next.unwrap_or(u64::MAX).min(held + 3001);
                        }
                        _ => return moment,
                    }
                }
            };
            for n in 1..=applied.len() {
                let since = acknowledged(n);
                for (place, (from, until, by)) in serves.iter().enumerate() {
                    // It serves by this until the next step ends, or its time does.
                    let end = serves.get(place + 1).map_or(*until, |(next, _, _)| (*until).min(next.saturating_sub(1)));
                    let moment = (*from).max(since);
                    prop_assert!(moment > end || *by >= n, "passport {n} acknowledged at {since}, served by {by} at {moment}");
                }
            }
        }
    }
}
