//! Bodies of the protocol between our own processes.
use axum::extract::{FromRequest, Request};
use exarch_common_http::{Json, Problem};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A body from an agent: read as strictly as any, except that fields this build does not know are ignored. The agent may be
/// the newer of the two.
#[derive(Clone, Copy, Debug)]
pub struct Wire<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Wire<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(body) = Json::<Value>::from_request(request, state).await?;
        let read = T::deserialize(&body);
        read.map(Self).map_err(|_| {
            // the reader's own words would repeat the value, which may be a token
            Problem::unprocessable("invalid-value")
                .detail("The body is not what this version of the protocol expects; update the agent or the gateway.")
        })
    }
}
