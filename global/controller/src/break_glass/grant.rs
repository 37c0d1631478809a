//! A grant and its life: pure.
use exarch_common_base::{BreakGlassId, Slug, TenantId, UserId};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// How long a request waits for an answer.
pub const WAITS: Duration = Duration::HOUR;
/// How long before it begins the members of a tenant hear of a rescue.
pub const NOTICE: Duration = Duration::DAY;
/// Minutes that a grant lasts at most.
pub const MOST: u16 = 60;

/// What it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BreakGlassMode)]
pub enum Mode {
    /// To look.
    #[default]
    Read,
    /// To repair.
    Write,
}

impl Mode {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BreakGlassState)]
pub enum State {
    /// Waits for another person.
    Requested,
    /// In force, or about to be.
    Approved,
    /// Refused by another person.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// Over, by somebody or by the clock.
    Ended,
}

impl State {
    /// The word in the database and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }

    /// The state of a word; one that this build does not know is over.
    pub fn parse(word: &str) -> Self {
        let all = [Self::Requested, Self::Approved, Self::Denied, Self::Expired];
        all.into_iter()
            .find(|state| state.as_str() == word)
            .unwrap_or(Self::Ended)
    }
}

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: BreakGlassId,
    pub tenant: TenantId,
    pub tenant_slug: Slug,
    pub requester: UserId,
    pub mode: Mode,
    pub reason: String,
    pub ticket: String,
    pub minutes: u16,
    /// Nobody is left to administer the tenant: two people approve, and it begins a day later.
    pub rescue: bool,
    /// As stored; what the clock has ended meanwhile is in [`Grant::state_at`].
    pub state: State,
    pub requested_at: OffsetDateTime,
    pub seconded_by: Option<UserId>,
    pub decided_by: Option<UserId>,
    pub decided_at: Option<OffsetDateTime>,
    pub from: Option<OffsetDateTime>,
    pub until: Option<OffsetDateTime>,
    pub ended_by: Option<String>,
    pub ended_at: Option<OffsetDateTime>,
}

/// Why a step is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nobody decides on their own request.
    Own,
    /// A rescue takes two.
    Twice,
    /// It stands elsewhere.
    State(State),
}

/// What an approval did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// One more person must approve.
    Seconded,
    /// It is in force from its time on.
    Whole,
}

impl Grant {
    /// Where it stands at `now`.
    pub fn state_at(&self, now: OffsetDateTime) -> State {
        match self.state {
            State::Requested if now >= self.answer_by() => State::Expired,
            State::Approved if self.until.is_none_or(|until| now >= until) => State::Ended,
            stored => stored,
        }
    }

    /// Until when somebody may answer.
    pub fn answer_by(&self) -> OffsetDateTime {
        self.requested_at + WAITS
    }

    /// Approved by `by`.
    ///
    /// # Errors
    /// By the requester, by the same person twice, or when it does not wait.
    pub fn approve(&mut self, by: UserId, now: OffsetDateTime) -> Result<Approval, Refused> {
        self.decidable(by, now)?;
        match self.seconded_by {
            None if self.rescue => {
                self.seconded_by = Some(by);
                return Ok(Approval::Seconded);
            }
            Some(first) if first == by => return Err(Refused::Twice),
            _ => {}
        }
        let from = if self.rescue { now + NOTICE } else { now };
        self.decide(State::Approved, by, now);
        self.from = Some(from);
        self.until = Some(from + Duration::minutes(i64::from(self.minutes)));
        Ok(Approval::Whole)
    }

    /// Denied by `by`.
    ///
    /// # Errors
    /// By the requester, who ends it instead, or when it does not wait.
    pub fn deny(&mut self, by: UserId, now: OffsetDateTime) -> Result<(), Refused> {
        self.decidable(by, now)?;
        if self.seconded_by == Some(by) {
            self.seconded_by = None;
        }
        self.decide(State::Denied, by, now);
        Ok(())
    }

    /// Ended by somebody, waiting or in force.
    ///
    /// # Errors
    /// When it is over.
    pub fn end(&mut self, by: UserId, now: OffsetDateTime) -> Result<(), Refused> {
        match self.state_at(now) {
            State::Requested | State::Approved => {}
            over => return Err(Refused::State(over)),
        }
        self.state = State::Ended;
        self.ended_by = Some(by.to_string());
        self.ended_at = Some(now);
        Ok(())
    }

