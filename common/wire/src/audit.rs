//! The form of an audit row, the same at the global and in every region. What ties rows together is in `chain`.
mod chain;

pub use chain::{Broken, GENESIS, Head, Row, walk};

use exarch_common_base::{Ambient, AuditId, DecisionId, RequestId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use uuid::Uuid;

/// Under which tenant the provider's own rows are kept. No tenant is ever given this id: new ones are of their time.
pub const PROVIDER: TenantId = TenantId::from_uuid(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001));

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Done.
    Ok,
    /// Refused.
    Denied,
    /// Tried and not done.
    Failed,
}

impl Outcome {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }

    /// The outcome of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Ok, Self::Denied, Self::Failed]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

/// Under which circumstances it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flag {
    /// In a session that the region continued by itself.
    Continued,
    /// Decided without the centre.
    Offline,
    /// By a process on the validated module.
    Fips,
    /// By the provider's people, from outside the tenant.
    Provider,
}

impl Flag {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continued => "continued",
            Self::Offline => "offline",
            Self::Fips => "fips",
            Self::Provider => "provider",
        }
    }

    /// The flag of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Continued, Self::Offline, Self::Fips, Self::Provider]
            .into_iter()
            .find(|flag| flag.as_str() == word)
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `user`, `api-key`, `agent`, `peer`, `operator`, `system`, `anonymous`.
    pub kind: String,
    /// Its id, never a name.
    pub id: String,
}

impl Actor {
    /// Any actor.
    pub fn new(kind: impl Into<String>, id: impl ToString) -> Self {
        Self {
            kind: kind.into(),
            id: id.to_string(),
        }
    }

    /// A process of ours, by the name of what it does.
    pub fn system(what: &str) -> Self {
        Self::new("system", what)
    }
}

/// From where it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Network address.
    pub address: Option<String>,
    /// The client's own name for itself, cut to 256 characters.
    pub user_agent: Option<String>,
}

/// One thing that happened, before it has its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id.
    pub id: AuditId,
    /// Whose: a tenant, or [`PROVIDER`].
    pub tenant: TenantId,
    /// When; whole microseconds, the database keeps no more.
    pub at: OffsetDateTime,
    /// Who did it.
    pub actor: Actor,
    /// For whom, when not for itself.
    pub on_behalf_of: Option<String>,
    /// What: `resource.action`.
    pub action: String,
    /// What kind of thing it was done to.
    pub target_kind: String,
    /// Which.
    pub target_id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: Option<String>,
    /// What was, as far as it changed and may be told.
    pub before: Option<Json>,
    /// What is since.
    pub after: Option<Json>,
    /// The policy's decision.
    pub decision: Option<DecisionId>,
    /// The request.
    pub request: Option<RequestId>,
    /// From where.
    pub source: Source,
    /// The break-glass grant it was done under.
    pub break_glass: Option<String>,
    /// Under which circumstances.
    pub flags: BTreeSet<Flag>,
}

impl Entry {
    /// Something that `actor` did, now; the rest is set by the methods below or in the fields.
    pub fn new(
        ambient: &Ambient,
        tenant: TenantId,
        actor: Actor,
        action: &str,
        target_kind: &str,
        target_id: impl ToString,
    ) -> Self {
        Self {
            id: ambient.id(),
            tenant,
            at: whole_micros(ambient.now()),
            actor,
            on_behalf_of: None,
            action: action.to_owned(),
            target_kind: target_kind.to_owned(),
            target_id: target_id.to_string(),
            outcome: Outcome::Ok,
            reason: None,
            before: None,
            after: None,
            decision: None,
            request: None,
            source: Source::default(),
            break_glass: None,
            flags: BTreeSet::new(),
        }
    }

    /// The same with another outcome and why.
    #[must_use]
    pub fn ended(mut self, outcome: Outcome, reason: impl Into<String>) -> Self {
        self.outcome = outcome;
        self.reason = Some(reason.into());
        self
    }

    /// The same with what is since. Neither side may hold a secret.
    #[must_use]
    pub fn after(mut self, after: Json) -> Self {
        self.after = Some(after);
        self
    }

    /// The same with what was.
    #[must_use]
    pub fn before(mut self, before: Json) -> Self {
        self.before = Some(before);
        self
    }

    /// The same with the request it came by.
    #[must_use]
    pub fn by_request(mut self, request: RequestId, source: Source) -> Self {
        self.request = Some(request);
        self.source = source;
        self
    }
}

fn whole_micros(at: OffsetDateTime) -> OffsetDateTime {
    let nanos = at.nanosecond() - at.nanosecond() % 1000;
    at.replace_nanosecond(nanos).expect("less than a second as before")
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_are_kept_to_what_the_database_keeps() {
        let (ambient, _) = Ambient::manual(datetime!(2026-01-01 12:00:00.123456789 UTC), 1);
        let entry = Entry::new(&ambient, PROVIDER, Actor::system("test"), "tenant.create", "tenant", 1);
        assert_eq!(entry.at, datetime!(2026-01-01 12:00:00.123456 UTC));
    }

    #[test]
    fn words_read_back() {
        for outcome in [Outcome::Ok, Outcome::Denied, Outcome::Failed] {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
        for flag in [Flag::Continued, Flag::Offline, Flag::Fips] {
            assert_eq!(Flag::parse(flag.as_str()), Some(flag));
        }
        assert_eq!((Outcome::parse("OK"), Flag::parse("")), (None, None));
    }
}
