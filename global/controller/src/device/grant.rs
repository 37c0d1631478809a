//! A device grant (RFC 8628): what an answer to the device depends on.
use time::{Duration, OffsetDateTime};

/// How long both codes are good.
pub const LIFE: Duration = Duration::minutes(10);
/// Seconds between two questions of the device, at first.
pub const INTERVAL: u32 = 5;
/// By how much asking too often prolongs it (section 3.5).
const SLOWER: u32 = 5;
/// A device that asks for ever too often waits no longer than this.
const SLOWEST: u32 = 60;

/// What became of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has answered.
    Pending,
    /// Somebody let it in.
    Approved,
    /// Somebody refused.
    Denied,
    /// The tokens were given.
    Taken,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Approved, Self::Denied, Self::Taken];

    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Taken => "taken",
        }
    }
}

/// How far a grant has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What became of it.
    pub state: State,
    /// Until when.
    pub expires_at: OffsetDateTime,
    /// Seconds between two questions.
    pub interval: u32,
    /// When the device asked last.
    pub polled_at: Option<OffsetDateTime>,
}

/// What the device is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// `authorization_pending`.
    Pending,
    /// `slow_down`.
    SlowDown,
    /// `expired_token`.
    Expired,
    /// `access_denied`.
    Denied,
    /// The tokens.
    Give,
    /// `invalid_grant`: they were given.
    Spent,
}

impl Grant {
    /// The device asks.
    #[must_use]
    pub fn poll(mut self, now: OffsetDateTime) -> (Self, Poll) {
        let answer = match self.state {
            State::Taken => Poll::Spent,
            State::Denied => Poll::Denied,
            State::Pending | State::Approved if now >= self.expires_at => Poll::Expired,
            State::Approved => {
                self.state = State::Taken;
                Poll::Give
            }
            State::Pending => {
                let early = self
                    .polled_at
                    .is_some_and(|last| now < last + Duration::seconds(self.interval.into()));
                self.polled_at = Some(now);
                if early {
                    self.interval = (self.interval + SLOWER).min(SLOWEST);
                    Poll::SlowDown
                } else {
                    Poll::Pending
                }
            }
        };
        (self, answer)
    }
}

/// Consonants that no eye confuses and that make no words (section 6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const CHARACTERS: usize = 8;

/// A code for people, `BCDF-GHJK`, from more randomness than it takes: bytes that would make some letters likelier are left out.
pub fn user_code(random: &[u8]) -> Option<String> {
    let even = 256 - 256 % ALPHABET.len();
    let mut letters = random
        .iter()
        .map(|byte| usize::from(*byte))
        .filter(|byte| *byte < even)
        .map(|byte| char::from(ALPHABET[byte % ALPHABET.len()]));
    let first: String = letters.by_ref().take(CHARACTERS / 2).collect();
    let second: String = letters.take(CHARACTERS / 2).collect();
    let code = format!("{first}-{second}");
    (code.len() == CHARACTERS + 1).then_some(code)
}

/// A code as somebody typed it, in its one spelling; nothing for what can be none.
pub fn read_user_code(typed: &str) -> Option<String> {
    let bare: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let good = bare.len() == CHARACTERS && bare.bytes().all(|b| ALPHABET.contains(&b));
    good.then(|| format!("{}-{}", &bare[..CHARACTERS / 2], &bare[CHARACTERS / 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const T0: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

    fn fresh() -> Grant {
        Grant {
            state: State::Pending,
            expires_at: T0 + LIFE,
            interval: INTERVAL,
            polled_at: None,
        }
    }

    #[test]
    fn who_asks_too_early_is_told_to_slow_down_and_has_to() {
        let (grant, first) = fresh().poll(T0);
        let (grant, early) = grant.poll(T0 + Duration::seconds(4));
        assert_eq!((first, early, grant.interval), (Poll::Pending, Poll::SlowDown, 10));
        let (grant, still) = grant.poll(T0 + Duration::seconds(13));
        assert_eq!((still, grant.interval), (Poll::SlowDown, 15));
        assert_eq!(grant.poll(T0 + Duration::seconds(28)).1, Poll::Pending);
    }

    #[test]
    fn an_answer_is_final_and_the_tokens_are_given_once() {
        let approved = Grant {
            state: State::Approved,
            ..fresh()
        };
        let (taken, give) = approved.clone().poll(T0);
        assert_eq!((give, taken.clone().poll(T0).1), (Poll::Give, Poll::Spent));
        assert_eq!(approved.poll(T0 + LIFE).1, Poll::Expired);
        let denied = Grant {
            state: State::Denied,
            ..fresh()
        };
        assert_eq!(denied.poll(T0 + LIFE).1, Poll::Denied);
        assert_eq!(fresh().poll(T0 + LIFE).1, Poll::Expired);
    }

    proptest! {
        #[test]
        fn nothing_is_given_before_an_approval_nor_twice_nor_late(
            steps in proptest::collection::vec((0i64..90, any::<bool>()), 1..60),
            approve_at in 0usize..60,
        ) {
            let (mut grant, mut now, mut given) = (fresh(), T0, 0);
            for (n, (seconds, _)) in steps.into_iter().enumerate() {
                now += Duration::seconds(seconds);
                if n == approve_at && grant.state == State::Pending {
                    grant.state = State::Approved;
                }
                let (next, answer) = grant.poll(now);
                grant = next;
                if answer == Poll::Give {
                    given += 1;
                    prop_assert!(n >= approve_at && now < T0 + LIFE);
                }
                prop_assert!(grant.interval <= SLOWEST);
            }
            prop_assert!(given <= 1);
        }

        #[test]
        fn a_code_reads_back_however_it_is_typed(random in proptest::collection::vec(any::<u8>(), 64)) {
            if let Some(code) = user_code(&random) {
                prop_assert_eq!(read_user_code(&code.to_lowercase().replace('-', " ")), Some(code.clone()));
                prop_assert_eq!(read_user_code(&code[1..]), None);
            }
        }
    }

    #[test]
    fn vowels_and_digits_are_no_code() {
        for text in ["", "ABCD-EFGH", "1234-5678", "BCDF-GHJKL"] {
            assert_eq!(read_user_code(text), None, "{text}");
        }
        assert_eq!(user_code(&[255; 64]), None);
    }
}
