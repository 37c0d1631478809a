//! Which service tokens were already used, on which connection. A token is bound to its connection, so this process has
//! seen every use there can be; requests with an effect spend their number in the database as well.
use exarch_common_base::BootTime;
use std::{
    collections::{HashSet, VecDeque},
    sync::Mutex,
    time::Duration,
};

/// A token made by the fastest allowed clock is dead after this: its life, and the skew on both ends.
const KEEP: Duration = Duration::from_secs(121);
/// Beyond this the process refuses rather than forgets.
const MOST: usize = 200_000;

type Key = (u64, String);

#[derive(Debug, Default)]
struct Used {
    set: HashSet<Key>,
    queue: VecDeque<(BootTime, Key)>,
}

/// The used ones, oldest first.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Used>);

impl Seen {
    /// Whether this is the first use of `jti` on `connection`; from now on it is used.
    pub fn first(&self, connection: u64, jti: &str, now: BootTime) -> bool {
        let mut held = self.0.lock().expect("no holder of this lock panics");
        let Used { set, queue } = &mut *held;
        while queue.front().is_some_and(|(at, _)| now.since(*at) > KEEP) {
            if let Some((_, key)) = queue.pop_front() {
                set.remove(&key);
            }
        }
        let key = (connection, jti.to_owned());
        if set.len() >= MOST || !set.insert(key.clone()) {
            return false;
        }
        queue.push_back((now, key));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_once_on_its_connection_and_is_remembered_for_as_long_as_it_lives() {
        let (seen, start) = (Seen::default(), BootTime::from_nanos(0));
        assert!(seen.first(1, "a", start));
        assert!(!seen.first(1, "a", start));
        assert!(seen.first(2, "a", start), "another connection has tokens of its own");
        assert!(!seen.first(1, "a", start + Duration::from_secs(120)));
        assert!(seen.first(1, "a", start + Duration::from_secs(122)));
    }
}
