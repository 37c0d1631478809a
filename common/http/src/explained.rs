//! A refusal as it is explained, and who may do a thing: the documents that both servers answer.
use exarch_common_authz::{
    Binding, Caller, Held, On, Permission, Principal, Record, Scope, Target, TenantState, policy,
};
use exarch_common_base::{ClusterId, DecisionId, TenantId, UserId};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Why something was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub struct Explained {
    /// Its id.
    #[schema(value_type = String, pattern = "^dec_[0-9a-f]{32}$")]
    pub id: DecisionId,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What was asked for.
    pub permission: String,
    /// At which scope it is held: `system`, `tenant`, `region` or `cluster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'static str>,
    /// What stood against it: `not-held`, `tenant-suspended-billing`, `passport-old`, …; `not-found` where it is not yours to
    /// know whether there is such a thing.
    pub reason: String,
    /// The same in words.
    pub explanation: String,
    /// Who was refused.
    pub caller: Asker,
    /// On what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Place>,
    /// What was bound to the one who asked, at that time.
    pub held: Vec<Grant>,
    /// The roles any of which, held there, would have been enough.
    pub missing: Vec<String>,
    /// Who could give one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub givers: Option<Givers>,
    /// The state of the tenant in force, at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_state: Option<String>,
    /// In a region: what it knew of the centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passport: Option<Passport>,
    /// Whether the policy, asked again with what was held then, says the same.
    pub replay_agrees: bool,
    /// Whether the policy would allow the same to the same caller by now.
    pub allowed_now: bool,
}

/// Somebody who calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecisionCaller)]
pub struct Asker {
    /// `user`, `api-key` or `operator`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
}

/// On what somebody acts or where a role is bound.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DecisionPlace)]
pub struct Place {
    /// `system`, `region`, `tenant`, `clusters` (those of the tenant in which it is held) or `cluster`.
    pub kind: &'static str,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^ten_[0-9a-f]{32}$")]
    pub tenant_id: Option<TenantId>,
    /// The cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^clu_[0-9a-f]{32}$")]
    pub cluster_id: Option<ClusterId>,
}

/// A role and where it is bound.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecisionGrant)]
pub struct Grant {
    /// The role's name.
    pub role: String,
    /// Where.
    pub on: Place,
    /// Until when; without an end where absent.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub until: Option<OffsetDateTime>,
}

/// Who could give what is missing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecisionGivers)]
pub struct Givers {
    /// The permission that it takes.
    pub permission: &'static str,
    /// Who holds it; told to those who read the audit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(as = DecisionPerson)]
pub struct Person {
    /// Who.
    #[schema(value_type = String, pattern = "^usr_[0-9a-f]{32}$")]
    pub id: UserId,
    /// How they are shown.
    pub display_name: String,
}

/// What a region knew of the centre.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecisionPassport)]
pub struct Passport {
    /// Generation and version of its passport.
    pub version: String,
    /// `fresh`, `stale`, `old` or `expired`.
    pub tier: String,
}

/// How much of a decision somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The one who was refused: what it knows of itself, and no more than the refusal said of the target.
    Asker,
    /// Those who read the audit.
    Everything,
}

/// The permission with which somebody gives a role that covers `target`.
pub const fn giving(target: Target) -> Option<&'static str> {
    match target {
        Target::Tenant(_) | Target::Clusters(_) => Some("membership.grant"),
        Target::Cluster(..) => Some("role.assign"),
        Target::System | Target::Region => None,
    }
}

/// What is told of a decision. `now` is the same caller as it stands by now, where it is still somebody; `people` who holds
/// [`giving`].
pub fn explained(
    (id, at): (DecisionId, OffsetDateTime),
    record: &Record,
    told: Told,
    now: Option<&Caller>,
    people: Vec<Person>,
) -> Explained {
    let hidden = told == Told::Asker && record.reason.is_some_and(|reason| reason.hides());
    let permission: Option<Permission> = record.permission.parse().ok();
    let not_held = record.reason.is_some_and(|reason| reason.as_str() == "not-held");
    let missing: Vec<String> = match permission {
        Some(permission) if !hidden => policy::fitting(permission, record.target)
            .map(|role| role.slug().to_owned())
            .collect(),
        _ => Vec::new(),
    };
    let reason = if hidden { "not-found" } else { record.cause() };
    Explained {
        id,
        at,
        permission: record.permission.clone(),
        scope: permission.map(|permission| permission.scope().as_str()),
        reason: reason.to_owned(),
        explanation: in_words(record, reason, &missing),
        caller: Asker {
            kind: record.principal.kind().as_str(),
            id: record.principal.to_string(),
        },
        target: (!hidden).then(|| Place::from(record.target)),
        held: record.held.iter().map(Grant::from).collect(),
        givers: giving(record.target).filter(|_| not_held).map(|permission| Givers {
            permission,
            people: if told == Told::Everything { people } else { Vec::new() },
        }),
        missing: if not_held { missing } else { Vec::new() },
        tenant_state: record.tenant.as_ref().map(|(_, state)| state.clone()),
        passport: record
            .passport
            .clone()
            .map(|(version, tier)| Passport { version, tier }),
        replay_agrees: record.ask(&record.caller()) == record.reason,
        allowed_now: now.is_some_and(|now| record.ask(now).is_none()),
    }
}

