//! What waits to be written, within a bound in all and one for each of those who cause it.
use crate::BootTime;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard},
};

/// Things that wait, and who caused how many of them within this second. Whoever causes more than a share does not crowd out
/// the others, and all of them together do not use up the memory.
#[derive(Debug)]
pub struct Waiting<K, T> {
    room: usize,
    share: u32,
    inner: Mutex<Inner<K, T>>,
}

#[derive(Debug)]
struct Inner<K, T> {
    things: Vec<T>,
    second: u64,
    /// No more keys than things were let in within the second.
    shares: HashMap<K, u32>,
}

/// Why a thing was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Too much waits.
    Full,
    /// Who caused it caused too many within this second.
    Share,
}

impl Lost {
    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Share => "share",
        }
    }
}

impl<K: Eq + Hash, T> Waiting<K, T> {
    /// At most `room` at one time, and `share` a second of each.
    pub fn new(room: usize, share: u32) -> Self {
        let inner = Inner {
            things: Vec::new(),
            second: 0,
            shares: HashMap::new(),
        };
        Self {
            room,
            share,
            inner: Mutex::new(inner),
        }
    }

    /// Takes a thing that `by` causes at `now`; how many wait then. It is made only if there is room for it.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn push(&self, now: BootTime, by: K, thing: impl FnOnce() -> T) -> Result<usize, Lost> {
        let mut inner = self.lock();
        if inner.things.len() >= self.room {
            return Err(Lost::Full);
        }
        let second = now.nanos() / 1_000_000_000;
        if inner.second != second {
            inner.second = second;
            inner.shares.clear();
        }
        let share = inner.shares.entry(by).or_default();
        if *share >= self.share {
            return Err(Lost::Share);
        }
        *share += 1;
        inner.things.push(thing());
        Ok(inner.things.len())
    }

    /// All that waits, which waits no more.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.lock().things)
    }

    /// Puts back what could not be written, as far as there is room; how many there was none for.
    pub fn put_back(&self, things: Vec<T>) -> usize {
        let mut inner = self.lock();
        let fits = self.room.saturating_sub(inner.things.len()).min(things.len());
        let lost = things.len() - fits;
        inner.things.extend(things.into_iter().take(fits));
        lost
    }

    /// What `pick` makes of the first thing of which it makes anything.
    pub fn find<R>(&self, pick: impl Fn(&T) -> Option<R>) -> Option<R> {
        self.lock().things.iter().find_map(pick)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().things.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, T>> {
        // what is half done under it is still a list of things
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> BootTime {
        BootTime::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn one_that_causes_too_much_leaves_room_for_the_others() {
        let waiting = Waiting::new(10, 3);
        for n in 0..3 {
            assert_eq!(waiting.push(at(0), "a", || n), Ok(n + 1));
        }
        assert_eq!(waiting.push(at(999), "a", || 9), Err(Lost::Share));
        assert_eq!(waiting.push(at(999), "b", || 4), Ok(4));
        assert_eq!(waiting.push(at(1000), "a", || 5), Ok(5));
    }

    #[test]
    fn all_together_have_a_bound_and_what_is_put_back_counts() {
        let waiting = Waiting::new(3, 3);
        for n in 0..3 {
            waiting.push(at(0), n, || n).unwrap();
        }
        assert_eq!(waiting.push(at(0), 9, || 9), Err(Lost::Full));
        let taken = waiting.take();
        waiting.push(at(0), 9, || 9).unwrap();
        assert_eq!(waiting.put_back(taken), 1);
        assert_eq!(waiting.len(), 3);
    }
}
