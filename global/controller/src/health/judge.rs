//! What an answer to a probe means. The figures are the region's own words; what is wrong with them is said here.
use exarch_common_wire::{
    PROTOCOL_MIN,
    health::{DatabaseIdentity, InstanceReport, ProbeAnswer},
};

/// Clocks that differ by more are reported, in milliseconds.
pub const SKEW_ALARM_MS: i64 = 10_000;
/// Clocks that differ by more degrade a region: from here on its tokens are refused.
pub const SKEW_DEGRADED_MS: i64 = 30_000;
/// A passport older than this, in seconds, no longer lets a region do everything.
pub const PASSPORT_STALE: u64 = 15 * 60;
/// A region's certificate is renewed daily and good for thirty days: below this many, renewal has failed for weeks.
pub const CERTIFICATE_DAYS: i64 = 7;

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What fails, each in a sentence; nothing when all is well.
    pub failing: Vec<String>,
    /// The region's clock less ours, milliseconds.
    pub skew_ms: i64,
    /// The highest identity of its database, this answer included.
    pub database: Option<DatabaseIdentity>,
}

impl Judgement {
    /// Whether its clock is so far off that somebody should look.
    pub fn skew_alarm(&self) -> bool {
        self.skew_ms.abs() > SKEW_ALARM_MS
    }

    /// The failing parts as one text.
    pub fn reason(&self) -> Option<String> {
        (!self.failing.is_empty()).then(|| self.failing.join(" "))
    }
}

/// Judges an answer whose MAC and challenge were right. `sent_ms` and `received_ms` are our clock around it; `seen` is the
/// highest identity of the region's database so far.
pub fn judge(answer: &ProbeAnswer, sent_ms: i64, received_ms: i64, seen: Option<&DatabaseIdentity>) -> Judgement {
    let skew_ms = worst_skew(answer, answer.clock_ms - (sent_ms + (received_ms - sent_ms) / 2));
    let mut failing = Vec::new();
    if answer.protocol < PROTOCOL_MIN {
        failing.push(format!("It speaks protocol {}, which is too old.", answer.protocol));
    }
    if answer.database_us.is_none() {
        failing.push("Its database does not answer.".to_owned());
    }
    if skew_ms.abs() > SKEW_DEGRADED_MS {
        failing.push(format!("Its clock is off by {} s.", skew_ms / 1000));
    }
    match answer.passport {
        None => failing.push("It has applied no passport.".to_owned()),
        Some((_, age)) if age > PASSPORT_STALE => failing.push(format!("Its passport is {} min old.", age / 60)),
        Some(_) => {}
    }
    if answer.certificate_days < CERTIFICATE_DAYS {
        failing.push(format!("Its certificate ends in {} days.", answer.certificate_days));
    }
    let database = match (&answer.database, seen) {
        (Some(now), Some(seen)) => match regress(now, seen) {
            Some(what) => {
                failing.push(what);
                Some(seen.clone())
            }
            None => Some(now.clone()),
        },
        (now, seen) => now.as_ref().or(seen).cloned(),
    };
    Judgement {
        failing,
        skew_ms,
        database,
    }
}

/// The clock that is furthest off among the living replicas. Each tells its difference to the database that they share; that of
/// the answering one to us is `skew_ms`.
fn worst_skew(answer: &ProbeAnswer, skew_ms: i64) -> i64 {
    let told = |one: &InstanceReport| one.vitals.as_ref().map(|vitals| vitals.skew_ms);
    let answering = answer.instances.iter().find(|one| Some(one.id) == answer.instance);
    let Some(base) = answering.and_then(told) else {
        return skew_ms;
    };
    let living = answer.instances.iter().filter(|one| one.is_alive());
    let others = living
        .filter_map(told)
        .map(|theirs| skew_ms.saturating_add(theirs.saturating_sub(base)));
    let all = others.chain([skew_ms]);
    all.max_by_key(|skew| skew.unsigned_abs()).unwrap_or(skew_ms)
}

