//! The process `exarch-gateway`.
use clap::Parser;
use exarch_regional_gateway::router;
use std::{io::Write, process::ExitCode};

/// The gateway of one region.
#[derive(Parser)]
#[command(name = "exarch-gateway", version)]
struct Args {
    /// Print the description of the API (OpenAPI 3.1) and end.
    #[arg(long)]
    openapi: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    exarch_common_runtime::run("exarch-gateway", async move {
        if args.openapi {
            let text = exarch_common_http::openapi_json(&router::openapi())?;
            std::io::stdout().write_all(text.as_bytes())?;
        }
        Ok(())
    })
}
