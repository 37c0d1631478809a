//! A host.
use exarch_common_base::{ClusterId, HostId};
use exarch_common_http::Versioned;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A host, also as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Host {
    /// Its id.
    #[schema(value_type = String, pattern = "^hst_[0-9a-f]{32}$")]
    pub id: HostId,
    /// Its cluster.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    pub cluster_id: ClusterId,
    /// Its name, unique in the cluster.
    pub name: String,
    /// Rises with each change.
    pub version: u64,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl Host {
    /// Where it is.
    pub fn path(&self) -> String {
        format!("/v1/hosts/{}", self.id)
    }

    /// As an answer.
    pub fn versioned(self) -> Versioned<Self> {
        Versioned {
            version: self.version,
            body: self,
        }
    }
}
