//! The one table of permissions.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// On what a permission or a role acts; a property of the permission, not part of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The provider's federation.
    System,
    /// One customer, in all regions it is entitled to.
    Tenant,
    /// One region's own affairs.
    Region,
    /// One cluster of one tenant.
    Cluster,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::System, Self::Tenant, Self::Region, Self::Cluster];

    /// The word used in answers, tokens and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Tenant => "tenant",
            Self::Region => "region",
            Self::Cluster => "cluster",
        }
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(word: &str) -> Result<Self, UnknownScope> {
        let mut all = Self::ALL.into_iter();
        all.find(|scope| scope.as_str() == word).ok_or(UnknownScope)
    }
}

/// A word that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no scope has this name")]
pub struct UnknownScope;

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What using a permission does to the data; the state of a tenant decides by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Looks.
    Read,
    /// Carries data out, as a whole and in a form made for that.
    Export,
    /// Changes something.
    Write,
}

/// The name of one thing one may do, such as `agent.revoke`. Outside this process it is always the name; the number is
/// this build's own and is never stored or sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(u8);

struct Entry {
    name: &'static str,
    scope: Scope,
    access: Access,
    sentence: &'static str,
}

/// An action of the API; [`perm`] has one type for each permission, so that a permit says what it permits.
pub trait Action: 'static {
    /// The permission that the action needs.
    const PERMISSION: Permission;
}

macro_rules! permissions {
    ($($noun:ident in $scope:ident { $($action:ident $Marker:ident $access:ident $sentence:literal;)* })*) => {
        const TABLE: &[Entry] = &[$($(
            Entry {
                name: concat!(stringify!($noun), ".", stringify!($action)),
                scope: Scope::$scope,
                access: Access::$access,
                sentence: $sentence,
            },
        )*)*];

        /// One type for each permission: `perm::cluster::Create` stands for `cluster.create`.
        pub mod perm {
            $(
                #[doc = concat!("Actions on `", stringify!($noun), "`.")]
                pub mod $noun {
                    use super::super::{Action, Permission};
                    $(
                        #[doc = $sentence]
                        #[derive(Debug)]
                        pub enum $Marker {}

                        impl Action for $Marker {
                            const PERMISSION: Permission =
                                Permission::named(concat!(stringify!($noun), ".", stringify!($action)));
                        }
                    )*
                }
            )*
        }
    };
}

permissions! {
    region in System {
        list List Read "List the regions of the federation.";
        read Read Read "Show a region: life cycle, health, certificates and the state of its passport.";
        register Register Write "Register a region and receive its join token.";
        update Update Write "Change a region's name and places.";
        drain Drain Write "Drain a region, or put a drained one back in full service.";
        remove Remove Write "Remove a region from the federation for good.";
    }
    tenant in System {
        list List Read "List the tenants of the federation.";
        read Read Read "Show a tenant's name, state and life cycle, not its data.";
        create Create Write "Create a tenant and invite its first administrator.";
        update Update Write "Change a tenant's name.";
        suspend Suspend Write "Suspend a tenant for billing, for an incident, or to hold it.";
        resume Resume Write "Make a suspended tenant active again.";
        delete Delete Write "Begin the deletion of a tenant.";
        restore Restore Write "Stop the deletion of a tenant; it is held until it is resumed.";
    }
    entitlement in System {
        list List Read "List which tenants are entitled to which regions.";
        read Read Read "Show a tenant's entitlement to a region.";
        grant Grant Write "Entitle a tenant to a region.";
        revoke Revoke Write "End a tenant's entitlement to a region.";
    }
    break_glass in System {
        list List Read "List who asked for, was given and used emergency access to a tenant.";
        request Request Write "Ask for emergency access to a tenant.";
        approve Approve Write "Approve or deny somebody else's emergency access.";
        revoke Revoke Write "End an emergency access before its time.";
    }
    federation_audit in System {
        read Read Read "Read the provider's own audit log.";
    }
    federation_session in System {
        list List Read "List where anybody is signed in.";
        revoke Revoke Write "End anybody's sessions.";
    }
    federation_user in System {
        read Read Read "Find a person by address and show whether the account may sign in.";
        disable Disable Write "Disable a person's account everywhere, and end all its sessions.";
        enable Enable Write "Let a disabled account sign in again.";
    }
    user in Tenant {
        list List Read "List the people of the tenant.";
        read Read Read "Show one person of the tenant.";
        invite Invite Write "Bring a new person into the tenant.";
        update Update Write "Change how a person of the tenant is shown.";
    }
    session in Tenant {
        list List Read "List where a person of the tenant is signed in to it.";
        revoke Revoke Write "End a person's sessions in the tenant.";
    }
    settings in Tenant {
        read Read Read "Show the settings of the tenant.";
        update Update Write "Change the settings of the tenant.";
    }
    membership in Tenant {
        list List Read "List who belongs to the tenant and with which roles.";
        grant Grant Write "Give a person a role in the tenant.";
        revoke Revoke Write "End a person's membership of the tenant.";
    }
    role in Tenant {
        list List Read "List the roles of the tenant.";
        read Read Read "Show a role and what it holds.";
        create Create Write "Make a role of the tenant's own.";
        update Update Write "Change what a role of the tenant's own holds.";
        delete Delete Write "Delete a role that nobody has.";
        assign Assign Write "Give a person a role in one cluster.";
        unassign Unassign Write "Take a role in one cluster away.";
    }
    api_key in Tenant {
        list List Read "List the API keys of the tenant.";
        read Read Read "Show an API key, not its secret.";
        create Create Write "Make an API key, or change where and until when one is good.";
        rotate Rotate Write "Give an API key another secret.";
        revoke Revoke Write "End an API key.";
    }
    audit in Tenant {
        list List Read "List the tenant's audit log.";
    }
    provider_access in Tenant {
        read Read Read "List what the provider's people did to the tenant, and in it.";
    }
    cluster in Cluster {
        list List Read "List clusters.";
        read Read Read "Show a cluster.";
        create Create Write "Create a cluster.";
        update Update Write "Change a cluster.";
        delete Delete Write "Delete a cluster in which nothing is left.";
    }
    host in Cluster {
        list List Read "List the hosts of a cluster.";
        read Read Read "Show a host.";
        create Create Write "Add a host to a cluster.";
        update Update Write "Change a host.";
        delete Delete Write "Delete a host on which no agent is left.";
    }
    agent in Cluster {
        list List Read "List the agents of a cluster.";
        read Read Read "Show an agent.";
        approve Approve Write "Approve an agent that asks to be enrolled.";
        suspend Suspend Write "Put an agent aside for a time, or end that.";
        revoke Revoke Write "Revoke an agent for good: certificate, sessions and leases.";
        rename Rename Write "Give an agent another name.";
    }
    bootstrap_token in Cluster {
        list List Read "List the bootstrap tokens of a cluster, without their secrets.";
        create Create Write "Create a bootstrap token, with which one agent enrols.";
        revoke Revoke Write "Revoke a bootstrap token that was not used yet.";
    }
    resource in Cluster {
        list List Read "List the resources of a cluster.";
        read Read Read "Show a resource and the highest fence given for it.";
        create Create Write "Create a resource on which leases can be held.";
        update Update Write "Change a resource.";
        delete Delete Write "Delete a resource that nobody holds or uses.";
    }
    lease in Cluster {
        list List Read "List leases.";
        read Read Read "Show a lease.";
    }
    workload in Cluster {
        list List Read "List the workloads of a cluster.";
        read Read Read "Show a workload.";
        create Create Write "Create a workload.";
        update Update Write "Change how a workload runs that is stopped.";
        delete Delete Write "Delete a workload that is stopped.";
        start Start Write "Start a workload.";
        stop Stop Write "Stop a workload.";
    }
}