    /// Writes down what the clock has done; false when there is nothing.
    pub fn catch_up(&mut self, now: OffsetDateTime) -> bool {
        let state = self.state_at(now);
        if state == self.state {
            return false;
        }
        self.ended_at = match state {
            State::Ended => self.until.or(Some(now)),
            _ => Some(self.answer_by()),
        };
        self.state = state;
        self.ended_by = Some("time".to_owned());
        true
    }

    fn decidable(&self, by: UserId, now: OffsetDateTime) -> Result<(), Refused> {
        if by == self.requester {
            return Err(Refused::Own);
        }
        match self.state_at(now) {
            State::Requested => Ok(()),
            other => Err(Refused::State(other)),
        }
    }

    fn decide(&mut self, state: State, by: UserId, now: OffsetDateTime) {
        self.state = state;
        self.decided_by = Some(by);
        self.decided_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use uuid::Uuid;

    const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn person(n: u128) -> UserId {
        Uuid::from_u128(n).into()
    }

    fn request(rescue: bool) -> Grant {
        Grant {
            id: Uuid::from_u128(1).into(),
            tenant: Uuid::from_u128(2).into(),
            tenant_slug: "north".parse().unwrap(),
            requester: person(1),
            mode: Mode::Write,
            reason: "r".into(),
            ticket: "t".into(),
            minutes: 30,
            rescue,
            state: State::Requested,
            requested_at: NOW,
            seconded_by: None,
            decided_by: None,
            decided_at: None,
            from: None,
            until: None,
            ended_by: None,
            ended_at: None,
        }
    }

    #[test]
    fn it_takes_another_person_and_lasts_as_long_as_was_asked() {
        let mut grant = request(false);
        assert_eq!(grant.approve(person(1), NOW), Err(Refused::Own));
        assert_eq!(grant.deny(person(1), NOW), Err(Refused::Own));
        assert_eq!(grant.approve(person(2), NOW), Ok(Approval::Whole));
        assert_eq!(grant.approve(person(3), NOW), Err(Refused::State(State::Approved)));
        let until = NOW + Duration::minutes(30);
        assert_eq!((grant.from, grant.until), (Some(NOW), Some(until)));
        assert_eq!(grant.state_at(until - Duration::SECOND), State::Approved);
        assert_eq!(grant.state_at(until), State::Ended);
        assert_eq!(grant.end(person(9), until), Err(Refused::State(State::Ended)));
        assert!(grant.catch_up(until) && !grant.catch_up(until));
        assert_eq!((grant.ended_by.as_deref(), grant.ended_at), (Some("time"), Some(until)));
    }

    #[test]
    fn a_request_waits_an_hour() {
        let mut grant = request(false);
        let late = NOW + WAITS;
        assert_eq!(grant.approve(person(2), late), Err(Refused::State(State::Expired)));
        assert_eq!(grant.end(person(1), late), Err(Refused::State(State::Expired)));
        assert!(grant.catch_up(late));
        assert_eq!(grant.state, State::Expired);
    }

    #[test]
    fn a_rescue_takes_two_others_and_a_day() {
        let mut grant = request(true);
        assert_eq!(grant.approve(person(2), NOW), Ok(Approval::Seconded));
        assert_eq!(grant.state_at(NOW), State::Requested);
        assert_eq!(grant.approve(person(2), NOW), Err(Refused::Twice));
        assert_eq!(grant.approve(person(1), NOW), Err(Refused::Own));
        assert_eq!(grant.approve(person(3), NOW), Ok(Approval::Whole));
        assert_eq!(grant.from, Some(NOW + NOTICE));
        assert_eq!(grant.until, Some(NOW + NOTICE + Duration::minutes(30)));
    }

    #[test]
    fn what_is_denied_or_ended_stays_so() {
        for over in [
            |grant: &mut Grant| grant.deny(person(2), NOW),
            |grant: &mut Grant| grant.end(person(1), NOW),
        ] {
            let mut grant = request(false);
            over(&mut grant).unwrap();
            let state = grant.state;
            assert_eq!(grant.approve(person(3), NOW), Err(Refused::State(state)));
            assert_eq!(grant.deny(person(3), NOW), Err(Refused::State(state)));
            assert_eq!(grant.end(person(3), NOW), Err(Refused::State(state)));
            assert!(!grant.catch_up(NOW + Duration::DAY));
        }
    }

    #[test]
    fn a_state_of_a_later_build_is_over() {
        assert_eq!(State::parse("requested"), State::Requested);
        assert_eq!(State::parse("prolonged"), State::Ended);
    }
}
