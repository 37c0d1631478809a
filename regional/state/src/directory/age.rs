//! How old a passport is, whatever is done to the clock on the wall.
//!
//! Age is now − `as_of` of the newest statement, where now is never below the largest time seen since that statement was
//! received, nor below `as_of` at receipt plus what CLOCK_BOOTTIME has counted since. So neither a clock set back nor a
//! restart makes a passport younger; only a newly verified statement does.
use exarch_common_base::BootTime;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The age of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// Seconds since 1970, by the global's clock.
    as_of: i64,
    /// The largest wall clock seen since the receipt, seconds since 1970.
    largest: i64,
    /// A time that had certainly come …
    base: i64,
    /// … at this reading of CLOCK_BOOTTIME.
    base_boot: BootTime,
}

/// What of it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeOnDisk {
    as_of: i64,
    largest: i64,
    base: i64,
    base_boot: u64,
    /// Which start of the machine `base_boot` counts from.
    boot_id: String,
}

impl Age {
    /// A statement as of `as_of`, verified now.
    pub fn start(as_of: i64, wall: OffsetDateTime, boot: BootTime) -> Self {
        Self {
            as_of,
            largest: wall.unix_timestamp(),
            base: as_of,
            base_boot: boot,
        }
    }

    /// When the global last stood by the passport, seconds since 1970.
    pub fn as_of(&self) -> i64 {
        self.as_of
    }

    /// Seconds since then.
    pub fn seconds(&self, wall: OffsetDateTime, boot: BootTime) -> u64 {
        u64::try_from(self.now(wall, boot).saturating_sub(self.as_of)).unwrap_or(0)
    }

    /// The same with the time of now taken into account for good.
    #[must_use]
    pub fn seen(&self, wall: OffsetDateTime, boot: BootTime) -> Self {
        Self {
            largest: self.now(wall, boot),
            ..*self
        }
    }

    /// For the disk.
    pub fn to_disk(self, boot_id: &str) -> AgeOnDisk {
        AgeOnDisk {
            as_of: self.as_of,
            largest: self.largest,
            base: self.base,
            base_boot: self.base_boot.nanos(),
            boot_id: boot_id.to_owned(),
        }
    }

    /// From the disk, after a restart of the process or of the machine.
    pub fn from_disk(disk: &AgeOnDisk, boot_id: &str, wall: OffsetDateTime, boot: BootTime) -> Self {
        let largest = disk.largest.max(wall.unix_timestamp());
        // After a restart of the machine the old count says nothing; what was seen before it had come by now all the same.
        let (base, base_boot) = if disk.boot_id == boot_id {
            (disk.base, BootTime::from_nanos(disk.base_boot))
        } else {
            (disk.base.max(disk.largest), boot)
        };
        Self {
            as_of: disk.as_of,
            largest,
            base,
            base_boot,
        }
    }

    fn now(&self, wall: OffsetDateTime, boot: BootTime) -> i64 {
        let counted = i64::try_from(boot.since(self.base_boot).as_secs()).unwrap_or(i64::MAX);
        wall.unix_timestamp()
            .max(self.largest)
            .max(self.base.saturating_add(counted))
    }
}

impl AgeOnDisk {
    /// The same times, for another statement that was received meanwhile by another replica.
    #[must_use]
    pub fn about(self, as_of: i64) -> Self {
        Self { as_of, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn wall(s: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(s).unwrap()
    }

    fn boot(s: u64) -> BootTime {
        BootTime::from_nanos(s * 1_000_000_000)
    }

    /// What happens to a gateway between two statements.
    #[derive(Clone, Debug)]
    enum Event {
        Pass(u32),
        StepWall(i32),
        RestartProcess,
        RestartMachine,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0u32..100_000).prop_map(Event::Pass),
            2 => (-200_000i32..200_000).prop_map(Event::StepWall),
            1 => Just(Event::RestartProcess),
            1 => Just(Event::RestartMachine),
        ]
    }

    proptest! {
        #[test]
        fn age_never_falls_and_is_never_below_what_boot_time_counted(
            as_of in 1_700_000_000i64..1_800_000_000,
            skew in -100_000i64..100_000,
            events in prop::collection::vec(event(), 0..40),
        ) {
            let (mut w, mut b, mut machine) = (as_of + skew, 5_000u64, 0u32);
            let mut age = Age::start(as_of, wall(w), boot(b));
            let (mut last, mut passed) = (age.seconds(wall(w), boot(b)), 0u64);
            for event in events {
                match event {
                    Event::Pass(s) => {
                        w += i64::from(s);
                        b += u64::from(s);
                        passed += u64::from(s);
                    }
                    Event::StepWall(by) => w += i64::from(by),
                    Event::RestartProcess => {
                        let disk = age.to_disk(&machine.to_string());
                        age = Age::from_disk(&disk, &machine.to_string(), wall(w), boot(b));
                    }
                    Event::RestartMachine => {
                        let disk = age.to_disk(&machine.to_string());
                        (machine, b) = (machine + 1, 30);
                        age = Age::from_disk(&disk, &machine.to_string(), wall(w), boot(b));
                        // How long the machine was off nobody can tell but the wall clock.
                        passed = 0;
                    }
                }
                let now = age.seconds(wall(w), boot(b));
                // What is on disk when the machine ends is at most one writing behind: here, what was last seen.
                age = age.seen(wall(w), boot(b));
                prop_assert!(now >= passed, "{now} < {passed}");
                prop_assert!(now >= last, "{now} < {last}");
                prop_assert!(now as i64 >= w - as_of);
                last = now;
            }
        }

        #[test]
        fn a_newly_verified_statement_starts_afresh(jump in 0i64..10_000_000, later in 0u64..1000) {
            let as_of = 1_700_000_000;
            // The clock was far ahead for a while, and is right again.
            let spoilt = Age::start(as_of, wall(as_of), boot(10)).seen(wall(as_of + jump), boot(10));
            prop_assert!(spoilt.seconds(wall(as_of), boot(10)) as i64 >= jump);
            let fresh = Age::start(as_of + 30, wall(as_of + 30), boot(40));
            prop_assert_eq!(fresh.seconds(wall(as_of + 30) + Duration::from_secs(later), boot(40 + later)), later);
        }
    }

    #[test]
    fn a_clock_set_back_does_not_make_a_passport_younger() {
        let age = Age::start(1_000_000, wall(1_000_000), boot(100));
        assert_eq!(age.seconds(wall(1_000_000 - 86_400), boot(100 + 3600)), 3600);
        let seen = age.seen(wall(1_003_600), boot(100));
        assert_eq!(seen.seconds(wall(1_000_000), boot(100)), 3600);
    }

    #[test]
    fn after_a_restart_of_the_machine_the_largest_time_on_disk_still_counts() {
        let disk = Age::start(1_000_000, wall(1_000_000), boot(100))
            .seen(wall(1_050_000), boot(100))
            .to_disk("a");
        let back = Age::from_disk(&disk, "b", wall(1_000_000), boot(5));
        assert_eq!(back.seconds(wall(1_000_000), boot(5)), 50_000);
        assert_eq!(back.seconds(wall(1_000_000), boot(5 + 60)), 50_060);
    }
}
