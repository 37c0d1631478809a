//! Telling the global what the whole region has applied: its receipts for revocations rest on this.
use crate::app::App;
use exarch_common_wire::{
    federation::{Acknowledge, paths},
    user_token::Version,
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_millis(250);
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Acknowledges what is new, until `stop`. Nothing is lost when it fails: what was not told is told the next time.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut told: Option<(Version, i64)> = None;
    let mut applied = app.directory.applied();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = applied.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        match pass(&app, told).await {
            Ok(now) => told = now,
            Err(cause) => {
                tracing::debug!(%cause, "the passport could not be acknowledged");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(AFTER_FAILURE) => {}
                }
            }
        }
        app.federation.queue(pending(&app, told));
    }
}

/// What the global has not heard yet: acknowledgements and refusals.
fn pending(app: &App, told: Option<(Version, i64)>) -> u64 {
    let version = app.directory.current().as_ref().map(|index| index.version());
    u64::from(version.zip(app.directory.as_of()) != told) + u64::from(app.directory.refused().is_some())
}

/// One pass; answers what the global knows after it.
async fn pass(app: &App, told: Option<(Version, i64)>) -> anyhow::Result<Option<(Version, i64)>> {
    if pending(app, told) == 0 {
        return Ok(told);
    }
    let Some(link) = app.federation.link() else {
        return Ok(told);
    };
    let refused = app.directory.refused();
    let everywhere = app.instances.applied_everywhere(app).await?;
    let now = everywhere.zip(app.directory.as_of());
    // A region that never applied anything has no version to name but can still say what it refused.
    let (applied, as_of) = match now {
        Some(now) => now,
        None if refused.is_some() => (Version::default(), 0),
        None => return Ok(told),
    };
    if Some((applied, as_of)) == told && refused.is_none() {
        return Ok(told);
    }
    let keys_used = app.key_uses.untold();
    let message = Acknowledge {
        keys_used: keys_used.clone(),
        applied,
        as_of,
        refused: refused.clone(),
    };
    link.post::<()>(app, paths::ACKNOWLEDGE, &message).await?;
    app.key_uses.told(&keys_used);
    if let Some(refused) = &refused {
        app.directory.told(refused);
    }
    Ok(now)
}
