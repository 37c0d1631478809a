//! `exarch`: the command line of the federation.
use clap::Parser;
use exarch_common_cli::{Cli, Exit, run, tell};
use std::process::ExitCode;

/// What a shell reports of a command that was interrupted.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    // clap ends the process itself: 0 after help, 2 for what it does not understand.
    let cli = Cli::parse();
    let format = cli.flags.output;
    let runtime = exarch_common_crypto::init().map_err(|e| e.to_string()).and_then(|()| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().map_err(|e| e.to_string())
    });
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(reason) => return tell(&reason.into(), format).into(),
    };
    let code = runtime.block_on(async {
        tokio::select! {
            outcome = run(cli) => match outcome {
                Ok(()) => Exit::Ok.into(),
                Err(failure) => tell(&failure, format).into(),
            },
            // Dropping what runs puts the terminal's echo back.
            _ = tokio::signal::ctrl_c() => ExitCode::from(INTERRUPTED),
        }
    });
    // A thread that waits for a line of standard input must not keep the process.
    runtime.shutdown_background();
    code
}
