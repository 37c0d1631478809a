//! `exarch apply`: documents that say what should be there, made so. All of them are read strictly before anything is sent,
//! then compared with what is there, then made or changed one after the other, each behind what it rests on. What is as it
//! should be is left alone, so that the same documents can be applied again and again. Nothing is ever deleted.
mod difference;
mod document;
mod kinds;
mod read;
mod steps;

use crate::{
    Failure, bootstrap,
    context::Context,
    progress::Progress,
    tables::{Column, Names, column, state},
};
use clap::Args;
use kinds::KINDS;
use read::Source;
use serde_json::{Value, json};
use std::{fmt, path::PathBuf};
use steps::{Outcome, Step, World};

/// What is applied.
#[derive(Args, Debug)]
pub struct Apply {
    /// A file of YAML or JSON documents, a directory of such files, or - for standard input; may be given several times
    #[arg(short, long = "filename", value_name = "FILE|DIR|-", required = true)]
    files: Vec<PathBuf>,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Something in a document that cannot be used.
#[derive(Debug)]
pub struct Fault {
    source: Source,
    line: u64,
    reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Source { file, number, .. } = &self.source;
        write!(f, "{file}, document {number}, line {}: {}", self.line, self.reason)
    }
}

const COLUMNS: &[Column] = &[
    column("KIND", |r| r.text("/kind")),
    column("NAME", |r| r.text("/name")),
    column("CLUSTER", |r| r.text("/cluster")),
    column("REGION", |r| r.text("/region")),
    state("OUTCOME", |r| r.text("/outcome")),
    column("CHANGES", |r| r.changes("/changes")),
];

/// Reads, compares, and makes it so.
///
/// # Errors
/// Faults in the documents, before anything is done; or the first refusal, after which nothing more is done.
pub async fn run(cx: &Context, apply: Apply) -> Result<(), Failure> {
    let mut faults = Vec::new();
    let read = read::all(&apply.files, &mut faults)?;
    let mut documents = document::check(read, &cx.flags, &mut faults);
    whole(faults)?;
    documents.sort_by_key(|document| KINDS.iter().position(|kind| kind.word == document.kind.word));

    let mut faults = Vec::new();
    let mut world = World::new(cx);
    let total = documents.len();
    let looked = || "Nothing was done.".to_owned();
    let mut progress = Progress::begin(&cx.out, "looking", Some(total), looked());
    let mut steps = Vec::new();
    for document in documents {
        progress.step(
            &format!("looking at {} {}", document.kind.word, document.name()),
            looked(),
        );
        let told = document.told();
        let step = world.plan(document, &mut faults).await;
        steps.push(step.map_err(|cause| cause.of(told))?);
        progress.done();
    }
    progress.end();
    whole(faults)?;
    if apply.dry_run {
        return show(cx, &steps, true);
    }

    let mut progress = Progress::begin(&cx.out, "applying", Some(total), String::new());
    let mut outcome = Ok(());
    for (at, step) in steps.iter_mut().enumerate() {
        progress.step(
            &format!("{} {}", step.document.kind.word, step.document.name()),
            format!("{at} of {total} documents are applied, and one more may be: apply them again to go on."),
        );
        if let Err(cause) = world.act(step).await {
            outcome = Err(cause.of(step.document.told()));
            break;
        }
        progress.done();
    }
    progress.end();
    for step in &mut steps {
        if matches!(step.outcome, Outcome::Create | Outcome::Change) {
            step.outcome = Outcome::Skipped;
        }
    }
    show(cx, &steps, false)?;
    outcome
}

/// Goes on only without faults.
fn whole(mut faults: Vec<Fault>) -> Result<(), Failure> {
    if faults.is_empty() {
        return Ok(());
    }
    faults.sort_by_key(|fault| (fault.source.place, fault.source.number, fault.line));
    Err(Failure::Faults(faults.iter().map(ToString::to_string).collect()))
}

fn show(cx: &Context, steps: &[Step], dry_run: bool) -> Result<(), Failure> {
    let items: Vec<_> = steps.iter().map(item).collect();
    cx.out.list("documents", COLUMNS, &items, &Names::default())?;
    // What is shown once and to people; programs have it in the item.
    if !cx.out.is_data() {
        for made in steps.iter().filter_map(|step| step.made.as_ref()) {
            if made.pointer("/admin/initial_password").is_some() {
                if cx.out.wants_names() {
                    cx.out.print("")?;
                }
                bootstrap::person(cx, made, &made["admin"])?;
            }
        }
    }
    let counts = [
        Outcome::Create,
        Outcome::Change,
        Outcome::Created,
        Outcome::Changed,
        Outcome::Unchanged,
        Outcome::Failed,
        Outcome::Skipped,
    ]
    .into_iter()
    .filter_map(|outcome| {
        let count = steps.iter().filter(|step| step.outcome == outcome).count();
        let word = match outcome {
            Outcome::Create | Outcome::Change => format!("to {}", outcome.word()),
            _ => outcome.word().to_owned(),
        };
        (count > 0).then(|| format!("{count} {word}"))
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    let nothing = if dry_run { "; nothing was done" } else { "" };
    cx.out.remark(&format!("{counts}{nothing}."));
    Ok(())
}

fn item(step: &Step) -> Value {
    let document = &step.document;
    let mut item = json!({
        "kind": document.kind.word,
        "name": document.name(),
        "outcome": step.outcome.word(),
        "changes": step.changes.iter().map(difference::Change::value).collect::<Vec<_>>(),
    });
    let cluster = document.spec.get("cluster").and_then(Value::as_str);
    let known = [
        ("id", step.id.as_deref()),
        ("tenant", document.tenant.as_deref()),
        ("region", document.region()),
        ("cluster", cluster),
    ];
    for (key, text) in known {
        if let Some(text) = text {
            item[key] = json!(text);
        }
    }
    if let Some(admin) = step.made.as_ref().and_then(|made| made.get("admin")) {
        item["admin"] = admin.clone();
    }
    item
}
