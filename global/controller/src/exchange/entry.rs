//! How a region stands for somebody who wants to enter it: pure.
use crate::{health::Health, regions::LifeCycle};
use time::OffsetDateTime;

/// A tenant's right to a region, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// From when.
    pub from: OffsetDateTime,
    /// Until when; open when absent.
    pub until: Option<OffsetDateTime>,
    /// When somebody ended it.
    pub ended: Option<OffsetDateTime>,
}

/// Why a region that is known to a person cannot be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// Not yet.
    #[error("Your organisation may enter this region later.")]
    Later,
    /// No more.
    #[error("Your organisation's right to this region has ended.")]
    Ended,
    /// No gateway that is in service.
    #[error("The region is not in service: it is {}.", .0.as_str())]
    Region(LifeCycle),
    /// It does not answer the global; it may still answer people.
    #[error("The region does not answer the global at the moment.")]
    Unreachable,
}

impl Right {
    /// Whether it is in force at `now`.
    ///
    /// # Errors
    /// [`Closed::Later`] or [`Closed::Ended`].
    pub fn check(&self, now: OffsetDateTime) -> Result<(), Closed> {
        if self.ended.is_some() || self.until.is_some_and(|until| now >= until) {
            return Err(Closed::Ended);
        }
        if now < self.from { Err(Closed::Later) } else { Ok(()) }
    }
}

/// The one word for a region: its life cycle unless that is active, then its health.
pub const fn state(lifecycle: LifeCycle, health: Health) -> &'static str {
    match lifecycle {
        LifeCycle::Active => health.as_str(),
        other => other.as_str(),
    }
}

/// Why a person with this right does not get in, or had better not try; nothing when all is well.
pub fn closed(right: &Right, lifecycle: LifeCycle, health: Health, now: OffsetDateTime) -> Option<Closed> {
    if let Err(closed) = right.check(now) {
        return Some(closed);
    }
    if !lifecycle.admits_people() {
        return Some(Closed::Region(lifecycle));
    }
    (health == Health::Unreachable).then_some(Closed::Unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::{Duration, macros::datetime};

    const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);
    const OPEN: Right = Right {
        from: datetime!(2026-01-01 0:00 UTC),
        until: None,
        ended: None,
    };

    #[test]
    fn the_word_is_the_life_cycle_unless_active() {
        assert_eq!(state(LifeCycle::Active, Health::Degraded), "degraded");
        assert_eq!(state(LifeCycle::Draining, Health::Healthy), "draining");
        assert_eq!(state(LifeCycle::Joining, Health::Unknown), "joining");
    }

    #[test]
    fn a_right_holds_from_its_beginning_to_just_before_its_end() {
        let until = Right {
            until: Some(NOW),
            ..OPEN
        };
        assert_eq!(until.check(NOW - Duration::SECOND), Ok(()));
        assert_eq!(until.check(NOW), Err(Closed::Ended));
        let from = Right { from: NOW, ..OPEN };
        assert_eq!(from.check(NOW), Ok(()));
        assert_eq!(from.check(NOW - Duration::SECOND), Err(Closed::Later));
        let ended = Right {
            ended: Some(NOW + Duration::DAY),
            ..OPEN
        };
        assert_eq!(ended.check(NOW), Err(Closed::Ended), "whoever ended it meant it");
    }

    #[test]
    fn what_bars_the_way_is_told() {
        let of = |l, h| closed(&OPEN, l, h, NOW);
        assert_eq!(of(LifeCycle::Active, Health::Healthy), None);
        assert_eq!(of(LifeCycle::Draining, Health::Degraded), None);
        assert_eq!(of(LifeCycle::Active, Health::Unreachable), Some(Closed::Unreachable));
        for l in [LifeCycle::Registered, LifeCycle::Joining, LifeCycle::Removed] {
            assert_eq!(of(l, Health::Healthy), Some(Closed::Region(l)));
        }
    }
}
