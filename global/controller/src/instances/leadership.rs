//! Whether to lead: pure. The row of the leader says who leads and how long ago it was heard; this says what to try. The
//! database decides between several that try at once.
use exarch_common_base::InstanceId;
use std::time::Duration;

/// A leader that was not heard for longer has lost its place to whoever takes it first.
pub(super) const LOST: Duration = Duration::from_secs(5);

/// The row of the leader, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leadership {
    pub term: i64,
    pub holder: Option<InstanceId>,
    /// Since its heartbeat, by the database's clock.
    pub silent: Option<Duration>,
}

/// What to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Try {
    /// To go on in this term.
    Keep(i64),
    /// To begin the term after this one.
    After(i64),
    /// Nothing: another one leads.
    Follow,
}

impl Leadership {
    pub(super) fn seen_by(&self, me: InstanceId) -> Try {
        match (self.holder, self.silent) {
            (Some(holder), _) if holder == me => Try::Keep(self.term),
            (Some(_), Some(silent)) if silent <= LOST => Try::Follow,
            _ => Try::After(self.term),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::Ambient;
    use proptest::prelude::*;

    fn ids() -> [InstanceId; 3] {
        let ambient = Ambient::system();
        [ambient.id(), ambient.id(), ambient.id()]
    }

    #[test]
    fn a_place_that_is_free_or_silent_is_tried_for_and_another_ones_is_not() {
        let [me, other, _] = ids();
        let row = |holder, silent: Option<u64>| Leadership {
            term: 7,
            holder,
            silent: silent.map(Duration::from_secs),
        };
        assert_eq!(row(None, None).seen_by(me), Try::After(7));
        assert_eq!(
            row(None, Some(0)).seen_by(me),
            Try::After(7),
            "the last one left in order"
        );
        assert_eq!(row(Some(other), Some(5)).seen_by(me), Try::Follow);
        assert_eq!(row(Some(other), Some(6)).seen_by(me), Try::After(7));
        assert_eq!(row(Some(me), Some(60)).seen_by(me), Try::Keep(7), "nobody took it");
    }

    /// The row, as compare-and-set changes it.
    struct Row {
        term: i64,
        holder: Option<InstanceId>,
        heard: u64,
    }

    proptest! {
        /// Three replicas read the row, are held up for any time, and then try what they had decided. A term has one leader.
        #[test]
        fn a_term_never_has_two_leaders(steps in proptest::collection::vec((0..3usize, any::<bool>(), 0..4u64), 1..200)) {
            let all = ids();
            let (mut row, mut now) = (Row { term: 0, holder: None, heard: 0 }, 0u64);
            let mut decided = [None; 3];
            let mut led = std::collections::HashMap::new();
            for (who, reads, pause) in steps {
                now += pause;
                if reads {
                    let silent = row.holder.map(|_| Duration::from_secs(now - row.heard));
                    let seen = Leadership { term: row.term, holder: row.holder, silent };
                    decided[who] = Some(seen.seen_by(all[who]));
                    continue;
                }
                let leads = match decided[who].take() {
                    Some(Try::Keep(term)) => row.term == term && row.holder == Some(all[who]),
                    Some(Try::After(term)) => {
                        let free = row.holder.is_none() || Duration::from_secs(now - row.heard) > LOST;
                        let taken = row.term == term && free;
                        if taken {
                            (row.term, row.holder) = (term + 1, Some(all[who]));
                        }
                        taken
                    }
                    _ => false,
                };
                if leads {
                    row.heard = now;
                    let leader = *led.entry(row.term).or_insert(who);
                    prop_assert_eq!(leader, who);
                }
            }
        }
    }
}
