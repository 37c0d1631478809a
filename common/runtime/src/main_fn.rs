//! What every `main` does around its own work.
use std::{
    future::Future,
    io::{Write, stderr},
    process::ExitCode,
};

/// Puts the cryptographic provider in place, runs `work` on a multi-threaded runtime and turns its outcome into an exit
/// code. A failure is one line on standard error: the process, what failed, and why.
pub fn run<F>(process: &str, work: F) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    let outcome = exarch_common_crypto::init()
        .map_err(anyhow::Error::from)
        .and_then(|()| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let outcome = runtime.block_on(work);
            // A blocking task that hangs must not keep a stopped process alive.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(stderr(), "{}", line(process, &e));
            ExitCode::FAILURE
        }
    }
}

/// The error with its causes in one line; a cause that the one before it already tells is left out.
fn line(process: &str, error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    format!("{process}: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_failure_is_one_line_that_names_every_cause_once() {
        let error = Err::<(), _>(std::io::Error::other("no route\nto host"))
            .context("cannot reach the database")
            .context("the gateway did not start")
            .unwrap_err();
        assert_eq!(
            line("exarch-gateway", &error),
            "exarch-gateway: the gateway did not start: cannot reach the database: no route to host"
        );
        let told: Result<(), _> =
            Err(std::io::Error::other("gone")).map_err(|e| anyhow::anyhow!("x: {e}").context("y"));
        assert_eq!(line("p", &told.unwrap_err()), "p: y: x: gone");
    }
}
