//! A lease: its states and what may become of it. Pure: times and the observation are passed in.
//!
//! `active → released | expired | revoking → revoked`. The three ends are alike for whoever asks next: the resource is free.
//! `expired` is as good as the others, because only a gateway that has itself observed the quiet time, under the row's lock,
//! may write it; what it did there is a grant to nobody, given back at once.
use super::observe::Version;
use exarch_common_base::{AgentId, Fence, LeaseId, ResourceId};
use exarch_common_wire::{
    agent::Verdict,
    grant::{Action, Incarnation},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The longest that one lease may be renewed.
pub const LIFE: time::Duration = time::Duration::hours(24);

/// Who holds it: one start of one agent process. The same agent started again is another holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The agent.
    pub agent: AgentId,
    /// Its process.
    pub incarnation: Incarnation,
}

/// Where a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// Held.
    Active,
    /// Given back.
    Released,
    /// Seen unchanged for long enough.
    Expired,
    /// Being taken away: not renewed, not free yet.
    Revoking,
    /// Taken away, and acknowledged or seen unchanged for long enough.
    Revoked,
}

impl LeaseState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Released,
        Self::Expired,
        Self::Revoking,
        Self::Revoked,
    ];

    /// The word in the database and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Revoking => "revoking",
            Self::Revoked => "revoked",
        }
    }

    /// The state of a word; none for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether a holder may still be acting.
    pub const fn is_current(self) -> bool {
        matches!(self, Self::Active | Self::Revoking)
    }
}

/// The newest lease of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// What is leased.
    pub resource: ResourceId,
    /// To whom.
    pub holder: Holder,
    /// For what, sorted.
    pub actions: Vec<Action>,
    /// Higher than that of any lease of the resource before.
    pub fence: Fence,
    /// Rises with every grant on the resource and every renewal.
    pub seq: u64,
    /// How long a grant or renewal lasts.
    pub ttl: Duration,
    /// Where it stands.
    pub state: LeaseState,
    /// For people, and for [`LIFE`].
    pub granted_at: OffsetDateTime,
    /// For people.
    pub expires_at: OffsetDateTime,
}

/// What a holder asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The id that a new lease would have.
    pub id: LeaseId,
    /// What.
    pub resource: ResourceId,
    /// Who.
    pub holder: Holder,
    /// For what.
    pub actions: Vec<Action>,
    /// How long a grant lasts, by the resource.
    pub ttl: Duration,
}

/// A yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// The resource was free: this is the new lease. `ended` is the lease before it where nobody had marked its end yet.
    New {
        /// The lease.
        lease: Lease,
        /// The one it follows.
        ended: Option<Lease>,
    },
    /// The same process holds it already: the same fence, one more renewal.
    AlreadyHeld(Lease),
}

/// A no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Somebody else may still be acting; or the asking process, but its lease has reached [`LIFE`].
    Held,
    /// The range of fences is used up.
    NoFence,
}

impl Lease {
    /// What an observer compares.
    pub fn version(&self) -> Version {
        Version {
            fence: self.fence,
            seq: self.seq,
            ttl: self.ttl,
        }
    }

    /// What becomes of an asking. `self` is the newest lease of the resource, read under its lock; `observed_free` is this
    /// gateway's own observation of exactly this version.
    pub fn ask(
        newest: Option<Lease>,
        observed_free: bool,
        ask: Ask,
        epoch: u64,
        now: OffsetDateTime,
    ) -> Result<Granted, Refused> {
        let (fence, seq, ended) = match newest {
            None => (Fence::default(), 0, None),
            Some(held) if held.state == LeaseState::Active && held.holder == ask.holder && held.may_live(now) => {
                return Ok(Granted::AlreadyHeld(held.again(ask.actions, now)));
            }
            Some(held) if held.state.is_current() && !observed_free => return Err(Refused::Held),
            Some(held) => (held.fence, held.seq, held.clone().lapse()),
        };
        let lease = Lease {
            id: ask.id,
            resource: ask.resource,
            holder: ask.holder,
            actions: united(Vec::new(), ask.actions),
            fence: fence.next(epoch).ok_or(Refused::NoFence)?,
            seq: seq + 1,
            ttl: ask.ttl,
            state: LeaseState::Active,
            granted_at: now,
            expires_at: now + ask.ttl,
        };
        Ok(Granted::New { lease, ended })
    }

