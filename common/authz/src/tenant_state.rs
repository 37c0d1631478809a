//! The states of a tenant and what each leaves to its people, keys and agents.
use crate::{Access, Permission};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{convert::Infallible, fmt, str::FromStr};

/// Where a tenant stands in its life. What this build does not know is read as an incident: quarantined, nothing written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TenantState {
    /// All.
    Active,
    /// Suspended for billing: reads and exports; what exists goes on.
    SuspendedBilling,
    /// Suspended for an incident: administrators and auditors read; agents are quarantined.
    SuspendedIncident,
    /// Held: all but deletion.
    SuspendedHold,
    /// In the grace before deletion: export only; agents as in an incident.
    Deleting,
    /// Gone; a tombstone and the audit stay.
    Deleted,
}

/// What a tenant's state refuses, in words for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateRefusal {
    /// A write while suspended for billing.
    #[error("The tenant is suspended for billing: reading and exporting still work, changes do not.")]
    Billing,
    /// Anything but reading by an administrator or auditor, during an incident.
    #[error("The tenant is suspended for an incident: only its administrators and auditors may sign in, to read.")]
    Incident,
    /// Anything but an export, before deletion.
    #[error("The tenant is being deleted: only exports still work.")]
    Deleting,
    /// Anything at all, after deletion.
    #[error("There is no such tenant.")]
    Deleted,
}

impl StateRefusal {
    /// Its name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Billing => "tenant-suspended-billing",
            Self::Incident => "tenant-suspended-incident",
            Self::Deleting => "tenant-deleting",
            Self::Deleted => "tenant-deleted",
        }
    }

    /// The HTTP status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::Billing => 402,
            Self::Incident | Self::Deleting => 403,
            Self::Deleted => 404,
        }
    }
}

impl TenantState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::SuspendedBilling,
        Self::SuspendedIncident,
        Self::SuspendedHold,
        Self::Deleting,
        Self::Deleted,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::SuspendedBilling => "suspended(billing)",
            Self::SuspendedIncident => "suspended(incident)",
            Self::SuspendedHold => "suspended(hold)",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }

    /// Whether a tenant may go from here to `next`. Deletion begins only where no hold forbids it, and what was restored is held
    /// until somebody has looked at it.
    pub const fn may_become(self, next: Self) -> bool {
        use TenantState::{Active, Deleted, Deleting, SuspendedBilling, SuspendedHold, SuspendedIncident};
        match (self, next) {
            (Active, SuspendedBilling | SuspendedIncident | SuspendedHold | Deleting)
            | (SuspendedBilling, Active | SuspendedIncident | SuspendedHold | Deleting)
            | (SuspendedIncident, Active | SuspendedBilling | SuspendedHold | Deleting)
            | (SuspendedHold, Active | SuspendedBilling | SuspendedIncident)
            | (Deleting, SuspendedHold | Deleted) => true,
            (Active | SuspendedBilling | SuspendedIncident | SuspendedHold | Deleting | Deleted, _) => false,
        }
    }

    /// Whether this state leaves `permission` to those who hold it. In an incident the policy asks further that the caller
    /// be an administrator or auditor.
    pub const fn allows(self, permission: Permission) -> Result<(), StateRefusal> {
        match (self, permission.access()) {
            (Self::Active | Self::SuspendedHold, _)
            | (Self::SuspendedBilling, Access::Read | Access::Export)
            | (Self::SuspendedIncident, Access::Read)
            | (Self::Deleting, Access::Export) => Ok(()),
            (Self::SuspendedBilling, Access::Write) => Err(StateRefusal::Billing),
            (Self::SuspendedIncident, Access::Export | Access::Write) => Err(StateRefusal::Incident),
            (Self::Deleting, Access::Read | Access::Write) => Err(StateRefusal::Deleting),
            (Self::Deleted, _) => Err(StateRefusal::Deleted),
        }
    }

    /// Whether agents may be granted leases for work that is new to them.
    pub const fn grants_leases(self) -> bool {
        matches!(self, Self::Active | Self::SuspendedHold)
    }

    /// Whether what runs goes on: leases are renewed, and granted again for workloads and resources that exist.
    pub const fn keeps_leases(self) -> bool {
        matches!(self, Self::Active | Self::SuspendedHold | Self::SuspendedBilling)
    }
}

impl FromStr for TenantState {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .unwrap_or(Self::SuspendedIncident))
    }
}

impl fmt::Display for TenantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for TenantState {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TenantState {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let Ok(state) = std::borrow::Cow::<str>::deserialize(d)?.parse();
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The steps of the design, written out; from a state to itself there is none.
    #[test]
    fn a_tenant_goes_only_where_the_table_says() {
        use TenantState::*;
        let suspended = [SuspendedBilling, SuspendedIncident, SuspendedHold];
        let mut allowed = vec![
            (Active, Deleting),
            (SuspendedBilling, Deleting),
            (SuspendedIncident, Deleting),
        ];
        allowed.extend([(Deleting, SuspendedHold), (Deleting, Deleted)]);
        for from in suspended {
            allowed.extend([(Active, from), (from, Active)]);
            allowed.extend(suspended.into_iter().filter(|to| *to != from).map(|to| (from, to)));
        }
        for from in TenantState::ALL {
            for to in TenantState::ALL {
                assert_eq!(from.may_become(to), allowed.contains(&(from, to)), "{from} to {to}");
            }
        }
    }

    /// The table of the design, written out: what is answered to read, export, write, and what agents get.
    #[test]
    fn each_state_leaves_what_the_table_says() {
        type Answer = Result<(), StateRefusal>;
        let rows: [(TenantState, [Answer; 2], [bool; 2]); 6] = [
            (TenantState::Active, [Ok(()), Ok(())], [true, true]),
            (
                TenantState::SuspendedBilling,
                [Ok(()), Err(StateRefusal::Billing)],
                [false, true],
            ),
            (
                TenantState::SuspendedIncident,
                [Ok(()), Err(StateRefusal::Incident)],
                [false, false],
            ),
            (TenantState::SuspendedHold, [Ok(()), Ok(())], [true, true]),
            (
                TenantState::Deleting,
                [Err(StateRefusal::Deleting), Err(StateRefusal::Deleting)],
                [false, false],
            ),
            (
                TenantState::Deleted,
                [Err(StateRefusal::Deleted), Err(StateRefusal::Deleted)],
                [false, false],
            ),
        ];
        for (state, [read, write], leases) in rows {
            for permission in Permission::all() {
                let expected = match permission.access() {
                    Access::Read => read,
                    Access::Write => write,
                    Access::Export => continue,
                };
                assert_eq!(state.allows(permission), expected, "{state}: {permission}");
            }
            assert_eq!([state.grants_leases(), state.keeps_leases()], leases, "{state}");
        }
    }

    #[test]
    fn a_write_while_suspended_for_billing_is_402() {
        assert_eq!(StateRefusal::Billing.status(), 402);
        assert_eq!(StateRefusal::Incident.status(), 403);
        assert_eq!(StateRefusal::Deleting.status(), 403);
        assert_eq!(StateRefusal::Deleted.status(), 404);
    }

    #[test]
    fn every_state_comes_back_from_its_word() {
        for state in TenantState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }

    proptest! {
        #[test]
        fn an_unknown_state_is_an_incident(word in "\\PC{0,24}") {
            let Ok(state) = word.parse::<TenantState>();
            if !TenantState::ALL.iter().any(|known| known.as_str() == word) {
                prop_assert_eq!(state, TenantState::SuspendedIncident);
            }
        }
    }
}
