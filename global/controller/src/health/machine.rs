//! From probes to one word: one miss or failing part makes a region degraded, three misses in a row unreachable, two good
//! probes in a row healthy again.
use std::{fmt, str::FromStr};

const UNREACHABLE_AFTER: u32 = 3;
const RECOVERED_AFTER: u32 = 2;

/// How a region is, apart from where it stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Never probed.
    Unknown,
    /// All is well.
    Healthy,
    /// It answers, but a part of it fails; or it has begun to miss probes, or only just stopped.
    Degraded,
    /// It does not answer.
    Unreachable,
}

impl Health {
    const ALL: [Self; 4] = [Self::Unknown, Self::Healthy, Self::Degraded, Self::Unreachable];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word for health")]
pub struct UnknownHealth;

impl FromStr for Health {
    type Err = UnknownHealth;

    fn from_str(word: &str) -> Result<Self, UnknownHealth> {
        Self::ALL.into_iter().find(|h| h.as_str() == word).ok_or(UnknownHealth)
    }
}

/// What one probe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, and every part is well.
    Good,
    /// Answered, and a part fails.
    Failing,
    /// No answer in time, or none that can be believed.
    Missed,
}

impl Outcome {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Failing => "failing",
            Self::Missed => "missed",
        }
    }
}

/// Health with what it remembers of the last probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The word.
    pub health: Health,
    /// Misses in a row.
    pub misses: u32,
    /// Good probes in a row.
    pub goods: u32,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            health: Health::Unknown,
            misses: 0,
            goods: 0,
        }
    }
}

impl Machine {
    /// After one more probe.
    #[must_use]
    pub fn after(self, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => {
                let goods = self.goods.saturating_add(1);
                let well = matches!(self.health, Health::Unknown | Health::Healthy) || goods >= RECOVERED_AFTER;
                Self {
                    health: if well { Health::Healthy } else { Health::Degraded },
                    misses: 0,
                    goods,
                }
            }
            Outcome::Failing => Self {
                health: Health::Degraded,
                misses: 0,
                goods: 0,
            },
            Outcome::Missed => {
                let misses = self.misses.saturating_add(1);
                let gone = self.health == Health::Unreachable || misses >= UNREACHABLE_AFTER;
                Self {
                    health: if gone { Health::Unreachable } else { Health::Degraded },
                    misses,
                    goods: 0,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Health::*;
    use Outcome::*;
    use proptest::prelude::*;

    fn walk(outcomes: &[Outcome]) -> Vec<Health> {
        let mut machine = Machine::default();
        outcomes
            .iter()
            .map(|o| {
                machine = machine.after(*o);
                machine.health
            })
            .collect()
    }

    #[test]
    fn one_miss_degrades_three_make_it_unreachable_and_two_good_ones_bring_it_back() {
        assert_eq!(
            walk(&[Good, Missed, Missed, Missed, Missed, Good, Good]),
            [Healthy, Degraded, Degraded, Unreachable, Unreachable, Degraded, Healthy]
        );
    }

    #[test]
    fn a_failing_part_degrades_and_two_good_probes_heal_it() {
        assert_eq!(
            walk(&[Good, Failing, Good, Failing, Good, Good]),
            [Healthy, Degraded, Degraded, Degraded, Degraded, Healthy]
        );
    }

    #[test]
    fn an_answer_between_misses_starts_the_count_again() {
        assert_eq!(
            walk(&[Missed, Missed, Failing, Missed, Missed, Good, Missed, Missed, Missed]),
            [
                Degraded,
                Degraded,
                Degraded,
                Degraded,
                Degraded,
                Degraded,
                Degraded,
                Degraded,
                Unreachable
            ]
        );
    }

    #[test]
    fn a_region_that_flaps_is_not_healthy() {
        assert_eq!(walk(&[Missed, Good, Missed, Good, Missed, Good]), [Degraded; 6]);
    }

    #[test]
    fn words_read_back() {
        for h in Health::ALL {
            assert_eq!(h.as_str().parse(), Ok(h));
        }
        assert_eq!("".parse::<Health>(), Err(UnknownHealth));
    }

    proptest! {
        #[test]
        fn the_word_always_follows_from_the_last_probes(outcomes in proptest::collection::vec(0..3usize, 1..60)) {
            let outcomes: Vec<_> = outcomes.into_iter().map(|i| [Good, Failing, Missed][i]).collect();
            let word = *walk(&outcomes).last().unwrap();
            let tail = |o: Outcome| outcomes.iter().rev().take_while(|x| **x == o).count();
            if word == Healthy {
                prop_assert!(tail(Good) >= 2 || tail(Good) == outcomes.len());
            }
            prop_assert_eq!(word == Unreachable, tail(Missed) >= 3);
            prop_assert!(word != Unknown);
        }
    }
}
