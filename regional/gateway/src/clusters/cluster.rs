//! A cluster.
use exarch_common_base::ClusterId;
use exarch_common_http::Versioned;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A cluster, also as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cluster {
    /// Its id.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    pub id: ClusterId,
    /// Its name, unique in the tenant.
    pub name: String,
    /// Rises with each change.
    pub version: u64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl Cluster {
    /// Where it is.
    pub fn path(&self) -> String {
        format!("/v1/clusters/{}", self.id)
    }

    /// As an answer.
    pub fn versioned(self) -> Versioned<Self> {
        Versioned {
            version: self.version,
            body: self,
        }
    }
}
