//! What the golden table of roles says, and what follows from it for a cell of the matrix. Nothing here comes from the code that
//! decides: the table is read as text, and the rules are written down once more.
use super::people::Person;
use std::collections::{BTreeMap, BTreeSet};

const TABLE: &str = include_str!("../../../../common/authz/rbac.txt");

/// The table: for each permission its scope and the presets that hold it.
pub struct Golden(BTreeMap<&'static str, (&'static str, BTreeSet<&'static str>)>);

/// Where a request points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The caller's tenant, and the cluster in which those with a role in one cluster have it.
    Own,
    /// The caller's tenant, in the cluster beside it.
    OtherCluster,
    /// Another tenant.
    OtherTenant,
}

/// What a request names, so that it can point somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Nothing: the tenant in force, or the federation.
    Nothing,
    /// A tenant, or what belongs to one as a whole.
    Tenant,
    /// What is in one cluster.
    Cluster,
}

/// What a tenant's state leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    Billing,
    Incident,
    Hold,
    Deleting,
}

/// What is asked, by whomever.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub at_global: bool,
    pub names: Names,
    pub place: Place,
    pub state: State,
}

/// What must be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Not refused.
    Passes,
    /// Refused with this status.
    Refused(u16),
}

impl Golden {
    pub fn read() -> Self {
        let mut lines = TABLE.lines();
        let roles: Vec<&str> = lines.next().unwrap().split_whitespace().skip(2).collect();
        let rows = lines.filter(|line| !line.is_empty()).map(|line| {
            let mut words = line.split_whitespace();
            let (name, scope) = (words.next().unwrap(), words.next().unwrap());
            let held = words
                .zip(&roles)
                .filter(|(mark, _)| *mark == "x")
                .map(|(_, role)| *role);
            (name, (scope, held.collect()))
        });
        Self(rows.collect())
    }

    pub fn scope(&self, permission: &str) -> &'static str {
        self.0
            .get(permission)
            .unwrap_or_else(|| panic!("{permission} is not in the table"))
            .0
    }

    fn holds(&self, role: &Role, permission: &str) -> bool {
        match role {
            Role::Preset(name) => self.0[permission].1.contains(name),
            Role::Custom(_, permissions) => permissions.contains(&permission),
        }
    }

    /// Whether `person` must be let through. A no tells nothing that an earlier one hides: who it is comes first, then whether the
    /// permission is held at all, then the state of the tenant, and only then where the request points.
    pub fn expected(&self, person: &Person, permission: &str, asked: Asked) -> Expected {
        use Expected::{Passes, Refused};
        let any = |roles: &[Role]| roles.iter().any(|role| self.holds(role, permission));
        let scope = self.scope(permission);
        let trusted = ["tenant-admin", "auditor"];
        let trusted = person.tenant.iter().any(|role| trusted.contains(&role.name()));
        // In an incident nobody else is signed in to the tenant.
        let in_tenant = person.staff.is_empty() || !person.tenant.is_empty();
        let is_out = asked.at_global && asked.state == State::Incident && in_tenant && !trusted;
        if person.is_gone || is_out {
            return Refused(401);
        }
        if scope == "system" {
            return if any(&person.staff) { Passes } else { Refused(403) };
        }
        let tenant_wide = any(&person.tenant);
        let in_cluster = scope == "cluster" && any(&person.cluster);
        if !tenant_wide && !in_cluster {
            return Refused(403);
        }
        let reads = permission.ends_with(".list") || permission.ends_with(".read");
        match asked.state {
            State::Active | State::Hold => {}
            State::Billing if reads => {}
            State::Billing => return Refused(402),
            State::Incident if reads && trusted => {}
            State::Incident | State::Deleting => return Refused(403),
        }
        match (asked.place, asked.names) {
            (_, Names::Nothing) | (Place::Own, _) | (Place::OtherCluster, Names::Tenant) => Passes,
            (Place::OtherTenant, _) => Refused(404),
            (Place::OtherCluster, Names::Cluster) if tenant_wide => Passes,
            // The cluster is seen: what may not be done there is refused. What may not be looked at is not there, nor is anything
            // in a cluster that is not seen.
            (Place::OtherCluster, Names::Cluster) if !reads && self.sees_clusters(person) => Refused(403),
            (Place::OtherCluster, Names::Cluster) => Refused(404),
        }
    }

    fn sees_clusters(&self, person: &Person) -> bool {
        let in_clusters = |permission: &str| self.scope(permission) == "cluster";
        let held = |role| {
            self.0
                .keys()
                .any(|permission| in_clusters(permission) && self.holds(role, permission))
        };
        person.tenant.iter().any(held)
    }
}

/// A role as the matrix gives it.
#[derive(Clone, Debug)]
pub enum Role {
    Preset(&'static str),
    /// Name and permissions.
    Custom(&'static str, &'static [&'static str]),
}

impl Role {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Preset(name) | Self::Custom(name, _) => name,
        }
    }
}
