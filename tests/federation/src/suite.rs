//! The tests of one box: it is brought up once, they run one after another, and it is taken down whatever happens. The
//! ordinary harness has no place for what must be undone at the end, so these programs bring their own; what they print has
//! the ordinary form.
use crate::{Federation, program};
use futures_util::future::{FutureExt, LocalBoxFuture};
use std::{
    io::{Write, stdout},
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};

/// No test of these takes as long.
const LIMIT: Duration = Duration::from_secs(300);

/// A test: its name, and what it does to a box.
pub type Test = (&'static str, fn(Arc<Federation>) -> LocalBoxFuture<'static, ()>);

/// The list of tests, in the order in which they run.
#[macro_export]
macro_rules! tests {
    ($($path:path),* $(,)?) => {
        &[$((stringify!($path), |federation| Box::pin($path(federation)) as _)),*]
    };
}

/// The `main` of a test program.
pub fn main(tests: &[Test]) -> ExitCode {
    main_of(tests, |_| {})
}

/// The same, for a box with so many processes of the global and of each gateway.
pub fn main_with_replicas(tests: &[Test], replicas: u16) -> ExitCode {
    main_of(tests, |federation| federation.replicas = replicas)
}

/// The same, for a box whose processes find something more in their environment.
pub fn main_with(tests: &[Test], env: &'static [(&'static str, &'static str)]) -> ExitCode {
    main_of(tests, |federation| federation.env = env)
}

/// The same, for a box that is prepared before anything of it is started.
pub fn main_of(tests: &[Test], prepare: impl FnOnce(&mut Federation)) -> ExitCode {
    let chosen = chosen(tests, std::env::args().skip(1));
    if std::env::args().any(|arg| arg == "--list") {
        for (name, _) in &chosen {
            say(&format!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    if !chosen.is_empty() {
        exarch_common_crypto::init().expect("the cryptographic provider is put in place once");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        failed = runtime.block_on(run(&chosen, prepare));
    }
    let outcome = if failed.is_empty() { "ok" } else { "FAILED" };
    // The end of the box counts as one of its tests only when it fails.
    let passed = chosen.iter().filter(|(name, _)| !failed.contains(name)).count();
    let (bad, out) = (failed.len(), tests.len() - chosen.len());
    say(&format!(
        "\ntest result: {outcome}. {passed} passed; {bad} failed; 0 ignored; 0 measured; {out} filtered out"
    ));
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints a line of the report.
pub fn say(line: &str) {
    // Nobody is left to tell when standard output is closed.
    let _ = writeln!(stdout(), "{line}");
}

/// What the command line asks for, as the ordinary harness understands it: words that occur in a name, `--exact`, `--skip`.
fn chosen(tests: &[Test], args: impl Iterator<Item = String>) -> Vec<Test> {
    let (mut words, mut skipped, mut exact, mut skip) = (Vec::new(), Vec::new(), false, false);
    for arg in args {
        match arg.as_str() {
            "--exact" => exact = true,
            "--skip" => skip = true,
            _ if skip => {
                skipped.push(arg);
                skip = false;
            }
            flag if flag.starts_with('-') => {}
            _ => words.push(arg),
        }
    }
    let names = |name: &str, word: &String| {
        if exact {
            name == word
        } else {
            name.contains(word.as_str())
        }
    };
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| names(name, word));
    let tests = tests.iter().copied();
    tests
        .filter(|(name, _)| wanted(name) && !skipped.iter().any(|word| names(name, word)))
        .collect()
}

async fn run(tests: &[Test], prepare: impl FnOnce(&mut Federation)) -> Vec<&'static str> {
    let mut failed = Vec::new();
    say(&format!("\nrunning {} tests", tests.len()));
    let (mut term, mut int) = (
        signal(SignalKind::terminate()).expect("signals can be heard"),
        signal(SignalKind::interrupt()).expect("signals can be heard"),
    );
    let mut federation = Federation::reserve(&program("exarch-box"));
    prepare(&mut federation);
    let federation = Arc::new(federation);
    tokio::select! {
        () = all(&federation, tests, &mut failed) => {}
        _ = term.recv() => failed.push("interrupted"),
        _ = int.recv() => failed.push("interrupted"),
    }
    match AssertUnwindSafe(federation.end()).catch_unwind().await {
        Ok(left) if left.is_empty() => {}
        Ok(left) => {
            say(&format!("left behind: {left:#?}"));
            failed.push("the end of the box");
        }
        Err(_) => failed.push("the end of the box"),
    }
    failed
}

async fn all(federation: &Arc<Federation>, tests: &[Test], failed: &mut Vec<&'static str>) {
    if let Err(why) = federation.up().await {
        say(&format!("the box does not come up: {why}"));
        failed.extend(tests.iter().map(|(name, _)| *name));
        return;
    }
    for (name, test) in tests {
        let began = Instant::now();
        let ended = AssertUnwindSafe(test(federation.clone())).catch_unwind();
        let outcome = match tokio::time::timeout(LIMIT, ended).await {
            Ok(Ok(())) => "ok",
            Ok(Err(_)) | Err(_) => "FAILED",
        };
        if outcome != "ok" {
            failed.push(name);
        }
        say(&format!(
            "test {name} ... {outcome} ({:.1} s)",
            began.elapsed().as_secs_f64()
        ));
    }
    if !failed.is_empty() {
        for line in federation.errors() {
            say(&line);
        }
    }
}