/// A database that stands before a point where it was seen may have lost commits. A raised epoch is how a restore says so
/// itself: from then on the new history counts.
fn regress(now: &DatabaseIdentity, seen: &DatabaseIdentity) -> Option<String> {
    if now.epoch != seen.epoch {
        return (now.epoch < seen.epoch).then(|| "Its database fell back to an earlier epoch.".to_owned());
    }
    if now.system != seen.system {
        return Some("Its database is another one than before, in the same epoch.".to_owned());
    }
    if (now.timeline, now.wal) < (seen.timeline, seen.wal) {
        return Some("Its database stands before a point where it was seen.".to_owned());
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use exarch_common_wire::{health::Vitals, user_token::Version};
    use std::collections::BTreeMap;

    const NOW: i64 = 1_700_000_000_000;

    fn identity() -> DatabaseIdentity {
        DatabaseIdentity {
            system: "7".into(),
            timeline: 1,
            wal: 100,
            epoch: 1,
        }
    }

    /// The answer of a region in which all is well at `clock_ms`.
    pub(crate) fn well(challenge: &str, clock_ms: i64) -> ProbeAnswer {
        ProbeAnswer {
            challenge: challenge.to_owned(),
            instance: None,
            software: "0.1.0".into(),
            protocol: 1,
            clock_ms,
            database_us: Some(300),
            database: Some(identity()),
            passport: Some((Version(1, 1), 3)),
            certificate_days: 29,
            agents: BTreeMap::from([("active".into(), 2)]),
            leases: 1,
            tunnel_age: 10,
            entitlement_digest: "00".into(),
            instances: vec![],
        }
    }

    fn judged(change: impl FnOnce(&mut ProbeAnswer)) -> Judgement {
        let mut answer = well("c", NOW + 20);
        change(&mut answer);
        judge(&answer, NOW, NOW + 40, Some(&identity()))
    }

    #[test]
    fn an_answer_without_fault_is_good() {
        let j = judged(|_| ());
        assert_eq!((j.reason(), j.skew_ms, j.skew_alarm()), (None, 0, false));
    }

    #[test]
    fn each_failing_part_is_named() {
        let reasons = [
            judged(|a| a.database_us = None),
            judged(|a| a.passport = None),
            judged(|a| a.passport = Some((Version(1, 1), PASSPORT_STALE + 1))),
            judged(|a| a.certificate_days = CERTIFICATE_DAYS - 1),
            judged(|a| a.protocol = 0),
        ]
        .map(|j| j.reason().unwrap());
        for (reason, word) in reasons
            .iter()
            .zip(["database", "no passport", "15 min", "6 days", "protocol 0"])
        {
            assert!(reason.contains(word), "{reason}");
        }
        assert_eq!(
            judged(|a| a.passport = Some((Version(1, 1), PASSPORT_STALE))).reason(),
            None
        );
    }

    #[test]
    fn a_clock_is_alarming_above_ten_seconds_and_degrading_above_thirty() {
        for (off, alarm, degraded) in [
            (10_000, false, false),
            (10_001, true, false),
            (-10_001, true, false),
            (30_000, true, false),
            (30_001, true, true),
            (-30_001, true, true),
        ] {
            let j = judged(|a| a.clock_ms += off);
            assert_eq!((j.skew_alarm(), j.reason().is_some()), (alarm, degraded), "{off}");
        }
    }

    #[test]
    fn the_clock_of_the_worst_living_replica_counts_and_that_of_a_dead_one_does_not() {
        let ambient = exarch_common_base::Ambient::system();
        let replica = |skew_ms, heartbeat_age| InstanceReport {
            id: ambient.id(),
            software: "0.1.0".into(),
            passport: None,
            heartbeat_age,
            vitals: Some(Vitals {
                skew_ms,
                ..Vitals::default()
            }),
        };
        let (me, other, dead) = (replica(5_000, 0), replica(-40_000, 1), replica(90_000, 9));
        let j = judged(|a| {
            a.instance = Some(me.id);
            a.clock_ms += 5_000;
            a.instances = vec![me, other, dead];
        });
        assert_eq!(j.skew_ms, -40_000);
        assert!(j.reason().unwrap().contains("clock"));
    }

    #[test]
    fn a_database_that_lost_something_is_told_from_one_that_moved_on() {
        let with = |change: fn(&mut DatabaseIdentity)| judged(|a| change(a.database.as_mut().unwrap()));
        assert_eq!(with(|d| d.wal = 200).database.unwrap().wal, 200);
        assert_eq!(with(|d| (d.timeline, d.wal) = (2, 50)).reason(), None);
        for lost in [
            with(|d| d.wal = 99),
            with(|d| d.timeline = 0),
            with(|d| d.system = "8".into()),
            with(|d| d.epoch = 0),
        ] {
            assert!(lost.reason().is_some());
            assert_eq!(lost.database, Some(identity()), "what was seen stays the mark");
        }
        let restored = with(|d| (d.epoch, d.wal, d.system) = (2, 5, "8".into()));
        assert_eq!(
            (restored.reason(), restored.database.unwrap().wal),
            (None, 5),
            "a restore that raised the epoch starts anew"
        );
    }

    #[test]
    fn without_a_database_the_mark_stays() {
        let j = judged(|a| (a.database_us, a.database) = (None, None));
        assert_eq!(j.database, Some(identity()));
    }
}