    /// Whether it may be renewed at `now`, as to its age.
    pub fn may_live(&self, now: OffsetDateTime) -> bool {
        now - self.granted_at < LIFE
    }

    /// The holder asked for it again. Both grants are out, so the lease permits what either does.
    fn again(self, actions: Vec<Action>, now: OffsetDateTime) -> Lease {
        Lease {
            actions: united(self.actions, actions),
            seq: self.seq + 1,
            expires_at: now + self.ttl,
            ..self
        }
    }

    /// The holder has stopped everything. Nothing for a lease that has ended.
    pub fn release(self) -> Option<Lease> {
        let state = match self.state {
            LeaseState::Active => LeaseState::Released,
            LeaseState::Revoking => LeaseState::Revoked,
            LeaseState::Released | LeaseState::Expired | LeaseState::Revoked => return None,
        };
        Some(Lease { state, ..self })
    }

    /// This gateway has observed the quiet time. Nothing for a lease that has ended.
    pub fn lapse(self) -> Option<Lease> {
        let state = match self.state {
            LeaseState::Active => LeaseState::Expired,
            LeaseState::Revoking => LeaseState::Revoked,
            LeaseState::Released | LeaseState::Expired | LeaseState::Revoked => return None,
        };
        Some(Lease { state, ..self })
    }
}

/// What a holder is told of a lease on which it changed nothing. `state` is that of the lease with the id, holder and fence
/// that it named, if there is one.
pub fn verdict(state: Option<LeaseState>) -> Verdict {
    match state {
        None => Verdict::Unknown,
        Some(LeaseState::Revoking) => Verdict::Revoking,
        Some(LeaseState::Released | LeaseState::Revoked) => Verdict::Released,
        // active and not renewed: it has reached its life, or ended while we looked
        Some(LeaseState::Active | LeaseState::Expired) => Verdict::Lost,
    }
}

