//! A binding.
use super::role;
use crate::directory::TenantEntry;
use exarch_common_base::{BindingId, ClusterId, MembershipId, UserId};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A binding as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) id: BindingId,
    pub(super) cluster: ClusterId,
    pub(super) user: UserId,
    pub(super) membership: MembershipId,
    pub(super) role: String,
    pub(super) until: Option<OffsetDateTime>,
    pub(super) created_by: String,
    pub(super) created_at: OffsetDateTime,
}

/// A role that somebody has in one cluster.
#[derive(Debug, Serialize, ToSchema)]
pub struct Binding {
    /// Its id.
    #[schema(value_type = String, pattern = "^bnd_[0-9a-f]{32}$")]
    pub id: BindingId,
    /// In which cluster.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    pub cluster_id: ClusterId,
    /// Who has it.
    pub user: BoundUser,
    /// The role's name.
    pub role: String,
    /// `active`; `expired`; or `void`, when the membership that it was given to has ended or the role is no more: it gives nothing
    /// then, and never will again.
    pub state: &'static str,
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub until: Option<OffsetDateTime>,
    /// Who gave it.
    pub created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A person of the tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoundUser {
    /// The person.
    #[schema(value_type = String, pattern = "^usr_[0-9a-f]{32}$")]
    pub id: UserId,
    /// How they are shown; absent for somebody who is not in the tenant any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

impl Stored {
    /// As it is shown, by what the tenant's section says now.
    pub(super) fn out(self, tenant: &TenantEntry, now: OffsetDateTime) -> Binding {
        let memberships = tenant.memberships.get(&self.user).map_or(&[][..], Vec::as_slice);
        let stands = memberships
            .iter()
            .any(|m| m.id == Some(self.membership) && m.holds(now));
        let state = match self.until {
            Some(until) if until <= now => "expired",
            _ if !stands || role(tenant, &self.role).is_none() => "void",
            _ => "active",
        };
        let person = tenant.users.get(&self.user);
        Binding {
            id: self.id,
            cluster_id: self.cluster,
            user: BoundUser {
                id: self.user,
                display_name: person.map(|user| user.display_name.clone()),
            },
            role: self.role,
            state,
            until: self.until,
            created_by: self.created_by,
            created_at: self.created_at,
        }
    }
}
