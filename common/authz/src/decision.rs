//! A refusal as it is kept: the question, and what the one who asked held, so that it can be put to the policy again.
use crate::{
    Binding, BoundRole, Caller, CustomRole, On, Permission, Principal, Reason, Refusal, Scope, Target, TenantState,
    policy,
};
use exarch_common_base::TenantId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use time::OffsetDateTime;

/// Who asked for what and was refused, by what it held then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who.
    pub principal: Principal,
    /// The tenant in force and its state.
    pub tenant: Option<(TenantId, String)>,
    /// When the bindings were looked at.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// What was bound to it.
    pub held: Vec<Held>,
    /// Of a key: its own role, within which it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<HeldRole>,
    /// The permission's name.
    pub permission: String,
    /// On what.
    pub target: Target,
    /// What the policy said; nothing where it said yes.
    pub reason: Option<Reason>,
    /// The name of the problem, where something beside the policy refused what it allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// The version of the passport that it was decided by, and how old that was; of a region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passport: Option<(String, String)>,
}

/// A binding as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The role.
    pub role: HeldRole,
    /// Where it is bound.
    pub on: On,
    /// Its end.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub until: Option<OffsetDateTime>,
}

/// A role as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRole {
    /// Its name.
    pub name: String,
    /// What a role of the tenant's own held, and at which scope; a preset is the same as long as the build is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<(String, Vec<String>)>,
}

impl HeldRole {
    /// The role as it stood; a preset that this build does not know gives nothing.
    pub fn bound(&self) -> Option<BoundRole> {
        match &self.own {
            None => self.name.parse().ok().map(BoundRole::Preset),
            Some((scope, permissions)) => {
                let scope: Scope = scope.parse().ok()?;
                let role = CustomRole::new(self.name.clone(), scope, permissions);
                Some(BoundRole::Custom(Arc::new(role)))
            }
        }
    }
}

impl From<&BoundRole> for HeldRole {
    fn from(role: &BoundRole) -> Self {
        let names = |role: &BoundRole| role.permissions().iter().map(|p| p.name().to_owned()).collect();
        Self {
            name: role.name().to_owned(),
            own: match role {
                BoundRole::Preset(_) => None,
                BoundRole::Custom(_) => Some((role.scope().as_str().to_owned(), names(role))),
            },
        }
    }
}

impl Record {
    /// A refusal by the policy.
    pub fn of(caller: &Caller, refusal: &Refusal) -> Self {
        Self {
            reason: Some(refusal.reason()),
            ..Self::allowed(caller, refusal.permission(), refusal.target())
        }
    }

    /// What is refused for the reason that the problem `beside` names, whatever the policy says.
    pub fn refused_beside(caller: &Caller, permission: Permission, target: Target, beside: &str) -> Self {
        Self {
            reason: policy::decide(caller, permission, target).err(),
            beside: Some(beside.to_owned()),
            ..Self::allowed(caller, permission, target)
        }
    }

    fn allowed(caller: &Caller, permission: Permission, target: Target) -> Self {
        let tenant = caller.tenant().zip(caller.tenant_state());
        let held = caller.bindings().iter().map(|binding| Held {
            role: HeldRole::from(&binding.role),
            on: binding.on,
            until: binding.until,
        });
        Self {
            principal: caller.principal(),
            tenant: tenant.map(|(id, state)| (id, state.as_str().to_owned())),
            as_of: caller.as_of(),
            held: held.collect(),
            at_most: caller.at_most().map(HeldRole::from),
            permission: permission.name().to_owned(),
            target,
            reason: None,
            beside: None,
            passport: None,
        }
    }

    /// The name of what stood against it.
    pub fn cause(&self) -> &str {
        match (&self.beside, self.reason) {
            (Some(problem), _) => problem,
            (None, Some(reason)) => reason.as_str(),
            (None, None) => "allowed",
        }
    }

    /// The caller, as it stood then.
    pub fn caller(&self) -> Caller {
        let bindings = self.held.iter().filter_map(|held| {
            Some(Binding {
                role: held.role.bound()?,
                on: held.on,
                until: held.until,
            })
        });
        let mut caller = Caller::of(self.principal);
        if let Some((tenant, state)) = &self.tenant {
            let Ok(state) = state.parse::<TenantState>();
            caller = caller.tenant(*tenant, state);
        }
        if let Some(role) = &self.at_most {
            match role.bound() {
                Some(role) => caller = caller.at_most(role),
                // one that this build does not know leaves nothing
                None => return caller.build(self.as_of),
            }
        }
        caller.bindings(bindings).build(self.as_of)
    }

