//! What this gateway has seen with its own eyes, and since when on its own CLOCK_BOOTTIME.
//!
//! A holder acts until t0 + 0.99 TTL − 250 ms, where t0 is before it sent the request whose commit made a version. Whoever
//! sees that version afterwards, and sees nothing else for TTL × 1.01 + 300 ms, knows that the holder is done: no wall clock
//! and no clock of another machine enters. A restarted gateway has seen nothing yet and starts anew.
use exarch_common_base::{BootTime, Fence, ResourceId};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// What changes with every grant and every renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The fence of the lease.
    pub fence: Fence,
    /// Its count of grants and renewals.
    pub seq: u64,
    /// How long each of them lasts.
    pub ttl: Duration,
}

impl Version {
    /// How long it must stay unchanged before the resource is free. 1.01 and 300 ms are protocol, not settings: drift of
    /// two clocks, and what a machine may take between two lines of code.
    pub fn quiet(&self) -> Duration {
        self.ttl + self.ttl / 100 + Duration::from_millis(300)
    }
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    version: Version,
    first_seen: BootTime,
}

/// The memory of one gateway, by resource.
#[derive(Debug, Default)]
pub struct Observations(HashMap<ResourceId, Sighting>);

impl Observations {
    /// Notes what a query has just answered and says how much longer the resource must stay like that to be free: zero is
    /// free. `now` is read *after* the answer is in hand; read before, a renewal in between would be missed.
    ///
    /// Any other version starts anew, a lower one too: after a restore `seq` counts up a second time.
    pub fn note(&mut self, resource: ResourceId, version: Version, now: BootTime) -> Duration {
        let new = Sighting {
            version,
            first_seen: now,
        };
        let seen = self.0.entry(resource).or_insert(new);
        if seen.version != version {
            *seen = new;
        }
        seen.left(now)
    }

    /// The same for a reader who must not start an observation: a version not seen before has all its time left.
    pub fn left(&self, resource: ResourceId, version: Version, now: BootTime) -> Duration {
        match self.0.get(&resource) {
            Some(seen) if seen.version == version => seen.left(now),
            _ => version.quiet(),
        }
    }

    /// Forgets resources that a query begun at `asked` did not show any more. What was first seen after `asked` stays: the
    /// query may be older than it.
    pub fn keep(&mut self, shown: &HashSet<ResourceId>, asked: BootTime) {
        self.0
            .retain(|resource, seen| shown.contains(resource) || seen.first_seen >= asked);
    }
}

impl Sighting {
    fn left(&self, now: BootTime) -> Duration {
        self.version.quiet().saturating_sub(now.since(self.first_seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const TTL: Duration = Duration::from_secs(30);
    const QUIET: Duration = Duration::from_millis(30_600);

    fn at(millis: u64) -> BootTime {
        BootTime::from_nanos(millis * 1_000_000)
    }

    fn resource() -> ResourceId {
        Uuid::from_u128(1).into()
    }

    fn version(generation: u64, seq: u64) -> Version {
        Version {
            fence: Fence::new(1, generation),
            seq,
            ttl: TTL,
        }
    }

    #[test]
    fn a_resource_is_free_after_the_quiet_time_and_not_a_moment_earlier() {
        let mut seen = Observations::default();
        assert_eq!(version(1, 1).quiet(), QUIET);
        assert_eq!(seen.note(resource(), version(1, 1), at(1_000)), QUIET);
        assert_eq!(
            seen.note(resource(), version(1, 1), at(31_599)),
            Duration::from_millis(1)
        );
        assert_eq!(seen.note(resource(), version(1, 1), at(31_600)), Duration::ZERO);
    }

    #[test]
    fn every_change_starts_the_observation_anew_also_one_backwards() {
        let mut seen = Observations::default();
        seen.note(resource(), version(1, 5), at(0));
        for (time, changed) in [
            (10_000, version(1, 6)),
            (20_000, version(2, 7)),
            (30_000, version(1, 6)),
            (
                40_000,
                Version {
                    ttl: TTL / 2,
                    ..version(1, 6)
                },
            ),
        ] {
            assert_eq!(seen.note(resource(), changed, at(time)), changed.quiet());
        }
    }

    #[test]
    fn looking_starts_nothing() {
        let mut seen = Observations::default();
        assert_eq!(seen.left(resource(), version(1, 1), at(0)), QUIET);
        assert_eq!(seen.note(resource(), version(1, 1), at(50_000)), QUIET);
        assert_eq!(
            seen.left(resource(), version(1, 1), at(51_000)),
            QUIET - Duration::from_secs(1)
        );
        assert_eq!(seen.left(resource(), version(1, 2), at(90_000)), QUIET);
    }

    #[test]
    fn what_a_query_no_longer_shows_is_forgotten_unless_it_is_newer_than_the_query() {
        let mut seen = Observations::default();
        seen.note(resource(), version(1, 1), at(1_000));
        seen.keep(&HashSet::new(), at(500));
        assert!(seen.left(resource(), version(1, 1), at(2_000)) < QUIET);
        seen.keep(&HashSet::from([resource()]), at(2_000));
        assert!(seen.left(resource(), version(1, 1), at(2_000)) < QUIET);
        seen.keep(&HashSet::new(), at(2_000));
        assert_eq!(seen.left(resource(), version(1, 1), at(2_000)), QUIET);
    }
}
