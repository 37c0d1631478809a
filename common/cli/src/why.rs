//! `exarch why` and `exarch who-can`: why something was refused, and who may do a thing.
use crate::{
    Failure,
    api::Api,
    cluster,
    context::Context,
    failure::Exit,
    tables::{Column, column},
    times,
};
use clap::Args;
use serde_json::{Value, json};

/// What is asked of whom may do a thing.
#[derive(Args, Debug)]
pub struct WhoCan {
    /// Name of a permission, as lease.list
    permission: String,
    /// In this cluster, by name or id; the region says it
    #[arg(long)]
    cluster: Option<String>,
    /// At this time; now where not given
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    at: Option<String>,
    /// Of the provider's people, over the federation
    #[arg(long, conflicts_with = "cluster")]
    federation: bool,
}

const COLUMNS: &[Column] = &[
    column("PERSON", |r| r.text("/display_name")),
    column("ROLE", |r| r.text("/role")),
    column("IN", |r| r.text("/on/kind")),
    column("CLUSTER", |r| r.id("/on/cluster_id")),
    column("UNTIL", |r| r.age("/until")),
    column("ID", |r| r.id("/id")),
];

/// Explains a refusal. Whoever refused it knows why: the region of `--region`, or the global, or a region entered before.
pub async fn why(cx: &Context, decision: &str) -> Result<(), Failure> {
    let decision: exarch_common_base::DecisionId = decision
        .parse()
        .map_err(|error| Failure::Usage(format!("{decision:?} is no id of a decision: {error}.")))?;
    let path = format!("/v1/decisions/{decision}");
    if cx.flags.region.is_some() {
        match cx.region().await?.get(&path).await {
            Err(failure) if failure.exit() == Exit::NotFound => {}
            answer => return cx.out.one(&answer?),
        }
    }
    let first = match at_global(cx, &path).await {
        Ok(answer) => return cx.out.one(&answer),
        Err(failure) => failure,
    };
    if cx.flags.region.is_some() || !matches!(first.exit(), Exit::NotFound | Exit::Unreachable) {
        return Err(first);
    }
    for region in cx.tokens.session()?.regions.into_keys() {
        // one that cannot be entered now leaves the others
        let Ok(region) = cx.enter(&region).await else {
            continue;
        };
        if let Ok(answer) = region.get(&path).await {
            return cx.out.one(&answer);
        }
    }
    Err(first)
}

async fn at_global(cx: &Context, path: &str) -> Result<Value, Failure> {
    cx.global().await?.get(path).await
}

/// Names those who may do a thing, and by what.
pub async fn who_can(cx: &Context, args: WhoCan) -> Result<(), Failure> {
    let mut query = vec![("permission", args.permission.as_str())];
    query.extend(args.at.as_deref().map(|at| ("at", at)));
    let answer = if args.federation {
        let global: Api = cx.global().await?;
        global.query("/v1/federation-who-can", &query).await?
    } else if let Some(cluster) = &args.cluster {
        let region = cx.region().await?;
        let cluster = cluster::id(&region, cluster).await?;
        query.push(("cluster_id", &cluster));
        region.query("/v1/who-can", &query).await?
    } else if cx.flags.region.is_some() {
        cx.region().await?.query("/v1/who-can", &query).await?
    } else {
        cx.global_in_tenant().await?.query("/v1/who-can", &query).await?
    };
    if cx.out.is_data() {
        return cx.out.one(&answer);
    }
    cx.out
        .list("people who may", COLUMNS, &rows(&answer), &Default::default())
}

/// A row for each binding by which somebody may.
fn rows(answer: &Value) -> Vec<Value> {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let people = list(answer, "people").into_iter().flat_map(|person| {
        let through = list(&person, "through").into_iter();
        let rows = through.map(|mut grant| {
            for name in ["id", "display_name"] {
                grant[name] = person.get(name).cloned().unwrap_or(json!(""));
            }
            grant
        });
        rows.collect::<Vec<_>>()
    });
    people.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_row_for_each_binding_that_is_enough() {
        let answer = json!({ "people": [
            { "id": "usr_1", "display_name": "Ada", "through": [{ "role": "a", "on": { "kind": "tenant" } }, { "role": "b" }] },
            { "id": "usr_2", "display_name": "Bea", "through": [{ "role": "a" }] },
        ] });
        let rows = rows(&answer);
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row["id"].as_str(), row["role"].as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (Some("usr_1"), Some("a")),
                (Some("usr_1"), Some("b")),
                (Some("usr_2"), Some("a"))
            ]
        );
    }
}
