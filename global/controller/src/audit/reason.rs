//! Why somebody does what ends, stops or begins something, in their own words.
use exarch_common_http::Text;
use serde::Deserialize;
use utoipa::ToSchema;

/// The body of an action that wants a reason and nothing else.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// For the audit, one sentence.
    pub reason: Text<200>,
}