fn united(mut held: Vec<Action>, more: Vec<Action>) -> Vec<Action> {
    held.extend(more);
    held.sort_unstable();
    held.dedup();
    held
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;
    use uuid::Uuid;

    const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);
    const TTL: Duration = Duration::from_secs(30);

    fn holder(agent: u128, process: u8) -> Holder {
        Holder {
            agent: Uuid::from_u128(agent).into(),
            incarnation: Incarnation::new([process; 16]),
        }
    }

    fn asked(holder: Holder, actions: &[Action]) -> Ask {
        Ask {
            id: Uuid::from_u128(1).into(),
            resource: Uuid::from_u128(2).into(),
            holder,
            actions: actions.to_vec(),
            ttl: TTL,
        }
    }

    fn held(state: LeaseState) -> Lease {
        Lease {
            id: Uuid::from_u128(7).into(),
            resource: Uuid::from_u128(2).into(),
            holder: holder(1, 1),
            actions: vec![Action::Start],
            fence: Fence::new(1, 4),
            seq: 9,
            ttl: TTL,
            state,
            granted_at: NOW,
            expires_at: NOW + TTL,
        }
    }

    fn ask(newest: Option<Lease>, free: bool, who: Holder) -> Result<Granted, Refused> {
        Lease::ask(newest, free, asked(who, &[Action::Attach]), 1, NOW)
    }

    #[test]
    fn the_first_lease_of_a_resource_has_the_first_fence_of_the_epoch() {
        let Ok(Granted::New { lease, ended: None }) = ask(None, false, holder(1, 1)) else {
            panic!("not granted")
        };
        assert_eq!((lease.fence, lease.seq), (Fence::new(1, 1), 1));
    }

    #[test]
    fn a_lease_that_has_ended_is_followed_at_once_by_a_higher_fence() {
        for state in [LeaseState::Released, LeaseState::Expired, LeaseState::Revoked] {
            let Ok(Granted::New { lease, ended: None }) = ask(Some(held(state)), false, holder(2, 1)) else {
                panic!("not granted after {state:?}")
            };
            assert_eq!((lease.fence, lease.seq), (Fence::new(1, 5), 10));
        }
    }

    #[test]
    fn one_that_may_still_be_acted_on_is_followed_only_after_the_observation() {
        for (state, end) in [
            (LeaseState::Active, LeaseState::Expired),
            (LeaseState::Revoking, LeaseState::Revoked),
        ] {
            assert_eq!(ask(Some(held(state)), false, holder(2, 1)), Err(Refused::Held));
            let Ok(Granted::New { ended: Some(ended), .. }) = ask(Some(held(state)), true, holder(2, 1)) else {
                panic!("not granted after {state:?}")
            };
            assert_eq!((ended.state, ended.fence), (end, Fence::new(1, 4)));
        }
    }

    #[test]
    fn the_same_process_asking_again_keeps_its_fence_and_may_do_what_either_grant_says() {
        let Ok(Granted::AlreadyHeld(lease)) = ask(Some(held(LeaseState::Active)), false, holder(1, 1)) else {
            panic!("not held")
        };
        assert_eq!((lease.fence, lease.seq), (Fence::new(1, 4), 10));
        assert_eq!(lease.actions, [Action::Start, Action::Attach]);
        assert_eq!(lease.granted_at, NOW);
    }

    #[test]
    fn another_process_of_the_same_agent_is_another_holder() {
        assert_eq!(
            ask(Some(held(LeaseState::Active)), false, holder(1, 2)),
            Err(Refused::Held)
        );
    }

    #[test]
    fn a_lease_being_revoked_is_not_held_again_by_asking() {
        assert_eq!(
            ask(Some(held(LeaseState::Revoking)), false, holder(1, 1)),
            Err(Refused::Held)
        );
    }

    #[test]
    fn no_asking_stretches_a_lease_beyond_its_life() {
        let old = Lease {
            granted_at: NOW - LIFE,
            ..held(LeaseState::Active)
        };
        assert_eq!(ask(Some(old), false, holder(1, 1)), Err(Refused::Held));
    }

    #[test]
    fn the_end_of_the_fences_is_the_end() {
        let last = Lease {
            fence: Fence::new(1, i64::MAX as u64),
            ..held(LeaseState::Released)
        };
        assert_eq!(ask(Some(last), false, holder(1, 1)), Err(Refused::NoFence));
    }

    #[test]
    fn an_end_is_final() {
        for state in [LeaseState::Released, LeaseState::Expired, LeaseState::Revoked] {
            assert_eq!(held(state).release(), None);
            assert_eq!(held(state).lapse(), None);
        }
        assert_eq!(held(LeaseState::Revoking).release().unwrap().state, LeaseState::Revoked);
    }

    #[test]
    fn every_state_comes_back_from_its_word_and_no_other_word_is_one() {
        for state in LeaseState::ALL {
            assert_eq!(LeaseState::parse(state.as_str()), Some(state));
        }
        assert_eq!(LeaseState::parse("Active"), None);
    }

    fn any_holder() -> impl Strategy<Value = Holder> {
        (1..4u128, 0..2u8).prop_map(|(agent, process)| holder(agent, process))
    }

    proptest! {
        /// Whatever is asked, given back, observed or taken away, in whatever order and epoch.
        #[test]
        fn fences_rise_with_every_new_lease_and_seq_with_every_grant(
            steps in proptest::collection::vec((any_holder(), any::<bool>(), 0..4u8, 1..4u64), 1..60)
        ) {
            let mut newest: Option<Lease> = None;
            for (who, observed_free, what, epoch) in steps {
                let before = newest.clone();
                match what {
                    0 => newest = before.clone().and_then(|l| l.release().or(before.clone())),
                    1 => newest = before.clone().and_then(|l| l.lapse().or(before.clone())),
                    _ => match Lease::ask(before.clone(), observed_free, asked(who.clone(), &[Action::Start]), epoch, NOW) {
                        Ok(Granted::New { lease, .. }) => {
                            if let Some(before) = &before {
                                prop_assert!(lease.fence > before.fence && lease.seq > before.seq);
                                prop_assert!(observed_free || !before.state.is_current());
                            }
                            prop_assert_eq!(&lease.holder, &who);
                            newest = Some(lease);
                        }
                        Ok(Granted::AlreadyHeld(lease)) => {
                            let before = before.expect("there was one");
                            prop_assert_eq!((lease.fence, lease.seq), (before.fence, before.seq + 1));
                            prop_assert_eq!((&before.holder, before.state), (&who, LeaseState::Active));
                            newest = Some(lease);
                        }
                        Err(_) => prop_assert!(before.expect("there was one").state.is_current()),
                    },
                }
            }
        }
    }
}
