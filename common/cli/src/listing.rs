//! Lists, and lists that go on: the verbs `list` and `watch` of every noun.
//!
//! `watch` asks for the same list as a stream. At a terminal the table is drawn anew at each change; elsewhere each change is
//! one line: of JSON for programs, of the table's columns with the change before them for logs. A stream that ends is opened
//! again with a fresh token, until Ctrl-C or until the server says that there is nothing to see any more.
use crate::{
    Failure,
    api::Api,
    context::Context,
    events::{Event, Events},
    failure::Exit,
    live::Live,
    tables::Column,
};
use serde_json::Value;
use std::time::Duration;

/// A stream sends a comment each 15 seconds; one that says nothing for so long is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// Before a stream that broke is opened again.
const PAUSE: Duration = Duration::from_secs(1);
/// As long a server may be away before that is told and the command ends.
const PATIENCE: Duration = Duration::from_secs(300);
/// The most a page of a list has.
const PAGE: &str = "100";

/// Where a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At the global.
    Global,
    /// At the global, in the tenant in force.
    Tenant,
    /// In the region.
    Region,
}

impl At {
    async fn open(self, cx: &Context) -> Result<Api, Failure> {
        match self {
            Self::Global => cx.global().await,
            Self::Tenant => cx.global_in_tenant().await,
            Self::Region => cx.region().await,
        }
    }
}

/// A list as people see it.
#[derive(Debug)]
pub struct Listing {
    /// The plural of what is in it.
    pub what: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// Where it is.
    pub at: At,
    /// Its path.
    pub path: String,
    /// What the server is asked to leave out.
    pub filter: Vec<(&'static str, String)>,
    /// Lists in which the names of what its items name are found.
    pub names: &'static [&'static str],
    /// Items at most.
    pub most: usize,
}

impl Listing {
    /// All of the list at `path`.
    pub fn new(what: &'static str, columns: &'static [Column], at: At, path: impl Into<String>) -> Self {
        Self {
            what,
            columns,
            at,
            path: path.into(),
            filter: Vec::new(),
            names: &[],
            most: usize::MAX,
        }
    }

    /// Only what lies in the cluster, if one is given.
    #[must_use]
    pub fn within(mut self, cluster: Option<String>) -> Self {
        self.filter.extend(cluster.map(|cluster| ("cluster_id", cluster)));
        self
    }

    /// With names from these lists in the place of ids.
    #[must_use]
    pub fn named_by(mut self, names: &'static [&'static str]) -> Self {
        self.names = names;
        self
    }

    fn query(&self) -> Vec<(&str, &str)> {
        self.filter
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect()
    }
}

/// Shows the list, and with `watching` how it changes.
///
/// # Errors
/// What the server answers, or standard output.
pub async fn show(cx: &Context, watching: bool, listing: &Listing) -> Result<(), Failure> {
    if watching {
        return watch(cx, listing).await;
    }
    let api = listing.at.open(cx).await?;
    let items = api.some(&listing.path, &listing.query(), listing.most).await?;
    let names = cx.names(&api, listing.names).await?;
    cx.out.list(listing.what, listing.columns, &items, &names)
}

async fn watch(cx: &Context, listing: &Listing) -> Result<(), Failure> {
    let mut live = cx.out.live(listing.what, listing.columns);
    tokio::select! {
        ended = follow(cx, listing, &mut live) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn follow(cx: &Context, listing: &Listing, live: &mut Live<'_>) -> Result<(), Failure> {
    let mut away: Option<time::OffsetDateTime> = None;
    loop {
        match stream(cx, listing, live, &mut away).await {
            Ok(()) => {}
            Err(failure) if failure.exit() == Exit::Unreachable => {
                let now = cx.ambient.now();
                let since = *away.get_or_insert(now);
                if now - since > PATIENCE {
                    return Err(failure);
                }
                live.trouble(&failure.to_string())?;
                tokio::time::sleep(PAUSE).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// One stream, to its end. It ends well when it is to be opened again.
async fn stream(
    cx: &Context,
    listing: &Listing,
    live: &mut Live<'_>,
    away: &mut Option<time::OffsetDateTime>,
) -> Result<(), Failure> {
    let api = listing.at.open(cx).await?;
    let mut query = listing.query();
    query.push(("limit", PAGE));
    let mut response = api.stream(&listing.path, &query).await?;
    *away = None;
    let mut events = Events::default();
    loop {
        let bytes = match tokio::time::timeout(SILENCE, response.chunk()).await {
            Ok(Ok(Some(bytes))) => bytes,
            // cut, at its end, or silent: a stream that does not come back is told by the next attempt
            Ok(Ok(None) | Err(_)) | Err(_) => {
                tokio::time::sleep(PAUSE).await;
                return Ok(());
            }
        };
        for event in events.read(&bytes).map_err(|e| Failure::Failed(e.to_string()))? {
            if let Some(ended) = take(cx, &api, listing, live, event).await? {
                return ended;
            }
        }
    }
}

/// Shows an event; the end of the stream when it was that.
async fn take(
    cx: &Context,
    api: &Api,
    listing: &Listing,
    live: &mut Live<'_>,
    event: Event,
) -> Result<Option<Result<(), Failure>>, Failure> {
    match event.name.as_str() {
        "page" => {
            let items = event.data.get("items").and_then(Value::as_array).cloned();
            let names = cx.names(api, listing.names).await?;
            live.page(items.unwrap_or_default(), names)?;
        }
        change @ ("added" | "changed" | "removed") => {
            if change == "added" && !listing.names.is_empty() {
                live.know(cx.names(api, listing.names).await?);
            }
            live.change(change, event.data)?;
        }
        "end" => {
            let text = |key: &str| event.data.get(key).and_then(Value::as_str).unwrap_or_default();
            let status = event.data.get("status").and_then(Value::as_u64).unwrap_or_default();
            // Its time is over, or that of the token: another attempt tells whether more than that is. What is refused for
            // good is refused then, and so is what is not there.
            if status == 401 || status >= 500 {
                return Ok(Some(Ok(())));
            }
            let said = text("detail").to_owned();
            return Ok(Some(Err(match status {
                403 => Failure::Denied(said),
                404 | 410 => Failure::NotFound(said),
                _ => Failure::Failed(said),
            })));
        }
        // of a newer server
        _ => {}
    }
    Ok(None)
}
