//! `exarch version`.
use crate::{Failure, context::Context};
use serde_json::json;

/// Of this command; servers tell theirs in `exarch region list`.
pub fn run(cx: &Context) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if cx.out.is_data() {
        cx.out.one(&json!({ "version": version }))
    } else {
        cx.out.print(&format!("exarch {version}"))
    }
}
