//! The life cycle of a region. How it is, apart from where it stands in its life, is `health`'s matter.
use exarch_common_base::{RegionId, Slug};
use std::{fmt, str::FromStr};

/// Where a region stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LifeCycle {
    /// Known, and waits for its gateway.
    Registered,
    /// Its gateway has a certificate; no passport was applied yet, or no probe was good.
    Joining,
    /// In service.
    Active,
    /// In service for what is there; to be removed.
    Draining,
    /// Gone for good.
    Removed,
}

/// A step that the life cycle does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a region that is {from} cannot become {to}")]
pub struct NoSuchStep {
    /// Where it stands.
    pub from: LifeCycle,
    /// Where it was to go.
    pub to: LifeCycle,
}

impl LifeCycle {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Registered,
        Self::Joining,
        Self::Active,
        Self::Draining,
        Self::Removed,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Joining => "joining",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Removed => "removed",
        }
    }

    /// A gateway came with the join token.
    pub const fn join(self) -> Result<Self, NoSuchStep> {
        match self {
            Self::Registered => Ok(Self::Joining),
            _ => Err(self.no(Self::Joining)),
        }
    }

    /// It applied its first passport and answered its first good probe.
    pub const fn activate(self) -> Result<Self, NoSuchStep> {
        match self {
            Self::Joining => Ok(Self::Active),
            _ => Err(self.no(Self::Active)),
        }
    }

    /// No more new work.
    pub const fn drain(self) -> Result<Self, NoSuchStep> {
        match self {
            Self::Active => Ok(Self::Draining),
            _ => Err(self.no(Self::Draining)),
        }
    }

    /// Back in full service.
    pub const fn resume(self) -> Result<Self, NoSuchStep> {
        match self {
            Self::Draining => Ok(Self::Active),
            _ => Err(self.no(Self::Active)),
        }
    }

    /// Gone for good. One in full service is drained first.
    pub const fn remove(self) -> Result<Self, NoSuchStep> {
        match self {
            Self::Registered | Self::Joining | Self::Draining => Ok(Self::Removed),
            Self::Active | Self::Removed => Err(self.no(Self::Removed)),
        }
    }

    /// Whether its gateway may call, and be called.
    pub const fn has_gateway(self) -> bool {
        matches!(self, Self::Joining | Self::Active | Self::Draining)
    }

    /// Whether people may be given tokens for it.
    pub const fn admits_people(self) -> bool {
        matches!(self, Self::Active | Self::Draining)
    }

    const fn no(self, to: Self) -> NoSuchStep {
        NoSuchStep { from: self, to }
    }
}

impl fmt::Display for LifeCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no life cycle; a newer version may have written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word of a region's life cycle")]
pub struct UnknownLifeCycle;

impl FromStr for LifeCycle {
    type Err = UnknownLifeCycle;

    fn from_str(word: &str) -> Result<Self, UnknownLifeCycle> {
        Self::ALL
            .into_iter()
            .find(|l| l.as_str() == word)
            .ok_or(UnknownLifeCycle)
    }
}

/// A region as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its id, which tokens, secrets and passports carry.
    pub id: RegionId,
    /// Its name in addresses; never used again for another.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// Where its users reach it.
    pub url: String,
    /// Where its console is.
    pub console_url: Option<String>,
    /// Where it stands.
    pub lifecycle: LifeCycle,
    /// Rises with each change of what is registered.
    pub version: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use LifeCycle::*;
    use proptest::prelude::*;

    type Step = fn(LifeCycle) -> Result<LifeCycle, NoSuchStep>;
    const STEPS: [(&str, Step); 5] = [
        ("join", LifeCycle::join),
        ("activate", LifeCycle::activate),
        ("drain", LifeCycle::drain),
        ("resume", LifeCycle::resume),
        ("remove", LifeCycle::remove),
    ];

    #[test]
    fn the_life_cycle_has_these_steps_and_no_others() {
        let mut found = Vec::new();
        for from in LifeCycle::ALL {
            for (name, step) in STEPS {
                if let Ok(to) = step(from) {
                    found.push((from, name, to));
                }
            }
        }
        assert_eq!(
            found,
            [
                (Registered, "join", Joining),
                (Registered, "remove", Removed),
                (Joining, "activate", Active),
                (Joining, "remove", Removed),
                (Active, "drain", Draining),
                (Draining, "resume", Active),
                (Draining, "remove", Removed),
            ]
        );
    }

    #[test]
    fn people_are_admitted_where_a_gateway_is_and_has_shown_itself() {
        for l in LifeCycle::ALL {
            assert!(!l.admits_people() || l.has_gateway(), "{l}");
        }
        assert!(!Registered.has_gateway() && !Removed.has_gateway());
        assert!(!Joining.admits_people() && Draining.admits_people());
    }

    #[test]
    fn words_read_back() {
        for l in LifeCycle::ALL {
            assert_eq!(l.as_str().parse(), Ok(l));
        }
        assert_eq!("gone".parse::<LifeCycle>(), Err(UnknownLifeCycle));
    }

    proptest! {
        #[test]
        fn a_removed_region_stays_removed_and_a_joined_one_never_joins_again(steps in proptest::collection::vec(0..STEPS.len(), 0..40)) {
            let (mut now, mut joins) = (Registered, 0);
            for (name, step) in steps.into_iter().map(|i| STEPS[i]) {
                let before = now;
                now = step(now).unwrap_or(now);
                joins += u32::from(name == "join" && before != now);
                prop_assert!(before != Removed || now == Removed);
            }
            prop_assert!(joins <= 1);
        }
    }
}