const _: () = assert!(Permission::COUNT <= 256, "a permission is a u8 and a set has 256 bits");

impl Permission {
    pub(crate) const COUNT: usize = TABLE.len();

    /// Every permission of this build, in the order of the table.
    pub fn all() -> impl ExactSizeIterator<Item = Permission> + Clone {
        (0..Self::COUNT).map(|index| Permission(index as u8))
    }

    /// The name, `resource.action`.
    pub const fn name(self) -> &'static str {
        TABLE[self.0 as usize].name
    }

    /// On what it acts.
    pub const fn scope(self) -> Scope {
        TABLE[self.0 as usize].scope
    }

    /// What it does to the data.
    pub const fn access(self) -> Access {
        TABLE[self.0 as usize].access
    }

    /// What it lets one do, as one sentence for people.
    pub const fn sentence(self) -> &'static str {
        TABLE[self.0 as usize].sentence
    }

    pub(crate) const fn index(self) -> u8 {
        self.0
    }

    /// The permission of the table's row `index`; the caller knows that the row exists.
    pub(crate) const fn at(index: u8) -> Permission {
        assert!((index as usize) < Self::COUNT, "no such row");
        Permission(index)
    }

    pub(crate) const fn find(name: &str) -> Option<Permission> {
        let mut index = 0;
        while index < Self::COUNT {
            if same(TABLE[index].name.as_bytes(), name.as_bytes()) {
                return Some(Permission(index as u8));
            }
            index += 1;
        }
        None
    }

    /// For constants only: a name that is not in the table does not compile.
    pub(crate) const fn named(name: &str) -> Permission {
        match Self::find(name) {
            Some(permission) => permission,
            None => panic!("this name is not in the table of permissions"),
        }
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// A name that is not in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no permission has this name")]
pub struct UnknownPermission;

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, UnknownPermission> {
        Self::find(name).ok_or(UnknownPermission)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(d)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_unique_and_parses_to_its_own_row() {
        let mut seen = BTreeSet::new();
        for permission in Permission::all() {
            assert!(seen.insert(permission.name()), "{permission} stands twice");
            assert_eq!(permission.name().parse(), Ok(permission));
        }
        assert_eq!(seen.len(), TABLE.len());
    }

    #[test]
    fn every_row_is_well_formed() {
        for permission in Permission::all() {
            let (noun, action) = permission.name().split_once('.').expect("resource.action");
            for word in [noun, action] {
                assert!(
                    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                    "{permission}"
                );
            }
            let sentence = permission.sentence();
            assert!(
                sentence.starts_with(char::is_uppercase) && sentence.ends_with('.'),
                "{permission}: {sentence}"
            );
            assert_eq!(
                matches!(action, "list" | "read"),
                permission.access() == Access::Read,
                "{permission}"
            );
        }
    }

    #[test]
    fn a_name_that_is_not_in_the_table_is_no_permission() {
        for name in [
            "",
            "lease",
            "lease.",
            "agent.revoke ",
            "Agent.revoke",
            "lease.*",
            "*",
            "lease.promote",
        ] {
            assert_eq!(name.parse::<Permission>(), Err(UnknownPermission), "{name:?}");
        }
    }

    #[test]
    fn a_marker_stands_for_its_name() {
        assert_eq!(perm::cluster::Create::PERMISSION.name(), "cluster.create");
        assert_eq!(perm::federation_audit::Read::PERMISSION.name(), "federation_audit.read");
        assert_eq!(perm::lease::List::PERMISSION.scope(), Scope::Cluster);
    }
}
