//! The two clocks of the project: the wall clock, for people and token times, and CLOCK_BOOTTIME, for everything that
//! decides. This is the one file that reads either.
use std::{
    ops::Add,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use time::OffsetDateTime;

/// A reading of CLOCK_BOOTTIME: it never steps, and goes on while the host is suspended (`Instant` stops there).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(u64);

impl BootTime {
    /// From nanoseconds since boot.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: BootTime) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// `self − d`, never below boot.
    pub const fn saturating_sub(self, d: Duration) -> BootTime {
        BootTime(self.0.saturating_sub(nanos(d)))
    }
}

impl Add<Duration> for BootTime {
    type Output = BootTime;

    fn add(self, d: Duration) -> BootTime {
        BootTime(self.0.saturating_add(nanos(d)))
    }
}

const fn nanos(d: Duration) -> u64 {
    let n = d.as_nanos();
    if n > u64::MAX as u128 { u64::MAX } else { n as u64 }
}

/// A source of time.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC.
    fn now(&self) -> OffsetDateTime;
    /// CLOCK_BOOTTIME.
    fn boot(&self) -> BootTime;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn boot(&self) -> BootTime {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        BootTime(
            (t.tv_sec as u64)
                .saturating_mul(1_000_000_000)
                .saturating_add(t.tv_nsec as u64),
        )
    }
}

/// A clock that moves only when told; both readings can be moved apart.
#[derive(Clone, Debug)]
pub struct ManualClock {
    wall_nanos: Arc<AtomicI64>,
    boot_nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// Starts at `start` on the wall, one hour after boot.
    pub fn new(start: OffsetDateTime) -> Self {
        Self {
            wall_nanos: Arc::new(AtomicI64::new(start.unix_timestamp_nanos() as i64)),
            boot_nanos: Arc::new(AtomicU64::new(3_600_000_000_000)),
        }
    }

    /// Lets `d` pass on both clocks.
    pub fn advance(&self, d: Duration) {
        self.wall_nanos.fetch_add(nanos(d) as i64, Ordering::SeqCst);
        self.boot_nanos.fetch_add(nanos(d), Ordering::SeqCst);
    }

    /// Steps the wall clock alone, as an operator or a bad time server does.
    pub fn step_wall(&self, by: time::Duration) {
        self.wall_nanos
            .fetch_add(by.whole_nanoseconds() as i64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.wall_nanos.load(Ordering::SeqCst)))
            .expect("an i64 of nanoseconds lies within the range of dates")
    }

    fn boot(&self) -> BootTime {
        BootTime(self.boot_nanos.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_wall_clock_leaves_boot_time_alone() {
        let clock = ManualClock::new(time::macros::datetime!(2026-01-01 0:00 UTC));
        let (wall, boot) = (clock.now(), clock.boot());
        clock.step_wall(time::Duration::hours(-1));
        assert_eq!(clock.now(), wall - time::Duration::hours(1));
        assert_eq!(clock.boot(), boot);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.boot().since(boot), Duration::from_secs(2));
        assert_eq!(boot.since(clock.boot()), Duration::ZERO);
    }

    #[test]
    fn the_boot_clock_of_the_system_does_not_fall() {
        let a = SystemClock.boot();
        assert!(SystemClock.boot() >= a);
    }
}