fn in_words(record: &Record, reason: &str, missing: &[String]) -> String {
    let permission = &record.permission;
    match reason {
        "not-found" => {
            "What was asked for does not exist, or its existence is not yours to know; the refusal does not tell which."
                .to_owned()
        }
        "other-tenant" => "The tenant was not the one in force. Whether there is one was not looked up.".to_owned(),
        "other-cluster" => format!(
            "The caller had no role in {}, and none in the whole tenant that shows its clusters. Whether there is such a cluster was not looked up.",
            record.target
        ),
        "wrong-scope" => format!("{permission} says nothing about {}.", record.target),
        "not-held" if missing.is_empty() => format!("Nothing that was bound to the caller held {permission} there."),
        "not-held" => format!(
            "Nothing that was bound to the caller held {permission} there; one of these roles would have: {}.",
            missing.join(", ")
        ),
        _ => match (&record.beside, &record.reason) {
            (Some(problem), None) => {
                format!("The caller held {permission} there; what stood against it was {problem}, whoever asks.")
            }
            (Some(problem), Some(_)) => format!("What stood against it was {problem}, whoever asks."),
            (None, _) => {
                format!("The caller held {permission} there, and the state of the tenant did not leave it: {reason}.")
            }
        },
    }
}

impl From<Target> for Place {
    fn from(target: Target) -> Self {
        let kind = match target {
            Target::System => "system",
            Target::Region => "region",
            Target::Tenant(_) => "tenant",
            Target::Clusters(_) => "clusters",
            Target::Cluster(..) => "cluster",
        };
        Self {
            kind,
            tenant_id: target.tenant(),
            cluster_id: target.cluster(),
        }
    }
}

impl From<On> for Place {
    fn from(on: On) -> Self {
        Self::from(match on {
            On::System => Target::System,
            On::Region => Target::Region,
            On::Tenant(tenant) => Target::Tenant(tenant),
            On::Cluster(tenant, cluster) => Target::Cluster(tenant, cluster),
        })
    }
}

impl From<&Held> for Grant {
    fn from(held: &Held) -> Self {
        Self {
            role: held.role.name.clone(),
            on: held.on.into(),
            until: held.until,
        }
    }
}

impl From<&Binding> for Grant {
    fn from(binding: &Binding) -> Self {
        Self {
            role: binding.role.name().to_owned(),
            on: binding.on.into(),
            until: binding.until,
        }
    }
}

/// Who may do a thing.
#[derive(Debug, Serialize, ToSchema)]
pub struct WhoCan {
    /// What.
    pub permission: String,
    /// On what.
    pub target: Place,
    /// At which time.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The state of the tenant at that time; where it leaves nobody this, nobody is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_state: Option<&'static str>,
    /// Those who may, by their ids.
    pub people: Vec<Able>,
}

/// Somebody who may, and by what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhoCanPerson)]
pub struct Able {
    /// Who.
    #[schema(value_type = String, pattern = "^usr_[0-9a-f]{32}$")]
    pub id: UserId,
    /// How they are shown.
    pub display_name: String,
    /// Each of which would be enough.
    pub through: Vec<Grant>,
}

impl WhoCan {
    /// The answer of the policy for these people, as they stood at `at`.
    pub fn of(
        permission: Permission,
        target: Target,
        at: OffsetDateTime,
        state: Option<TenantState>,
        people: impl IntoIterator<Item = (Caller, String)>,
    ) -> Self {
        let mut named = std::collections::BTreeMap::new();
        let callers = people
            .into_iter()
            .filter_map(|(caller, display_name)| match caller.principal() {
                Principal::User(id) => {
                    named.insert(id, display_name);
                    Some(caller)
                }
                _ => None,
            });
        let able = exarch_common_authz::who_can(callers.collect::<Vec<_>>(), permission, target);
        let able = able
            .into_iter()
            .filter_map(|(caller, through)| match caller.principal() {
                Principal::User(id) => Some(Able {
                    id,
                    display_name: named.get(&id).cloned().unwrap_or_default(),
                    through: through.iter().map(Grant::from).collect(),
                }),
                _ => None,
            });
        let mut people: Vec<Able> = able.collect();
        people.sort_by_key(|able| able.id);
        Self {
            permission: permission.name().to_owned(),
            target: target.into(),
            at,
            tenant_state: state.map(TenantState::as_str),
            people,
        }
    }
}

/// The target of a question about a permission of `scope`, where a cluster may be named.
///
/// # Errors
/// The name of what does not go together.
pub fn asked(scope: Scope, tenant: TenantId, cluster: Option<ClusterId>) -> Result<Target, &'static str> {
    match (scope, cluster) {
        (Scope::Cluster, Some(cluster)) => Ok(Target::Cluster(tenant, cluster)),
        (Scope::Tenant | Scope::Cluster, None) => Ok(Target::Tenant(tenant)),
        (Scope::Tenant, Some(_)) => Err("cluster_id"),
        (Scope::System | Scope::Region, _) => Err("permission"),
    }
}
