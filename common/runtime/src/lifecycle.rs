//! Start and stop. The first signal: readiness goes red, then work in flight may finish within the grace. The second one
//! ends the process at once.
use crate::notify::Notify;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, interval, sleep, timeout},
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

type Alive = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;
type Reload = Arc<dyn Fn() + Send + Sync>;

struct Inner {
    stop: CancellationToken,
    tasks: TaskTracker,
    ready: AtomicBool,
    failed: Mutex<Option<String>>,
    fail: CancellationToken,
    reload: Mutex<Option<Reload>>,
    reload_asked: AtomicBool,
    alive: Mutex<Vec<(&'static str, Alive)>>,
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

    /// Adds a proof that the process moves. The watchdog of the service manager hears of a living process only while all of
    /// them hold: a timer alone would go on telling of life in a process that hangs.
    pub fn alive_while<F>(&self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let check: Alive = Arc::new(move || Box::pin(check()));
        let mut alive = self.0.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.push((name, check));
    }

    /// The first part that does not move.
    async fn stuck(&self, limit: Duration) -> Option<&'static str> {
        let checks = self.0.alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, check) in checks {
            // What has been told to stop need not move any more.
            let moves = timeout(limit, check()).await.unwrap_or(false);
            if !moves && !self.0.stop.is_cancelled() {
                return Some(name);
            }
        }
        None
    }

    async fn watchdog(self) {
        let Some(period) = self.0.notify.watchdog() else { return };
        let mut beat = interval(period / 4);
        loop {
            beat.tick().await;
            match self.stuck(period / 4).await {
                None => self.0.notify.alive(),
                Some(part) => tracing::error!(part, "it does not move; the watchdog is not told of life"),
            }
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

/// When a part of the process last moved. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// It moves.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it moved within `limit`, or has not begun yet.
    pub fn is_fresh(&self, limit: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| last.elapsed() <= limit)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    const GRACE: Duration = Duration::from_secs(20);

    fn started() -> (Lifecycle, mpsc::Sender<Signal>, tokio::task::JoinHandle<Ended>) {
        started_with(Duration::ZERO, GRACE)
    }

    fn started_with(
        drain: Duration,
        grace: Duration,
    ) -> (Lifecycle, mpsc::Sender<Signal>, tokio::task::JoinHandle<Ended>) {
        let lifecycle = Lifecycle::new(Notify::default());
        let (tx, rx) = mpsc::channel(4);
        let running = tokio::spawn(lifecycle.clone().run(rx, drain, grace));
        (lifecycle, tx, running)
    }

    #[tokio::test]
    async fn readiness_is_red_before_the_stop_reaches_anyone() {
        let (lifecycle, signals, running) = started();
        assert!(!lifecycle.is_ready());
        lifecycle.set_ready();
        assert!(lifecycle.is_ready());
        let (me, seen) = (lifecycle.clone(), Arc::new(AtomicBool::new(true)));
        let saw = seen.clone();
        lifecycle.spawn("watcher", async move {
            me.stop().cancelled().await;
            saw.store(me.is_ready(), Ordering::SeqCst);
            Ok(())
        });
        signals.send(Signal::Stop).await.unwrap();
        assert_eq!(running.await.unwrap(), Ended::Clean);
        assert!(!seen.load(Ordering::SeqCst));
        lifecycle.set_ready();
        assert!(!lifecycle.is_ready(), "a stopping process does not become ready again");
    }

    #[tokio::test]
    async fn work_under_way_finishes_before_the_end() {
        let (lifecycle, signals, running) = started();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let done = Arc::new(AtomicU32::new(0));
        let (count, stop) = (done.clone(), lifecycle.stop());
        lifecycle.track(async move {
            wait.await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        });
        signals.send(Signal::Stop).await.unwrap();
        stop.cancelled().await;
        assert!(!running.is_finished());
        go.send(()).unwrap();
        assert_eq!(running.await.unwrap(), Ended::Clean);
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_second_signal_ends_at_once() {
        let (lifecycle, signals, running) = started();
        lifecycle.track(std::future::pending());
        signals.send(Signal::Stop).await.unwrap();
        signals.send(Signal::Reload).await.unwrap();
        signals.send(Signal::Stop).await.unwrap();
        assert_eq!(running.await.unwrap(), Ended::Forced);
    }

    #[tokio::test]
    async fn a_second_signal_ends_even_while_draining() {
        let (_lifecycle, signals, running) = started_with(Duration::from_secs(3600), GRACE);
        signals.send(Signal::Stop).await.unwrap();
        signals.send(Signal::Stop).await.unwrap();
        assert_eq!(running.await.unwrap(), Ended::Forced);
    }

    #[tokio::test]
    async fn what_outlasts_the_grace_is_cut_off() {
        let (lifecycle, signals, running) = started_with(Duration::ZERO, Duration::from_millis(10));
        lifecycle.track(std::future::pending());
        signals.send(Signal::Stop).await.unwrap();
        assert_eq!(running.await.unwrap(), Ended::GraceOver);
    }

    #[tokio::test]
    async fn a_task_that_fails_ends_or_panics_stops_the_process_and_is_named() {
        for (task, why) in [
            (0, "the task sweeps failed: no database"),
            (1, "the task sweeps ended by itself"),
            (2, "the task sweeps broke off"),
        ] {
            let (lifecycle, _signals, running) = started();
            lifecycle.spawn("sweeps", async move {
                match task {
                    0 => anyhow::bail!("no database"),
                    1 => Ok(()),
                    _ => panic!("a bug"),
                }
            });
            let Ended::Failed(told) = running.await.unwrap() else {
                panic!("it ended otherwise")
            };
            assert!(told.starts_with(why), "{told}");
        }
    }

    #[tokio::test]
    async fn a_hangup_reloads_and_stops_nothing() {
        let (lifecycle, signals, running) = started();
        let (tx, mut rx) = mpsc::unbounded_channel();
        let early = tx.clone();
        lifecycle.on_reload(move || early.send("early").unwrap());
        signals.send(Signal::Reload).await.unwrap();
        assert_eq!(rx.recv().await, Some("early"));
        lifecycle.on_reload(move || tx.send("late").unwrap());
        assert_eq!(rx.recv().await, Some("late"), "what came during the start is made good");
        assert!(!running.is_finished() && !lifecycle.stop().is_cancelled());
        signals.send(Signal::Stop).await.unwrap();
        assert_eq!(running.await.unwrap(), Ended::Clean);
    }

    #[test]
    fn a_pulse_is_fresh_until_it_stays_away() {
        let pulse = Pulse::default();
        assert!(pulse.is_fresh(Duration::ZERO), "not begun yet");
        pulse.beat();
        assert!(pulse.is_fresh(Duration::from_secs(3600)));
        while pulse.is_fresh(Duration::from_millis(2)) {
            std::hint::spin_loop();
        }
        assert!(!pulse.is_fresh(Duration::from_millis(2)));
    }

    struct Manager {
        socket: tokio::net::UnixDatagram,
        notify: Notify,
        _dir: tempfile::TempDir,
    }

    impl Manager {
        fn new(watchdog: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("notify");
            let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
            let env = [
                ("NOTIFY_SOCKET".to_owned(), path.display().to_string()),
                ("WATCHDOG_USEC".to_owned(), watchdog.to_owned()),
            ];
            Self {
                socket,
                notify: Notify::from_env(&env.into()),
                _dir: dir,
            }
        }

        async fn heard(&self) -> String {
            let mut buffer = [0; 256];
            let n = self.socket.recv(&mut buffer).await.unwrap();
            String::from_utf8_lossy(&buffer[..n]).into_owned()
        }
    }

    #[tokio::test]
    async fn the_watchdog_hears_of_life_only_while_every_part_moves() {
        let manager = Manager::new("4000");
        let lifecycle = Lifecycle::new(manager.notify.clone());
        let (moves, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
        let (part, count) = (moves.clone(), asked.clone());
        lifecycle.alive_while("part", move || {
            count.fetch_add(1, Ordering::SeqCst);
            let moves = part.load(Ordering::SeqCst);
            async move {
                if !moves {
                    std::future::pending::<()>().await;
                }
                true
            }
        });
        let (signals, rx) = mpsc::channel(4);
        let running = tokio::spawn(lifecycle.clone().run(rx, Duration::ZERO, GRACE));
        assert_eq!(manager.heard().await, "WATCHDOG=1");
        moves.store(false, Ordering::SeqCst);
        let before = asked.load(Ordering::SeqCst);
        while asked.load(Ordering::SeqCst) < before + 5 {
            tokio::task::yield_now().await;
        }
        // What was said before it hung is out of the way; from here on there is silence.
        while manager.socket.try_recv(&mut [0; 256]).is_ok() {}
        let later = asked.load(Ordering::SeqCst);
        while asked.load(Ordering::SeqCst) < later + 5 {
            tokio::task::yield_now().await;
        }
        assert!(
            manager.socket.try_recv(&mut [0; 256]).is_err(),
            "it told of life while a part hung"
        );
        moves.store(true, Ordering::SeqCst);
        assert_eq!(manager.heard().await, "WATCHDOG=1");
        signals.send(Signal::Stop).await.unwrap();
        assert_eq!(running.await.unwrap(), Ended::Clean);
    }

    #[tokio::test]
    async fn the_service_manager_hears_of_ready_reload_and_stop_in_order() {
        let manager = Manager::new("0");
        let lifecycle = Lifecycle::new(manager.notify.clone());
        let (signals, rx) = mpsc::channel(4);
        let running = tokio::spawn(lifecycle.clone().run(rx, Duration::ZERO, GRACE));
        lifecycle.status("waiting for the database");
        lifecycle.set_ready();
        let notify = manager.notify.clone();
        lifecycle.on_reload(move || notify.status("reloading now"));
        signals.send(Signal::Reload).await.unwrap();
        for expected in [
            "STATUS=waiting for the database",
            "READY=1",
            "RELOADING=1\nMONOTONIC_USEC=",
            "STATUS=reloading now",
            "READY=1",
        ] {
            let heard = manager.heard().await;
            assert!(heard.starts_with(expected), "{heard} instead of {expected}");
        }
        signals.send(Signal::Stop).await.unwrap();
        assert!(manager.heard().await.starts_with("STOPPING=1"));
        assert_eq!(running.await.unwrap(), Ended::Clean);
    }
}
