//! The proof that a process moves, for the watchdog of the service manager.
use super::Lifecycle;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, interval, timeout};

type Alive = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;
/// The name of a part, and how it shows that it moves.
pub(super) type Proof = (&'static str, Alive);

impl Lifecycle {
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

    pub(super) async fn watchdog(self) {
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

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Ended, Signal,
            tests::{GRACE, Manager},
        },
        *,
    };
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use tokio::sync::mpsc;

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
}
