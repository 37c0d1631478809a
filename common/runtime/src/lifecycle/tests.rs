use super::*;
use std::sync::atomic::AtomicU32;

pub(super) const GRACE: Duration = Duration::from_secs(20);

fn started() -> (Lifecycle, mpsc::Sender<Signal>, tokio::task::JoinHandle<Ended>) {
    started_with(Duration::ZERO, GRACE)
}

fn started_with(drain: Duration, grace: Duration) -> (Lifecycle, mpsc::Sender<Signal>, tokio::task::JoinHandle<Ended>) {
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

/// A service manager that listens.
pub(super) struct Manager {
    pub(super) socket: tokio::net::UnixDatagram,
    pub(super) notify: Notify,
    _dir: tempfile::TempDir,
}

impl Manager {
    pub(super) fn new(watchdog: &str) -> Self {
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

    pub(super) async fn heard(&self) -> String {
        let mut buffer = [0; 256];
        let n = self.socket.recv(&mut buffer).await.unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }
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
