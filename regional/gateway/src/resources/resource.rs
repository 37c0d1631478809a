//! A resource.
use exarch_common_base::{ClusterId, ResourceId};
use exarch_common_http::Versioned;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// How long a lease may last, in milliseconds.
pub const TTL_MS: RangeInclusive<u64> = 5_000..=300_000;

/// What sort of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// A volume; its guard refuses a lower fence.
    Volume,
}

impl ResourceKind {
    /// The word in the database and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Volume => "volume",
        }
    }

    /// The kind of a word; none for any other.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Volume].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A resource, also as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Resource {
    /// Its id.
    #[schema(value_type = String, pattern = "^res_[0-9a-f]{32}$")]
    pub id: ResourceId,
    /// Its cluster.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    pub cluster_id: ClusterId,
    /// Its name, unique in the cluster.
    pub name: String,
    /// What sort of thing it is.
    pub kind: ResourceKind,
    /// How long a lease on it lasts unless it is renewed.
    pub ttl_ms: u64,
    /// Rises with each change.
    pub version: u64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl Resource {
    /// Where it is.
    pub fn path(&self) -> String {
        format!("/v1/resources/{}", self.id)
    }

    /// As an answer.
    pub fn versioned(self) -> Versioned<Self> {
        Versioned {
            version: self.version,
            body: self,
        }
    }
}
