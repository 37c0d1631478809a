use super::{Tenant, store};
use crate::{app::App, gate::Who};
use exarch_common_base::{Slug, TenantId};
use exarch_common_http::Problem;
use exarch_common_pg::SystemTx;
use serde::{Deserialize, Deserializer, de::Error};
use std::fmt;

/// How a path or a body names a tenant: by id or by slug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantKey {
    /// `ten_…`
    Id(TenantId),
    /// No slug has an underscore, so the two are never mistaken.
    Slug(Slug),
}

impl<'de> Deserialize<'de> for TenantKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("expected the id or the slug of a tenant"))
    }
}

impl fmt::Display for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Slug(slug) => slug.fmt(f),
        }
    }
}

/// The one answer for a tenant that is not there or not yours to know.
pub(super) fn not_found() -> Problem {
    Problem::not_found("tenant-not-found").detail("There is no such tenant.")
}

impl TenantKey {
    /// Reads an id or a slug.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse()
            .map(Self::Id)
            .or_else(|_| text.parse().map(Self::Slug))
            .ok()
    }

    /// Whether it names this one.
    pub fn names(&self, id: TenantId, slug: &Slug) -> bool {
        match self {
            Self::Id(named) => *named == id,
            Self::Slug(named) => named == slug,
        }
    }

    /// The tenant in force, if that is the one named.
    ///
    /// # Errors
    /// 404 for every other one, whether or not it is there.
    pub fn of_seat(&self, who: &Who) -> Result<TenantId, Problem> {
        let seat = who.seat().filter(|seat| self.names(seat.tenant.id, &seat.tenant.slug));
        seat.map(|seat| seat.tenant.id).ok_or_else(not_found)
    }

    /// The tenant in the register: for staff.
    ///
    /// # Errors
    /// 404 when there is none; the database.
    pub async fn registered(&self, app: &App) -> Result<Tenant, Problem> {
        let mut tx = SystemTx::begin(&app.app_pool, "read-tenant").await?;
        let found = store::find(tx.conn(), self).await?;
        tx.rollback().await?;
        found.ok_or_else(not_found)
    }
}
