//! Entitlements: a tenant's right to a region, from, until, and how much of it. Granted and ended by the provider's people,
//! written in the tenant's own audit and in the provider's.
mod grant;
mod list;
mod read;
mod revoke;
mod store;
mod update;

use crate::app::App;
use exarch_common_base::{EntitlementId, RegionId, Slug, TenantId};
use exarch_common_http::{Api, Problem};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// At most so many; unlimited where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub clusters: Option<u32>,
    /// Hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub hosts: Option<u32>,
    /// Leases active at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub leases: Option<u32>,
}

/// A tenant's right to a region.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Entitlement {
    /// Its id.
    #[schema(value_type = String, pattern = "^ent_[0-9a-f]{32}$")]
    pub id: EntitlementId,
    /// The region.
    pub region: RegionName,
    /// From when.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Until when; open when absent.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub until: Option<OffsetDateTime>,
    /// How much.
    pub limits: Limits,
    /// When it was granted.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Rises with each change.
    #[serde(skip)]
    pub version: u64,
}

/// A region by its names.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RegionName {
    /// Its id.
    #[schema(value_type = String, pattern = "^reg_[0-9a-f]{32}$")]
    pub id: RegionId,
    /// Its slug.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    pub slug: Slug,
}

/// 404: there is no such entitlement.
fn not_found() -> Problem {
    Problem::not_found("entitlement-not-found").detail("The tenant has no such entitlement, or it has ended.")
}

impl Entitlement {
    /// As the audit has it.
    fn recorded(&self, tenant: TenantId) -> serde_json::Value {
        json!({
            "tenant": tenant,
            "region": self.region.slug,
            "from": self.from.unix_timestamp(),
            "until": self.until.map(OffsetDateTime::unix_timestamp),
            "limits": self.limits,
        })
    }
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    let api = grant::routes(list::routes(api));
    revoke::routes(update::routes(read::routes(api)))
}
