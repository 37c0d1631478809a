//! Waiting longer after each failure, never in step with the others.
use crate::Ambient;
use std::time::Duration;

/// Exponential back-off with full jitter in the upper half: each wait lies between half the step and the step, and the
/// step doubles from `first` to `most`.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    step: Duration,
}

impl Backoff {
    /// Waits from about `first` up to `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            step: first,
        }
    }

    /// The next wait.
    pub fn next(&mut self, ambient: &Ambient) -> Duration {
        let step = self.step.min(self.most);
        self.step = (step * 2).min(self.most);
        jitter(ambient, step / 2, step)
    }

    /// Back to the first step, after a success.
    pub fn reset(&mut self) {
        self.step = self.first;
    }
}

/// A duration drawn evenly from `low..=high`.
pub fn jitter(ambient: &Ambient, low: Duration, high: Duration) -> Duration {
    let span = high.saturating_sub(low).as_nanos() as u64;
    let draw = u64::from_le_bytes(ambient.bytes());
    low + Duration::from_nanos(((u128::from(draw) * u128::from(span)) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_start_again_after_a_success() {
        let (ambient, _) = Ambient::manual(time::OffsetDateTime::UNIX_EPOCH, 3);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));
        for step in [1, 2, 4, 8, 15, 15] {
            let wait = backoff.next(&ambient);
            let step = Duration::from_secs(step);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} of {step:?}");
        }
        backoff.reset();
        assert!(backoff.next(&ambient) <= Duration::from_secs(1));
    }
}
