//! An agent: its states, and the chain of its sessions. Pure.
use exarch_common_crypto::{hash::sha256, mac};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// Waits for a person's approval; executes nothing.
    Pending,
    /// Works.
    Active,
    /// Put aside by a person, for a time.
    Suspended,
    /// Put aside by the region: its identity was used from two places.
    Quarantined,
    /// Out, for good.
    Revoked,
    /// Gone.
    Removed,
}

impl AgentState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Active,
        Self::Suspended,
        Self::Quarantined,
        Self::Revoked,
        Self::Removed,
    ];

    /// The word in the database and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Quarantined => "quarantined",
            Self::Revoked => "revoked",
            Self::Removed => "removed",
        }
    }

    /// The state of a word; none for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// A person lets it in; nothing unless it waits for that.
    pub const fn approve(self) -> Option<Self> {
        match self {
            Self::Pending => Some(Self::Active),
            Self::Active | Self::Suspended | Self::Quarantined | Self::Revoked | Self::Removed => None,
        }
    }

    /// A person puts it aside; nothing unless it works.
    pub const fn suspend(self) -> Option<Self> {
        match self {
            Self::Active => Some(Self::Suspended),
            Self::Pending | Self::Suspended | Self::Quarantined | Self::Revoked | Self::Removed => None,
        }
    }

    /// A person lets it work again; nothing unless a person had put it aside. From quarantine there is no such way: one of
    /// the two that have the identity would come back with it.
    pub const fn resume(self) -> Option<Self> {
        match self {
            Self::Suspended => Some(Self::Active),
            Self::Pending | Self::Active | Self::Quarantined | Self::Revoked | Self::Removed => None,
        }
    }

    /// It comes in again with another key; nothing when it never came in, or a person put it aside or out.
    pub const fn re_enrol(self) -> Option<Self> {
        match self {
            Self::Active | Self::Quarantined => Some(Self::Active),
            Self::Pending | Self::Suspended | Self::Revoked | Self::Removed => None,
        }
    }

    /// Forgets it; nothing while it works, or when it is gone.
    pub const fn remove(self) -> Option<Self> {
        match self {
            Self::Pending | Self::Suspended | Self::Quarantined | Self::Revoked => Some(Self::Removed),
            Self::Active | Self::Removed => None,
        }
    }

    /// Takes everything from it, for good; nothing when it has nothing any more.
    pub const fn revoke(self) -> Option<Self> {
        match self {
            Self::Pending | Self::Active | Self::Suspended | Self::Quarantined => Some(Self::Revoked),
            Self::Revoked | Self::Removed => None,
        }
    }

    /// Its identity turned up in two places; nothing when it may do nothing anyway.
    pub const fn quarantine(self) -> Option<Self> {
        match self {
            Self::Active | Self::Suspended => Some(Self::Quarantined),
            Self::Pending | Self::Quarantined | Self::Revoked | Self::Removed => None,
        }
    }
}

/// A link of the chain, written `position.random`. The position is in clear, so that an old link is known for old without a
/// memory of all links there ever were; an agent cannot lie about it without signing the lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    position: u64,
    text: String,
}

impl Link {
    /// The link at `position`.
    pub fn new(position: u64, random: &[u8; 32]) -> Self {
        Self {
            position,
            text: format!("{position}.{}", hex::encode(random)),
        }
    }

    /// Reads a link; one spelling only.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, random) = text.split_once('.')?;
        let position = number.parse().ok()?;
        let random = hex::decode(random).ok()?.try_into().ok()?;
        Some(Self::new(position, &random)).filter(|link| link.text == text)
    }

    /// As the agent gets it and shows it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the region keeps of it.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.text.as_bytes())
    }
}

/// What the region keeps of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The position that the next opening uses.
    pub position: u64,
    /// Hash of the link there.
    pub hash: [u8; 32],
    /// Hash of the request that used the position before; none at the first.
    pub request: Option<[u8; 32]>,
}

/// What a signed opening is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The next one: the link is spent by it.
    Next,
    /// The last one again, byte for byte: it gets the same answer.
    Repeat,
    /// Another one at a position that was used: the identity exists twice.
    Copied,
    /// One that this region has never given a link for: the region has forgotten, or the agent was told by another.
    Ahead,
    /// A link that was never given out, where one was to be used.
    Foreign,
}

impl Chain {
    /// Judges a request, whose signature has been verified, by the link that it shows and its own hash.
    pub fn judge(&self, shown: &Link, request: &[u8; 32]) -> Turn {
        if shown.position > self.position {
            return Turn::Ahead;
        }
        if shown.position == self.position {
            return match mac::equal(&shown.hash(), &self.hash) {
                true => Turn::Next,
                false => Turn::Foreign,
            };
        }
        match self.request {
            Some(last) if shown.position + 1 == self.position && last == *request => Turn::Repeat,
            _ => Turn::Copied,
        }
    }

    /// The chain after `request` has used its position and received `next`.
    pub fn follow(&self, request: [u8; 32], next: &Link) -> Self {
        Self {
            position: next.position,
            hash: next.hash(),
            request: Some(request),
        }
    }

