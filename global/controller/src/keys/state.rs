//! How the users' signing keys stand: for `/readyz?verbose` and for metrics.
use super::Keys;
use std::fmt;
use time::{Duration, OffsetDateTime};

/// For so long keys are trusted that their store has not confirmed: a short outage is none of theirs.
const DEGRADED_AFTER: Duration = Duration::minutes(15);
/// After so long another replica may have retired or revoked what this one still signs with.
const CRITICAL_AFTER: Duration = Duration::days(7);

/// Where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not read yet.
    Loading,
    /// One key signs and verifies.
    Active,
    /// More than one verifies: one follows the other.
    DualActive,
    /// Not confirmed by the store for a while; work goes on.
    Degraded,
    /// Not confirmed for so long that this replica should get no requests.
    Critical,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Loading,
        Self::Active,
        Self::DualActive,
        Self::Degraded,
        Self::Critical,
    ];

    /// The word at `/readyz?verbose` and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Active => "active",
            Self::DualActive => "dual-active",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
        }
    }

    fn of(confirmed_at: OffsetDateTime, published: usize, now: OffsetDateTime) -> Self {
        match now - confirmed_at {
            silent if silent >= CRITICAL_AFTER => Self::Critical,
            silent if silent >= DEGRADED_AFTER => Self::Degraded,
            _ if published > 1 => Self::DualActive,
            _ => Self::Active,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the keys stand, if they were read.
pub fn state(keys: Option<&Keys>, now: OffsetDateTime) -> State {
    let Some(keys) = keys else { return State::Loading };
    let loaded = keys.loaded.load();
    match loaded.ring.signer(now) {
        Some(_) => State::of(loaded.at, loaded.ring.published(now).count(), now),
        None => State::Critical,
    }
}

/// The check of readiness: the state, or why this replica should get no requests.
///
/// # Errors
/// `loading` and `critical`.
pub fn check(keys: Option<&Keys>, now: OffsetDateTime) -> Result<String, String> {
    match state(keys, now) {
        state @ (State::Loading | State::Critical) => Err(state.to_string()),
        state @ (State::Active | State::DualActive | State::Degraded) => Ok(state.to_string()),
    }
}

/// Tells the metrics: each state is 1 or 0, so that an alert can name the one it waits for.
pub fn report(keys: Option<&Keys>, now: OffsetDateTime) {
    let present = state(keys, now);
    for state in State::ALL {
        let value = f64::from(u8::from(state == present));
        metrics::gauge!("exarch_user_signing_key_state", "state" => state.as_str()).set(value);
    }
    if let Some(keys) = keys {
        let loaded = keys.loaded.load();
        metrics::gauge!("exarch_user_signing_keys_published").set(loaded.ring.published(now).count() as f64);
        metrics::gauge!("exarch_user_signing_key_confirmed_timestamp_seconds").set(loaded.at.unix_timestamp() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const T0: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

    #[test]
    fn keys_that_nobody_confirms_are_degraded_after_fifteen_minutes_and_critical_after_seven_days() {
        for (published, fresh) in [(1, State::Active), (2, State::DualActive), (3, State::DualActive)] {
            let at = |later: Duration| State::of(T0, published, T0 + later);
            assert_eq!(at(Duration::ZERO), fresh);
            assert_eq!(at(Duration::minutes(15) - Duration::SECOND), fresh);
            assert_eq!(at(Duration::minutes(15)), State::Degraded);
            assert_eq!(at(Duration::days(7) - Duration::SECOND), State::Degraded);
            assert_eq!(at(Duration::days(7)), State::Critical);
        }
    }

    #[test]
    fn keys_that_were_never_read_are_not_ready() {
        assert_eq!(check(None, T0), Err("loading".to_owned()));
    }
}
