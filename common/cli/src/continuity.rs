//! `exarch continuity`: answered by the region alone, to anyone, with or without the global.
use crate::{
    Failure,
    context::Context,
    tables::{Column, Names, column},
};
use serde_json::Value;

const STOPS: &[Column] = &[
    column("WHAT STOPS", |r| r.text("/what")),
    column("WHEN", |r| r.age("/at")),
    column("STOPPED", |r| r.text("/stopped")),
    column("ANSWERED WITH", |r| r.text("/problem")),
];

/// Asks the region.
pub async fn run(cx: &Context) -> Result<(), Failure> {
    let slug = cx.region_slug().await?;
    // No token is needed: when none is to be had, an address that was learned before will do.
    let known = match cx.tokens.is_by_key() {
        true => None,
        false => cx.tokens.session()?.regions.remove(&slug),
    };
    let region = match (cx.tokens.region(&slug).await, known) {
        (Ok(reached), _) => reached.api,
        (Err(_), Some(known)) => cx.tokens.anonymous(&known.url)?,
        (Err(failure), None) => return Err(failure),
    };
    let mut answer = region.get("/v1/continuity").await?;
    if cx.out.is_data() {
        return cx.out.one(&answer);
    }
    let stops = answer.as_object_mut().and_then(|object| object.remove("stops"));
    cx.out.one(&answer)?;
    match stops {
        Some(Value::Array(stops)) => cx.out.below(STOPS, &stops, &Names::default()),
        _ => Ok(()),
    }
}
