//! What several replicas come to: the worst of them. Pure.
use exarch_common_wire::{
    health::{InstanceReport, Vitals},
    user_token::Version,
};

/// The figures of the worst living replica, each for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worst {
    pub(crate) protocol: u32,
    pub(crate) database_us: u64,
    pub(crate) passport: Option<(Version, u64)>,
    pub(crate) certificate_days: i64,
    pub(crate) tunnel_age: u64,
}

impl Worst {
    /// Of this replica, as it knows itself, and of all others that live and have told.
    pub(crate) fn of(me: &InstanceReport, others: &[InstanceReport]) -> Self {
        let others = others.iter().filter(|other| other.id != me.id && other.is_alive());
        let told = others
            .chain([me])
            .filter_map(|one| Some((one.passport, one.vitals.as_ref()?)));
        let each = told.map(|(passport, vitals)| Self::alone(passport, vitals));
        each.reduce(Self::and)
            .unwrap_or_else(|| Self::alone(None, &Vitals::default()))
    }

    fn alone(passport: Option<Version>, vitals: &Vitals) -> Self {
        Self {
            protocol: vitals.protocol,
            database_us: vitals.database_us,
            passport: passport.zip(vitals.passport_age),
            certificate_days: vitals.certificate_days,
            tunnel_age: vitals.tunnel_age.unwrap_or_default(),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            protocol: self.protocol.min(other.protocol),
            database_us: self.database_us.max(other.database_us),
            passport: self
                .passport
                .zip(other.passport)
                .map(|(one, two)| (one.0.min(two.0), one.1.max(two.1))),
            certificate_days: self.certificate_days.min(other.certificate_days),
            tunnel_age: self.tunnel_age.min(other.tunnel_age),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::Ambient;

    fn report(version: u64, heartbeat_age: u64, vitals: Option<Vitals>) -> InstanceReport {
        InstanceReport {
            id: Ambient::system().id(),
            software: "0".into(),
            passport: (version > 0).then_some(Version(1, version)),
            heartbeat_age,
            vitals,
        }
    }

    fn vitals(passport_age: u64, certificate_days: i64, tunnel_age: Option<u64>) -> Vitals {
        Vitals {
            protocol: 1,
            skew_ms: 0,
            database_us: 10 * passport_age,
            passport_age: Some(passport_age),
            certificate_days,
            tunnel_age,
        }
    }

    #[test]
    fn each_figure_is_that_of_the_replica_where_it_is_worst() {
        let me = report(7, 0, Some(vitals(3, 29, Some(100))));
        let other = report(6, 1, Some(vitals(40, 30, Some(5))));
        assert_eq!(
            Worst::of(&me, &[other]),
            Worst {
                protocol: 1,
                database_us: 400,
                passport: Some((Version(1, 6), 40)),
                certificate_days: 29,
                tunnel_age: 5,
            }
        );
    }

    #[test]
    fn one_without_a_passport_or_a_tunnel_is_the_worst() {
        let me = report(7, 0, Some(vitals(3, 29, Some(100))));
        let bare = report(0, 0, Some(vitals(0, 29, None)));
        let worst = Worst::of(&me, &[bare]);
        assert_eq!((worst.passport, worst.tunnel_age), (None, 0));
    }

    #[test]
    fn the_dead_and_those_that_tell_nothing_do_not_count_nor_this_ones_own_older_row() {
        let me = report(7, 0, Some(vitals(3, 29, Some(100))));
        let dead = report(1, 4, Some(vitals(900, 1, None)));
        let silent = report(1, 0, None);
        let mut older = report(1, 1, Some(vitals(900, 1, None)));
        older.id = me.id;
        let alone = Worst::of(&me, &[]);
        assert_eq!(Worst::of(&me, &[dead, silent, older]), alone);
        assert_eq!(alone.passport, Some((Version(1, 7), 3)));
    }
}