    /// The position after the next opening.
    pub fn after(&self) -> u64 {
        self.position + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(position: u64) -> Link {
        Link::new(position, &[position as u8; 32])
    }

    fn fresh() -> Chain {
        Chain {
            position: 1,
            hash: link(1).hash(),
            request: None,
        }
    }

    #[test]
    fn each_position_is_used_once_and_its_last_request_may_be_repeated() {
        let first = fresh();
        assert_eq!(first.judge(&link(1), &[1; 32]), Turn::Next);
        let second = first.follow([1; 32], &link(2));
        assert_eq!(second.judge(&link(1), &[1; 32]), Turn::Repeat);
        assert_eq!(second.judge(&link(2), &[2; 32]), Turn::Next);
        let third = second.follow([2; 32], &link(3));
        assert_eq!(third.judge(&link(2), &[2; 32]), Turn::Repeat);
    }

    #[test]
    fn other_bytes_at_a_used_position_mean_a_copy_however_old_the_position_is() {
        let third = fresh().follow([1; 32], &link(2)).follow([2; 32], &link(3));
        assert_eq!(third.judge(&link(2), &[9; 32]), Turn::Copied);
        assert_eq!(third.judge(&link(1), &[9; 32]), Turn::Copied);
        assert_eq!(third.judge(&link(1), &[1; 32]), Turn::Copied);
    }

    #[test]
    fn a_link_that_was_never_given_is_no_proof_of_a_copy() {
        let chain = fresh().follow([1; 32], &link(2));
        assert_eq!(chain.judge(&Link::new(2, &[7; 32]), &[2; 32]), Turn::Foreign);
        assert_eq!(chain.judge(&link(3), &[2; 32]), Turn::Ahead);
    }

    #[test]
    fn links_have_one_spelling() {
        let good = Link::new(10, &[0xab; 32]);
        assert_eq!(Link::parse(good.as_str()), Some(good.clone()));
        for bad in [
            "",
            "7",
            ".",
            &good.as_str().to_uppercase(),
            &format!("0{}", good.as_str()),
            &format!("+{}", good.as_str()),
            &good.as_str()[..good.as_str().len() - 2],
            &format!("{}\n", good.as_str()),
        ] {
            assert_eq!(Link::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_agent_that_is_out_stays_out() {
        for state in [AgentState::Revoked, AgentState::Removed] {
            let ways_back = [
                state.approve(),
                state.suspend(),
                state.resume(),
                state.re_enrol(),
                state.quarantine(),
                state.revoke(),
            ];
            assert_eq!(ways_back, [None; 6]);
        }
        assert_eq!(AgentState::Pending.approve(), Some(AgentState::Active));
        assert_eq!(AgentState::Quarantined.approve(), None);
    }

    type Step = fn(AgentState) -> Option<AgentState>;

    #[test]
    fn nobody_works_after_quarantine_by_the_key_that_was_copied() {
        // every way to `active` but that with another key
        let ways: [Step; 2] = [AgentState::approve, AgentState::resume];
        for way in ways {
            assert_eq!(way(AgentState::Quarantined), None);
        }
        assert_eq!(AgentState::Quarantined.re_enrol(), Some(AgentState::Active));
        assert_eq!(
            AgentState::Quarantined.suspend(),
            None,
            "nor by being suspended and resumed"
        );
    }

    proptest! {
        /// Whatever people and the region do, in whatever order: out is out, gone is gone, and who works was let in.
        #[test]
        fn from_out_there_is_no_way_back(steps in proptest::collection::vec(0usize..7, 1..30)) {
            let ways: [Step; 7] = [
                AgentState::approve, AgentState::suspend, AgentState::resume, AgentState::re_enrol,
                AgentState::quarantine, AgentState::revoke, AgentState::remove,
            ];
            let (mut state, mut approved, mut out) = (AgentState::Pending, false, false);
            for step in steps {
                let Some(next) = ways[step](state) else { continue };
                prop_assert!(next != state || step == 3, "only who comes in again stays what it was");
                approved |= step == 0;
                out |= step == 5 || step == 6;
                state = next;
                prop_assert!(state != AgentState::Active || (approved && !out));
                prop_assert!(!out || matches!(state, AgentState::Revoked | AgentState::Removed));
            }
        }

        /// A genuine agent that is interrupted anywhere, and repeats as it must, is never taken for a copy.
        #[test]
        fn a_genuine_agent_is_never_suspected(answers_lost in proptest::collection::vec(any::<bool>(), 1..40)) {
            let (mut chain, mut known) = (fresh(), link(1));
            for (n, lost) in answers_lost.into_iter().enumerate() {
                let request = sha256(&n.to_be_bytes());
                prop_assert_eq!(chain.judge(&known, &request), Turn::Next);
                let next = link(chain.after());
                chain = chain.follow(request, &next);
                if lost {
                    prop_assert_eq!(chain.judge(&known, &request), Turn::Repeat);
                }
                known = next;
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,100}") {
            let _ = Link::parse(&text);
        }
    }
}
