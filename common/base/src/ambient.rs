//! Time, randomness and new ids, handed in as one value.
use crate::{BootTime, Clock, Id, ManualClock, SystemClock};
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use uuid::Uuid;

/// A source of random bytes.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `out` with unpredictable bytes.
    fn fill(&self, out: &mut [u8]);
}

/// The kernel's generator.
#[derive(Clone, Copy, Debug, Default)]
struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, mut out: &mut [u8]) {
        while !out.is_empty() {
            let n = rustix::rand::getrandom(&mut *out, rustix::rand::GetRandomFlags::empty())
                .expect("getrandom fails only on kernels without it");
            out = &mut out[n..];
        }
    }
}

/// A repeatable generator (SplitMix64) for tests and simulations; never for secrets.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// The same seed gives the same bytes.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self.0.lock().expect("no holder of this lock panics");
        for chunk in out.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What a function may take from its surroundings: the clocks and random bytes. Cheap to clone.
#[derive(Clone)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl std::fmt::Debug for Ambient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ambient")
    }
}

impl Ambient {
    /// The real clocks and the kernel's generator.
    pub fn system() -> Self {
        Self::new(SystemClock, SystemEntropy)
    }

    /// Any clock and generator.
    pub fn new(clock: impl Clock, entropy: impl Entropy) -> Self {
        Self {
            clock: Arc::new(clock),
            entropy: Arc::new(entropy),
        }
    }

    /// A clock that moves only when told, and repeatable bytes.
    pub fn manual(start: OffsetDateTime, seed: u64) -> (Self, ManualClock) {
        let clock = ManualClock::new(start);
        (Self::new(clock.clone(), SeededEntropy::new(seed)), clock)
    }

    /// The wall clock, UTC. For people, certificates and token times; it decides no lease.
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// CLOCK_BOOTTIME.
    pub fn boot(&self) -> BootTime {
        self.clock.boot()
    }

    /// Fills `out` with random bytes.
    pub fn fill(&self, out: &mut [u8]) {
        self.entropy.fill(out);
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A new UUID version 7 (RFC 9562, 5.7): milliseconds of the wall clock, then random bits.
    pub fn uuid(&self) -> Uuid {
        let millis = (self.now().unix_timestamp_nanos() / 1_000_000) as u64;
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// A new id of kind `I`.
    pub fn id<I: Id>(&self) -> I {
        I::from(self.uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TenantId;

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let (ambient, clock) = Ambient::manual(time::macros::datetime!(2026-01-01 0:00 UTC), 7);
        let first: TenantId = ambient.id();
        clock.advance(std::time::Duration::from_millis(2));
        let second: TenantId = ambient.id();
        assert!(first < second);
        assert_eq!(first.uuid().get_version_num(), 7);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_the_system_does_not() {
        assert_eq!(
            Ambient::manual(OffsetDateTime::UNIX_EPOCH, 1).0.bytes::<32>(),
            Ambient::manual(OffsetDateTime::UNIX_EPOCH, 1).0.bytes::<32>()
        );
        assert_ne!(Ambient::system().bytes::<32>(), Ambient::system().bytes::<32>());
    }
}
