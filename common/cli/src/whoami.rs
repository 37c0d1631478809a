//! `exarch whoami`.
use crate::{Failure, context::Context};

/// At the global, or in the region of `--region`; a key is somebody in a region alone.
pub async fn run(cx: &Context) -> Result<(), Failure> {
    let api = if cx.flags.region.is_some() || cx.tokens.is_by_key() {
        cx.region().await?
    } else {
        cx.global().await?
    };
    cx.out.one(&api.get("/v1/me").await?)
}
