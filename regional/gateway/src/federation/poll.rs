//! Fetching the passport: each half minute, and at once when somebody knows that there is something newer.
use super::{Link, LinkError};
use crate::{
    app::App,
    directory::{Offer, TakeError, Taken},
};
use exarch_common_wire::{
    federation::{MAX_RANGE, paths},
    passport::{Entry, Push, SectionBytes},
    user_token::Version,
};
use tokio_util::sync::CancellationToken;

/// Bytes of one section at most; far above what a tenant can have.
const MAX_SECTION: usize = 64 * 1024 * 1024;

/// Why a poll brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The global could not be reached, or what it said not believed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// What it sent could not be taken now.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// It keeps sending what does not fit together.
    #[error("the global's answers do not fit together; the next poll starts anew")]
    OutOfStep,
}

/// Polls until `stop`.
pub(super) async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.federation.nudge.notified() => {}
            () = tokio::time::sleep(app.settings.federation.poll) => {}
        }
        let ticket = app.federation.ticket();
        let outcome = poll(&app).await;
        if let Err(cause) = &outcome {
            metrics::counter!("exarch_passport_polls_failed_total").increment(1);
            tracing::debug!(%cause, "the passport could not be polled");
        }
        let reached = match &outcome {
            Ok(()) | Err(PollError::Take(_) | PollError::OutOfStep) => true,
            Err(PollError::Link(_)) => false,
        };
        app.federation.polled(ticket, reached);
    }
}

/// One poll: asks for what is newer than the passport in force, and takes it.
///
/// # Errors
/// [`PollError`]; what is in force stays.
pub async fn poll(app: &App) -> Result<(), PollError> {
    let link = app.federation.link().ok_or(LinkError::NoConnection)?;
    let have = app.directory.current().as_ref().map(|index| index.version());
    let mut push = ask(app, &link, have).await?;
    let mut whole = have.is_none();
    // At most: sections of the changes, everything, sections of that.
    for _ in 0..4 {
        let offer = if whole {
            Offer::Whole(&push)
        } else {
            Offer::Changes(&push)
        };
        match app.directory.take(offer, None).await? {
            Taken::Applied(_) | Taken::Confirmed | Taken::Known | Taken::Refused(_) => return Ok(()),
            Taken::Needs(missing) => {
                for entry in missing {
                    let content = section(app, &link, &entry).await?;
                    push.sections.insert(entry.id, SectionBytes(content));
                }
            }
            Taken::OutOfStep => {
                push = ask(app, &link, None).await?;
                whole = true;
            }
        }
    }
    Err(PollError::OutOfStep)
}

async fn ask(app: &App, link: &Link, have: Option<Version>) -> Result<Push, LinkError> {
    let path = match have {
        Some(version) => format!("{}?have={version}", paths::PASSPORT),
        None => paths::PASSPORT.to_owned(),
    };
    let bytes = link.get(app, &path).await?;
    Push::from_bytes(&bytes).ok_or_else(|| LinkError::Unreadable("it is no passport".to_owned()))
}

/// The contents of a section, range by range; whether they are the right ones is seen when they are taken.
async fn section(app: &App, link: &Link, entry: &Entry) -> Result<Vec<u8>, LinkError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/');
    if !entry.id.bytes().all(plain) {
        return Err(LinkError::Unreadable("the name of a section is none".to_owned()));
    }
    let mut out = Vec::new();
    while out.len() < MAX_SECTION {
        let path = format!(
            "{}/{}?offset={}&length={MAX_RANGE}",
            paths::SECTIONS,
            entry.id,
            out.len()
        );
        let part = link.get(app, &path).await?;
        out.extend_from_slice(&part);
        if part.len() < MAX_RANGE {
            return Ok(out);
        }
    }
    Err(LinkError::Unreadable(format!("the section {} does not end", entry.id)))
}
