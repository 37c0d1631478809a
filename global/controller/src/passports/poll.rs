//! `GET /federation/v1/passport?have=G.V`: what the region lacks. With nothing new it is a new statement, which is the
//! point of asking each half minute.
use super::deliver::{self, DeliverError};
use crate::{app::App, federation::PeerCaller};
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use exarch_common_http::{Problem, Query};
use exarch_common_wire::{federation::CBOR, user_token::Version};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Have {
    #[serde(default)]
    have: Option<String>,
}

/// Answers a poll.
#[utoipa::path(get, path = "/federation/v1/passport", tag = "federation", responses(
    (status = 200, description = "What changed since, as CBOR"),
))]
pub(super) async fn poll(
    State(app): State<App>,
    caller: PeerCaller,
    Query(input): Query<Have>,
) -> Result<Response, Problem> {
    let have = input.have.as_deref().map(version).transpose()?;
    let (newest, push) = deliver::since(&app, caller.region, have, deliver::POLL).await?;
    if have.is_some_and(|have| have > newest) {
        metrics::counter!("exarch_passport_ahead_total").increment(1);
        tracing::error!(region = %caller.region, have = input.have, newest = %newest,
            "a region has a passport that this global never made: was the global restored without raising its generation?");
    }
    Ok((
        [(header::CONTENT_TYPE, HeaderValue::from_static(CBOR))],
        push.to_bytes(),
    )
        .into_response())
}

fn version(text: &str) -> Result<Version, Problem> {
    text.split_once('.')
        .and_then(|(g, v)| Some(Version(g.parse().ok()?, v.parse().ok()?)))
        .ok_or_else(|| Problem::bad_request("malformed-query").error("have", "expected generation.version"))
}

impl From<DeliverError> for Problem {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::Db(e) => e.into(),
            DeliverError::None | DeliverError::Sign(_) => Problem::internal(&error),
        }
    }
}
