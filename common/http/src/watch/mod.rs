//! Lists that watch: the same route with `Accept: text/event-stream`.
//!
//! The stream shows the page that was asked for, and then how it changes. Each look is the list's own request again, through
//! the gate and the handler: whoever could not see an item in the list sees no event of it, and a session, token or permission
//! that ended ends the stream. A notification of the database wakes the look; a period repairs what a notification missed.
//!
//! | event | data |
//! | --- | --- |
//! | `page` | the page, first of all, and again when more came at once than it holds |
//! | `added` `changed` | the item as the list shows it |
//! | `removed` | the item as it was shown last |
//! | `end` | the problem for which the stream ends |
//!
//! There is nothing to resume: who comes back gets a new page.
mod window;

use self::window::{Change, Window};
use crate::{
    Problem, RequestContext,
    api::{DynGate, RouteKind},
    in_force::InForce,
    repeats::Asking,
    serve::HangUp,
    sse,
};
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response, sse::Event},
};
use exarch_common_pg::{Wakeup, Wakeups};
use futures_util::{future::select_all, stream};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// How much, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct WatchLimits {
    /// Streams of one caller at a time.
    pub per_caller: usize,
    /// Streams of this replica at a time.
    pub total: usize,
    /// After this a stream ends; whoever still wants it asks again.
    pub life: Duration,
    /// A look at the latest so long after the one before.
    pub period: Duration,
    /// A look at the earliest so long after the one before.
    pub gap: Duration,
    /// A reader who takes nothing for so long while something waits is dropped.
    pub patience: Duration,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            per_caller: 16,
            total: 1024,
            life: Duration::from_secs(3600),
            period: Duration::from_secs(5),
            gap: Duration::from_millis(200),
            patience: Duration::from_secs(10),
        }
    }
}

/// Looks at a time: watching must not take the database from those who ask.
const LOOKS: usize = 4;
/// How long looks may fail before the stream ends.
const OUTAGE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);

/// All streams of a server.
#[derive(Clone)]
pub struct Watches(Arc<Inner>);

struct Inner {
    wakeups: Arc<Wakeups>,
    access: &'static [&'static str],
    limits: WatchLimits,
    open: Mutex<HashMap<String, usize>>,
    looks: Semaphore,
    stop: CancellationToken,
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watches")
    }
}

impl Watches {
    /// Woken by `wakeups`; `access` are the channels that tell of ended sessions and changed rights, on which every stream
    /// looks again.
    ///
    /// # Panics
    /// When `wakeups` does not listen on one of them.
    pub fn new(wakeups: Arc<Wakeups>, access: &'static [&'static str], limits: WatchLimits) -> Self {
        let watches = Self(Arc::new(Inner {
            wakeups,
            access,
            limits,
            open: Mutex::default(),
            looks: Semaphore::new(LOOKS),
            stop: CancellationToken::new(),
        }));
        watches.expect(&[]);
        watches
    }

    /// Ends all streams, for the server stops.
    pub fn end(&self) {
        self.0.stop.cancel();
    }

    /// Fails at the start rather than at the first request when nobody listens on a channel.
    pub(crate) fn expect(&self, channels: &[&'static str]) {
        self.wakeups(channels);
    }

    fn wakeups(&self, channels: &[&'static str]) -> Vec<Wakeup> {
        let channels = channels.iter().chain(self.0.access);
        channels.map(|channel| self.0.wakeups.of(channel)).collect()
    }

    fn enter(&self, caller: &str) -> Result<Slot, Problem> {
        let mut open = self.0.open.lock().expect("no holder of this lock panics");
        let (mine, all) = (open.get(caller).copied().unwrap_or(0), open.values().sum::<usize>());
        if mine >= self.0.limits.per_caller || all >= self.0.limits.total {
            return Err(Problem::too_many(Duration::from_secs(5))
                .detail("Too many lists are watched at a time: close one, or ask for pages."));
        }
        *open.entry(caller.to_owned()).or_default() += 1;
        metrics::gauge!("exarch_watches_open").increment(1);
        Ok(Slot {
            watches: self.clone(),
            caller: caller.to_owned(),
        })
    }
}

/// One stream among those counted.
struct Slot {
    watches: Watches,
    caller: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.watches.0.open.lock().expect("no holder of this lock panics");
        if let Some(count) = open.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.caller);
            }
        }
        metrics::gauge!("exarch_watches_open").decrement(1);
    }
}

/// In the extensions of a request that a stream makes again by itself: no limit of requests is meant for it.
#[derive(Clone, Copy, Debug)]
pub struct Again;

/// The list's request, to be made again and again.
pub(crate) struct Asked {
    pub gate: Arc<dyn DynGate>,
    pub kind: RouteKind,
    pub parts: Parts,
    pub next: Next,
}

/// Who watches, and where.
struct Watcher {
    caller: String,
    in_force: Option<InForce>,
}

/// Pages have at most a hundred items.
const LARGEST: usize = 16 * 1024 * 1024;

