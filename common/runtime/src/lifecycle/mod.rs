//! Start and stop. The first signal: readiness goes red, then work in flight may finish within the grace. The second one
//! ends the process at once.
#[cfg(test)]
mod tests;
mod watchdog;

pub use watchdog::Pulse;

use crate::notify::Notify;
use std::{
    future::Future,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the operating system asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// How a process ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything finished within the grace.
    Clean,
    /// Something did not finish within the grace.
    GraceOver,
    /// A second signal came.
    Forced,
    /// A task that must not end did, as named.
    Failed(String),
}

impl Ended {
    /// An error for everything but [`Ended::Clean`]; a process that was told twice to stop did what it was told.
    pub fn into_result(self) -> anyhow::Result<()> {
        match self {
            Self::Clean | Self::Forced => Ok(()),
            Self::GraceOver => anyhow::bail!("some work did not finish within the grace and was cut off"),
            Self::Failed(why) => anyhow::bail!("stopped because {why}"),
        }
    }
}

type Reload = Arc<dyn Fn() + Send + Sync>;

struct Inner {
    stop: CancellationToken,
    tasks: TaskTracker,
    ready: AtomicBool,
    failed: Mutex<Option<String>>,
    fail: CancellationToken,
    reload: Mutex<Option<Reload>>,
    reload_asked: AtomicBool,
    alive: Mutex<Vec<watchdog::Proof>>,
    notify: Notify,
}

/// Shared by everything that lives as long as the process. Cheap to clone.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

impl Lifecycle {
    /// Not ready yet.
    pub fn new(notify: Notify) -> Self {
        Self(Arc::new(Inner {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            ready: AtomicBool::new(false),
            failed: Mutex::new(None),
            fail: CancellationToken::new(),
            reload: Mutex::new(None),
            reload_asked: AtomicBool::new(false),
            alive: Mutex::default(),
            notify,
        }))
    }

    /// Fires when work should finish.
    pub fn stop(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// Whether traffic is wanted: true between [`Lifecycle::set_ready`] and the first signal.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::SeqCst)
    }

    /// Startup is over: readiness goes green and systemd is told.
    pub fn set_ready(&self) {
        if !self.0.stop.is_cancelled() && !self.0.fail.is_cancelled() {
            self.0.ready.store(true, Ordering::SeqCst);
            self.0.notify.ready();
        }
    }

    /// What is going on, in one line, for whoever asks the service manager.
    pub fn status(&self, text: &str) {
        self.0.notify.status(text);
    }

    /// What a SIGHUP does, in place of what it did before. Should one have come already, it is done now as well: what comes
    /// later in a start also reads the settings again.
    pub fn on_reload(&self, reload: impl Fn() + Send + Sync + 'static) {
        let reload: Reload = Arc::new(reload);
        *self.0.reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(reload.clone());
        if self.0.reload_asked.load(Ordering::SeqCst) {
            reload();
        }
    }

    fn reload(&self) {
        self.0.reload_asked.store(true, Ordering::SeqCst);
        let reload = self.0.reload.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ready = self.is_ready();
        if ready {
            self.0.notify.reloading();
        }
        if let Some(reload) = reload {
            reload();
        }
        if ready {
            self.0.notify.ready();
        }
    }

    /// Runs a task that must last until the stop. If it ends before, with an error, a panic or nothing to say, the process
    /// stops: half a server is worse than a restarted one.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let me = self.clone();
        let running = tokio::spawn(task);
        self.0.tasks.spawn(async move {
            let why = match running.await {
                Ok(Ok(())) if me.0.stop.is_cancelled() => return,
                Ok(Ok(())) => format!("the task {name} ended by itself"),
                Ok(Err(e)) => format!("the task {name} failed: {e:#}"),
                Err(e) => format!("the task {name} broke off: {e}"),
            };
            me.fail(why);
        });
    }

    /// Waits for a short task at the stop, without caring how it ends.
    pub fn track<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.tasks.spawn(task);
    }

    /// Stops the process for `why`; the first reason is the one that is told.
    pub fn fail(&self, why: String) {
        tracing::error!(why, "the process has to stop");
        self.0
            .failed
            .lock()
            .expect("no holder of this lock panics")
            .get_or_insert(why);
        self.0.fail.cancel();
    }

    /// Waits for a signal or a failure, then stops in order: red readiness, `drain` for load balancers to see it, the stop,
    /// and up to `grace` for what is under way.
    pub async fn run(self, mut signals: mpsc::Receiver<Signal>, drain: Duration, grace: Duration) -> Ended {
        let beat = tokio::spawn(self.clone().watchdog());
        loop {
            tokio::select! {
                signal = signals.recv() => match signal {
                    Some(Signal::Reload) => self.reload(),
                    Some(Signal::Stop) | None => break,
                },
                () = self.0.fail.cancelled() => break,
            }
        }
        self.0.ready.store(false, Ordering::SeqCst);
        self.0.notify.stopping();
        tracing::info!("stopping");
        let orderly = async {
            sleep(drain).await;
            self.0.stop.cancel();
            self.0.tasks.close();
            timeout(grace, self.0.tasks.wait()).await.is_ok()
        };
        let second = async {
            loop {
                match signals.recv().await {
                    Some(Signal::Stop) => return,
                    Some(Signal::Reload) => {}
                    // Nobody is left to send one.
                    None => std::future::pending().await,
                }
            }
        };
        let finished = tokio::select! {
            finished = orderly => Some(finished),
            () = second => None,
        };
        beat.abort();
        self.0.stop.cancel();
        let failed = self.0.failed.lock().expect("no holder of this lock panics").take();
        match (failed, finished) {
            (Some(why), _) => Ended::Failed(why),
            (None, None) => Ended::Forced,
            (None, Some(true)) => Ended::Clean,
            (None, Some(false)) => Ended::GraceOver,
        }
    }
}

/// The signals of this process.
pub fn os_signals() -> io::Result<mpsc::Receiver<Signal>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    let (tx, rx) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                Some(()) = term.recv() => Signal::Stop,
                Some(()) = int.recv() => Signal::Stop,
                Some(()) = hup.recv() => Signal::Reload,
                else => return,
            };
            if tx.send(next).await.is_err() {
                return;
            }
        }
    });
    Ok(rx)
}
