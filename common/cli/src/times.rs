//! Times and durations as people write and read them.
use exarch_common_runtime::settings::duration;
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Reads `30s`, `5m`, `1h30m`; never zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .filter(|d| !d.is_zero())
        .ok_or_else(|| "expected a duration such as 500ms, 30s, 5m or 1h30m".to_owned())
}

/// Checks a time for the wire: RFC 3339.
pub fn instant(text: &str) -> Result<String, String> {
    parse(text)
        .map(|_| text.to_owned())
        .ok_or_else(|| "expected a time such as 2026-12-31T18:00:00Z".to_owned())
}

/// Reads an RFC 3339 time.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// How far `at` lies from `now`, in one unit: `12s`, `3m`, `5h`, `9d`, `2y`; `in 3m` when it is still to come.
pub fn age(now: OffsetDateTime, at: OffsetDateTime) -> String {
    let past = (now - at).whole_seconds();
    let text = seconds(past.unsigned_abs());
    if past < 0 { format!("in {text}") } else { text }
}

/// A length of time in one unit.
pub fn seconds(n: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match n {
        0..120 => format!("{n}s"),
        120..7200 => format!("{}m", n / MINUTE),
        7200..172_800 => format!("{}h", n / HOUR),
        172_800..63_072_000 => format!("{}d", n / DAY),
        _ => format!("{}y", n / (365 * DAY)),
    }
}

/// Milliseconds, to what matters of them.
pub fn millis(n: f64) -> String {
    match n {
        n if n < 10.0 => format!("{n:.1}ms"),
        n if n < 1000.0 => format!("{n:.0}ms"),
        n if n < 10_000.0 => format!("{:.1}s", n / 1000.0),
        n => seconds((n / 1000.0) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn ages_have_one_unit_and_the_future_says_so() {
        let now = datetime!(2026-06-01 12:00 UTC);
        for (ago, text) in [
            (time::Duration::ZERO, "0s"),
            (time::Duration::seconds(119), "119s"),
            (time::Duration::seconds(120), "2m"),
            (time::Duration::minutes(119), "119m"),
            (time::Duration::hours(2), "2h"),
            (time::Duration::hours(47), "47h"),
            (time::Duration::days(2), "2d"),
            (time::Duration::days(729), "729d"),
            (time::Duration::days(730), "2y"),
            (time::Duration::minutes(-15), "in 15m"),
        ] {
            assert_eq!(age(now, now - ago), text);
        }
    }

    #[test]
    fn latencies_keep_what_matters() {
        for (n, text) in [
            (0.84, "0.8ms"),
            (14.2, "14ms"),
            (999.4, "999ms"),
            (1500.0, "1.5s"),
            (30_000.0, "30s"),
        ] {
            assert_eq!(millis(n), text);
        }
    }

    #[test]
    fn a_duration_without_a_unit_or_of_nothing_is_refused() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for bad in ["", "30", "0s", "-1s", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(instant("2026-12-31T18:00:00Z").is_ok());
        assert!(instant("tomorrow").is_err());
    }
}