impl Asked {
    /// The page as it is now and who asks for it, or the answer that is none.
    async fn look(&self, again: bool) -> Result<(Vec<u8>, Window, Watcher), Response> {
        let mut parts = self.parts.clone();
        if again {
            parts.extensions.insert(Again);
        }
        let admitted = self.gate.admit_dyn(self.kind, &mut parts).await;
        let in_force = InForce::of(&parts.extensions);
        admitted.map_err(|problem| InForce::tell(in_force, problem.into_response()))?;
        let caller = parts.extensions.get::<Asking>().map(|asking| asking.caller.clone());
        let request = Request::from_parts(parts, Body::empty());
        let response = self.next.clone().run(request).await;
        if response.status() != StatusCode::OK {
            return Err(InForce::tell(in_force, response));
        }
        let broken = |e: &(dyn std::error::Error + 'static)| Problem::internal(e).into_response();
        let page = to_bytes(response.into_body(), LARGEST).await.map_err(|e| broken(&e))?;
        let window = serde_json::from_slice(&page).map_err(|e| broken(&e))?;
        let watcher = Watcher {
            caller: caller.unwrap_or_default(),
            in_force,
        };
        Ok((page.into(), window, watcher))
    }
}

/// Answers a list's request by a stream.
pub(crate) async fn open(watches: Option<Watches>, channels: &[&'static str], asked: Asked) -> Response {
    let Some(watches) = watches else {
        tracing::error!("the gate of a list does not say where watching is");
        return Problem::broken().into_response();
    };
    // before the first look, so that no change after it is missed
    let wakeups = watches.wakeups(channels);
    let (page, window, watcher) = match asked.look(false).await {
        Ok(shown) => shown,
        Err(answer) => return answer,
    };
    let slot = match watches.enter(&watcher.caller) {
        Ok(slot) => slot,
        Err(problem) => return problem.into_response(),
    };
    let hang_up = asked.parts.extensions.get::<HangUp>().cloned();
    let (events, taken) = mpsc::channel(1);
    let feeding = Feeding {
        watches,
        wakeups,
        asked,
        window,
        events,
    };
    tokio::spawn(async move {
        let slow = feeding.run(page).await == Err(Slow);
        drop(slot);
        if let Some(hang_up) = hang_up.filter(|_| slow) {
            metrics::counter!("exarch_watches_slow_total").increment(1);
            // what was sent stays unread, and so would an end
            hang_up.now();
        }
    });
    let stream = stream::unfold(taken, |mut taken| async {
        let event = taken.recv().await?;
        Some((Ok(event), taken))
    });
    let mut response = sse::events(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // proxies that collect answers before they pass them on are told not to
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    InForce::tell(watcher.in_force, response)
}

/// The reader takes nothing.
#[derive(Debug, PartialEq, Eq)]
struct Slow;

struct Feeding {
    watches: Watches,
    wakeups: Vec<Wakeup>,
    asked: Asked,
    window: Window,
    events: mpsc::Sender<Event>,
}

impl Feeding {
    async fn run(mut self, page: Vec<u8>) -> Result<(), Slow> {
        let limits = self.watches.0.limits;
        let stop = self.watches.0.stop.clone();
        let end = Instant::now() + limits.life;
        self.send(event("page", &page).retry(RETRY)).await?;
        let mut failing: Option<Instant> = None;
        loop {
            let looked = Instant::now();
            let period = if failing.is_some() { RETRY } else { limits.period };
            let wakeups = &mut self.wakeups;
            let due = async move {
                wake(wakeups, period).await;
                sleep_until(looked + limits.gap).await;
            };
            tokio::select! {
                biased;
                () = self.events.closed() => return Ok(()),
                () = stop.cancelled() => return self.end(over()).await,
                () = sleep_until(end) => return self.end(over()).await,
                () = due => {}
            }
            match self.look().await {
                Ok((page, next)) => {
                    failing = None;
                    for change in self.window.changes(&next) {
                        self.send(told(change, &page)).await?;
                    }
                    self.window = next;
                }
                Err(answer) => {
                    let status = answer.status();
                    let since = *failing.get_or_insert(looked);
                    let passes = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                    if !passes || since.elapsed() > OUTAGE {
                        return self.end(self.problem(&answer)).await;
                    }
                }
            }
        }
    }

    async fn look(&self) -> Result<(Vec<u8>, Window), Response> {
        let _turn = self.watches.0.looks.acquire().await;
        self.asked.look(true).await.map(|(page, window, _)| (page, window))
    }

    fn problem(&self, answer: &Response) -> Problem {
        let problem = answer.extensions().get::<Problem>().cloned().unwrap_or_else(over);
        match self.asked.parts.extensions.get::<RequestContext>() {
            Some(context) => problem.request_id(context.request_id),
            None => problem,
        }
    }

    async fn end(&self, problem: Problem) -> Result<(), Slow> {
        self.send(event("end", &problem.body())).await
    }

    async fn send(&self, event: Event) -> Result<(), Slow> {
        match timeout(self.watches.0.limits.patience, self.events.send(event)).await {
            // a reader who has gone is found out by the loop
            Ok(_) => Ok(()),
            Err(_) => Err(Slow),
        }
    }
}

/// Waits for a notification on any of the channels, or the end of the period.
async fn wake(wakeups: &mut [Wakeup], period: Duration) {
    if wakeups.is_empty() {
        return tokio::time::sleep(period).await;
    }
    select_all(wakeups.iter_mut().map(|wakeup| Box::pin(wakeup.next(period)))).await;
}

fn over() -> Problem {
    Problem::unavailable("watch-over", RETRY).detail("This stream has come to its end: ask again to watch on.")
}

/// An event of one line: JSON as it is written here has no line breaks.
fn event(name: &str, json: &[u8]) -> Event {
    Event::default().event(name).data(String::from_utf8_lossy(json))
}

fn told(change: Change, page: &[u8]) -> Event {
    let (name, item) = match change {
        Change::Page => return event("page", page),
        Change::Added(item) => ("added", item),
        Change::Changed(item) => ("changed", item),
        Change::Removed(item) => ("removed", item),
    };
    event(name, item.to_string().as_bytes())
}

#[cfg(test)]
mod tests;
