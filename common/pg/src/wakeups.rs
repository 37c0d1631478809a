//! NOTIFY wakes, polling decides.
//!
//! A notification may be lost (the connection was down, the queue overflowed), so nothing may depend on one: whoever waits
//! here looks at the tables after every wake-up, and at the latest after its period.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::pools::PoolSettings;

/// The longest pause before listening is tried again.
const RETRY_AT_MOST: Duration = Duration::from_secs(5);

/// One connection that listens for all of a process; stops when dropped.
pub struct Wakeups {
    channels: HashMap<&'static str, watch::Sender<u64>>,
    settings: watch::Sender<PoolSettings>,
    task: JoinHandle<()>,
}

impl Wakeups {
    /// Listens on `channels`, reconnecting for as long as it takes. Call it inside the runtime. (With a pooler between,
    /// `settings` must lead straight to the database.)
    pub fn listen(settings: &PoolSettings, channels: &[&'static str]) -> Self {
        let channels: HashMap<&'static str, watch::Sender<u64>> =
            channels.iter().map(|name| (*name, watch::Sender::new(0))).collect();
        let (settings, from) = watch::channel(settings.clone());
        let task = tokio::spawn(listen(from, channels.clone()));
        Self {
            channels,
            settings,
            task,
        }
    }

    /// Listens by other settings from now on.
    pub fn reconnect(&self, settings: &PoolSettings) {
        self.settings.send_replace(settings.clone());
    }

    /// One who waits on `channel`.
    ///
    /// # Panics
    /// When `channel` is none of those listened on: a mistake of the program, not of its input.
    pub fn of(&self, channel: &'static str) -> Wakeup {
        let sender = self
            .channels
            .get(channel)
            .expect("a channel that was named to listen()");
        Wakeup(sender.subscribe())
    }
}

impl Drop for Wakeups {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for a notification or the end of a period.
#[derive(Debug, Clone)]
pub struct Wakeup(watch::Receiver<u64>);

impl Wakeup {
    /// Returns at the next notification, at once when one came since the last call, and in any case after `period`.
    /// Answers whether it was a notification.
    pub async fn next(&mut self, period: Duration) -> bool {
        match tokio::time::timeout(period, self.0.changed()).await {
            Ok(Ok(())) => true,
            // nobody listens any more: the period alone decides
            Ok(Err(_)) => {
                tokio::time::sleep(period).await;
                false
            }
            Err(_) => false,
        }
    }
}

async fn listen(mut from: watch::Receiver<PoolSettings>, channels: HashMap<&'static str, watch::Sender<u64>>) {
    let mut pause = Duration::from_millis(50);
    loop {
        let settings = from.borrow_and_update().clone();
        // what was said while nobody listened is unknown: everybody looks
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(settings.acquire_timeout)
            .connect_lazy_with(settings.connect_options());
        let ended = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen_all(channels.keys().copied()).await?;
            pause = Duration::from_millis(50);
            for sender in channels.values() {
                sender.send_modify(|n| *n += 1);
            }
            while let Some(notification) = listener.try_recv().await? {
                if let Some(sender) = channels.get(notification.channel()) {
                    sender.send_modify(|n| *n += 1);
                }
            }
            Ok::<_, sqlx::Error>(())
        };
        let ended = tokio::select! {
            ended = ended => ended,
            Ok(()) = from.changed() => {
                pause = Duration::from_millis(50);
                continue;
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "listening for notifications ended; polling goes on");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_AT_MOST);
    }
}