    /// What the policy says to the question when it is `caller` who puts it; nothing where it says yes. A permission that this
    /// build does not know is nobody's.
    pub fn ask(&self, caller: &Caller) -> Option<Reason> {
        match self.permission.parse() {
            Ok(permission) => policy::decide(caller, permission, self.target).err(),
            Err(_) => Some(Reason::NotHeld),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Role, perm};
    use proptest::prelude::*;
    use time::{Duration, macros::datetime};
    use uuid::Uuid;

    const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn some_permissions() -> impl Strategy<Value = Vec<String>> {
        let all: Vec<String> = Permission::all().map(|p| p.name().to_owned()).collect();
        proptest::sample::subsequence(all, 0..12)
    }

    fn some_role() -> impl Strategy<Value = BoundRole> {
        let custom = (proptest::sample::select(Scope::ALL.to_vec()), some_permissions());
        prop_oneof![
            proptest::sample::select(Role::ALL.to_vec()).prop_map(BoundRole::Preset),
            custom.prop_map(|(scope, names)| BoundRole::Custom(Arc::new(CustomRole::new("own".into(), scope, names)))),
        ]
    }

    /// Few tenants and clusters, so that they often meet.
    fn places() -> impl Strategy<Value = (u128, u128)> {
        (1u128..3, 1u128..3)
    }

    fn some_binding() -> impl Strategy<Value = Binding> {
        let end = proptest::option::of((-2i64..3).prop_map(|hours| NOW + Duration::hours(hours)));
        (some_role(), places(), end).prop_map(|(role, (t, c), until)| {
            let (t, c) = (Uuid::from_u128(t).into(), Uuid::from_u128(c).into());
            let on = match role.scope() {
                Scope::System => On::System,
                Scope::Tenant => On::Tenant(t),
                Scope::Region => On::Region,
                Scope::Cluster => On::Cluster(t, c),
            };
            Binding { role, on, until }
        })
    }

    fn some_target() -> impl Strategy<Value = Target> {
        (places(), 0..5).prop_map(|((t, c), kind)| {
            let (t, c) = (Uuid::from_u128(t).into(), Uuid::from_u128(c).into());
            match kind {
                0 => Target::System,
                1 => Target::Region,
                2 => Target::Tenant(t),
                3 => Target::Clusters(t),
                _ => Target::Cluster(t, c),
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_read_back_and_asked_again_is_refused_for_the_same_reason(
            bindings in proptest::collection::vec(some_binding(), 0..5),
            state in proptest::sample::select(TenantState::ALL.to_vec()),
            operator in any::<bool>(),
            at_most in proptest::option::weighted(0.2, some_role()),
            permission in proptest::sample::select(Permission::all().collect::<Vec<_>>()),
            target in some_target(),
        ) {
            let id = Uuid::from_u128(9).into();
            let principal = if operator { Principal::Operator(id) } else { Principal::User(id) };
            let mut caller = Caller::of(principal).tenant(Uuid::from_u128(1).into(), state);
            if let Some(role) = at_most {
                caller = caller.at_most(role);
            }
            let caller = caller.bindings(bindings).build(NOW);
            if let Err(refusal) = policy::allows(&caller, permission, target) {
                let record = Record::of(&caller, &refusal);
                let kept = serde_json::to_string(&record).unwrap();
                let read: Record = serde_json::from_str(&kept).unwrap();
                prop_assert_eq!(&read, &record);
                prop_assert_eq!(read.ask(&read.caller()), Some(refusal.reason()));
            } else {
                let record = Record::refused_beside(&caller, permission, target, "passport-old");
                prop_assert_eq!(record.ask(&record.caller()), None);
                prop_assert_eq!(record.cause(), "passport-old");
            }
        }
    }

    #[test]
    fn a_name_that_this_build_does_not_know_is_nobodys() {
        let id = Uuid::from_u128(9).into();
        let caller = Caller::of(Principal::User(id)).build(NOW);
        let refusal = policy::check::<perm::region::List>(&caller, Target::System).unwrap_err();
        let mut record = Record::of(&caller, &refusal);
        assert_eq!(record.cause(), "not-held");
        record.permission = "region.fly".to_owned();
        let all = Caller::of(Principal::User(id))
            .bindings([Binding::new(Role::SystemAdmin, On::System)])
            .build(NOW);
        assert_eq!(record.ask(&all), Some(Reason::NotHeld));
        record.permission = perm::region::List::PERMISSION.name().to_owned();
        assert_eq!(record.ask(&all), None);
    }
}
