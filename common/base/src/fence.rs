//! The fence of a lease: a pair that rises strictly per resource, for ever.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// (epoch, generation), compared as a pair and written `epoch.generation`.
///
/// The epoch rises when a region's database may have lost commits (a restore, a promotion); the generation with every
/// grant. Both stay below 2^63, so that a database column holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// Compared first.
    pub epoch: u64,
    /// Compared second.
    pub generation: u64,
}

/// Why a text is not a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a fence of the form epoch.generation, such as 1.42")]
pub struct FenceError;

impl Fence {
    /// The fence `epoch.generation`.
    pub const fn new(epoch: u64, generation: u64) -> Self {
        Self { epoch, generation }
    }

    /// The fence of the next grant in `epoch`: above `self` whatever the epochs are. `None` at the end of the range.
    pub fn next(self, epoch: u64) -> Option<Self> {
        let next = if epoch > self.epoch {
            Self::new(epoch, 1)
        } else {
            Self::new(self.epoch, self.generation.checked_add(1)?)
        };
        (next.epoch <= i64::MAX as u64 && next.generation <= i64::MAX as u64).then_some(next)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.generation)
    }
}

impl FromStr for Fence {
    type Err = FenceError;

    fn from_str(text: &str) -> Result<Self, FenceError> {
        let (epoch, generation) = text.split_once('.').ok_or(FenceError)?;
        let number = |t: &str| {
            // Digits only, no sign, no leading zero: one spelling for one fence.
            let plain = !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()) && (t == "0" || !t.starts_with('0'));
            plain
                .then(|| t.parse::<u64>().ok())
                .flatten()
                .filter(|n| *n <= i64::MAX as u64)
                .ok_or(FenceError)
        };
        Ok(Self::new(number(epoch)?, number(generation)?))
    }
}

impl Serialize for Fence {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fence {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_fence_is_higher_whatever_the_epoch(e in 0u64..10, g in 0u64..1000, epoch in 0u64..10) {
            let fence = Fence::new(e, g);
            prop_assert!(fence.next(epoch).unwrap() > fence);
        }

        #[test]
        fn text_and_back_is_the_same(e in 0..=i64::MAX as u64, g in 0..=i64::MAX as u64) {
            let fence = Fence::new(e, g);
            prop_assert_eq!(fence.to_string().parse(), Ok(fence));
        }
    }

    #[test]
    fn fences_compare_as_numbers_not_as_text() {
        assert!("1.10".parse::<Fence>().unwrap() > "1.9".parse().unwrap());
        assert!("2.1".parse::<Fence>().unwrap() > "1.999".parse().unwrap());
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "1.2.3",
            "01.2",
            "1.02",
            "-1.2",
            "+1.2",
            "1. 2",
            "9223372036854775808.1",
        ] {
            assert_eq!(bad.parse::<Fence>(), Err(FenceError), "{bad}");
        }
    }

    #[test]
    fn the_range_ends_with_no_rather_than_wrapping() {
        assert_eq!(Fence::new(1, i64::MAX as u64).next(1), None);
    }
}
