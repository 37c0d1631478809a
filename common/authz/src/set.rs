//! A set of permissions in four machine words.
use crate::{Permission, Scope};
use std::fmt;

/// Which permissions somebody holds: 256 bits, copied freely, never allocating.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PermissionSet([u64; 4]);

impl PermissionSet {
    /// Nothing.
    pub const EMPTY: Self = Self([0; 4]);

    /// For constants only: a name that is not in the table does not compile.
    pub(crate) const fn named(names: &[&str]) -> Self {
        let mut set = Self::EMPTY;
        let mut i = 0;
        while i < names.len() {
            set = set.with(Permission::named(names[i]));
            i += 1;
        }
        set
    }

    /// Every permission of one scope.
    pub const fn of(scope: Scope) -> Self {
        let mut set = Self::EMPTY;
        let mut index = 0;
        while index < Permission::COUNT {
            let permission = Permission::at(index as u8);
            if permission.scope() as u8 == scope as u8 {
                set = set.with(permission);
            }
            index += 1;
        }
        set
    }

    /// This set and one more.
    pub const fn with(mut self, permission: Permission) -> Self {
        let index = permission.index();
        self.0[(index / 64) as usize] |= 1 << (index % 64);
        self
    }

    /// Whether `permission` is in it.
    pub const fn contains(self, permission: Permission) -> bool {
        let index = permission.index();
        self.0[(index / 64) as usize] & (1 << (index % 64)) != 0
    }

    /// What is in either.
    pub const fn union(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]])
    }

    /// What is in both.
    pub const fn intersection(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] & b[0], a[1] & b[1], a[2] & b[2], a[3] & b[3]])
    }

    /// What is in this one and not in `other`.
    pub const fn difference(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] & !b[0], a[1] & !b[1], a[2] & !b[2], a[3] & !b[3]])
    }

    /// Whether `other` holds all of this one.
    pub const fn is_subset(self, other: Self) -> bool {
        self.difference(other).is_empty()
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.0[0] | self.0[1] | self.0[2] | self.0[3] == 0
    }

    /// Its permissions, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::all().filter(move |&permission| self.contains(permission))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn permissions() -> impl Strategy<Value = BTreeSet<Permission>> {
        let all: Vec<Permission> = Permission::all().collect();
        let count = all.len();
        proptest::sample::subsequence(all, 0..=count).prop_map(|some| some.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_bits_agree_with_an_ordinary_set(a in permissions(), b in permissions()) {
            let (x, y): (PermissionSet, PermissionSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            let plain = |set: PermissionSet| set.iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(plain(x), a.clone());
            prop_assert_eq!(plain(x.union(y)), &a | &b);
            prop_assert_eq!(plain(x.intersection(y)), &a & &b);
            prop_assert_eq!(plain(x.difference(y)), &a - &b);
            prop_assert_eq!(x.is_subset(y), a.is_subset(&b));
            prop_assert_eq!(x.is_empty(), a.is_empty());
            for permission in Permission::all() {
                prop_assert_eq!(x.contains(permission), a.contains(&permission));
            }
        }
    }

    #[test]
    fn every_word_of_the_set_is_used_by_its_own_bits() {
        let words = PermissionSet([1, 0, 0, 1 << 63]);
        assert!(!words.is_empty());
        assert!(PermissionSet([0, 0, 0, 1 << 63]).is_subset(words));
        assert!(!words.is_subset(PermissionSet([1, 0, 0, 0])));
    }
}
