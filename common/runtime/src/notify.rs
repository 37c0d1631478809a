//! systemd's notification socket: ready, stopping, still alive (sd_notify(3)).
use crate::settings::Env;
use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Where to report, if anyone listens. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Notify(Option<Arc<Socket>>);

#[derive(Debug)]
struct Socket {
    socket: UnixDatagram,
    to: SocketAddr,
    watchdog: Option<Duration>,
}

impl Notify {
    /// From `NOTIFY_SOCKET`, a path or `@` and an abstract name, and `WATCHDOG_USEC`. An address that cannot be used is told
    /// in the log and otherwise ignored: the service manager will say the rest.
    pub fn from_env(env: &Env) -> Self {
        let Some(name) = env.get("NOTIFY_SOCKET").filter(|n| !n.is_empty()) else {
            return Self(None);
        };
        let address = match name.strip_prefix('@') {
            Some(hidden) => SocketAddr::from_abstract_name(hidden),
            None => SocketAddr::from_pathname(name),
        };
        let opened = address.and_then(|to| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok((socket, to))
        });
        match opened {
            Ok((socket, to)) => Self(Some(Arc::new(Socket {
                socket,
                to,
                watchdog: watchdog_period(env),
            }))),
            Err(error) => {
                tracing::warn!(%error, "NOTIFY_SOCKET cannot be used");
                Self(None)
            }
        }
    }

    /// Startup is over.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The stop began.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Reports life at half the period that was asked for, until `stop`. The report comes from the runtime that serves, so
    /// it stays away when that one hangs.
    pub(crate) async fn watchdog(self, stop: CancellationToken) {
        let Some(period) = self.0.as_ref().and_then(|s| s.watchdog) else {
            return;
        };
        let mut beat = tokio::time::interval(period / 2);
        loop {
            tokio::select! {
                _ = beat.tick() => self.send("WATCHDOG=1"),
                () = stop.cancelled() => return,
            }
        }
    }

    fn send(&self, text: &str) {
        let Some(s) = &self.0 else { return };
        let sent: io::Result<usize> = s.socket.send_to_addr(text.as_bytes(), &s.to);
        if let Err(error) = sent {
            tracing::warn!(%error, text, "the service manager could not be told");
        }
    }
}

fn watchdog_period(env: &Env) -> Option<Duration> {
    // Meant for another process when it names one.
    let pid = env.get("WATCHDOG_PID");
    if pid.is_some_and(|pid| *pid != std::process::id().to_string()) {
        return None;
    }
    let micros: u64 = env.get("WATCHDOG_USEC")?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(socket: &str, watchdog: Option<&str>) -> Env {
        let mut env = Env::from([("NOTIFY_SOCKET".to_owned(), socket.to_owned())]);
        env.extend(watchdog.map(|usec| ("WATCHDOG_USEC".to_owned(), usec.to_owned())));
        env
    }

    fn next(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    #[tokio::test]
    async fn the_service_manager_is_told_by_path_and_by_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("exarch-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (listening, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.display().to_string()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}")),
        ] {
            let notify = Notify::from_env(&env(&address, Some("20000")));
            notify.ready();
            assert_eq!(next(&listening), "READY=1");
            let stop = CancellationToken::new();
            let beat = tokio::spawn(notify.clone().watchdog(stop.clone()));
            let heard = tokio::task::spawn_blocking(move || (next(&listening), next(&listening), listening));
            let (first, second, listening) = heard.await.unwrap();
            assert_eq!((&*first, &*second), ("WATCHDOG=1", "WATCHDOG=1"));
            stop.cancel();
            beat.await.unwrap();
            listening.set_nonblocking(true).unwrap();
            while listening.recv(&mut [0; 64]).is_ok() {}
            notify.stopping();
            assert_eq!(next(&listening), "STOPPING=1");
        }
    }

    #[test]
    fn a_watchdog_meant_for_another_process_is_not_ours() {
        let mut env = env("/x", Some("1000000"));
        assert_eq!(watchdog_period(&env), Some(Duration::from_secs(1)));
        env.insert("WATCHDOG_PID".into(), "1".into());
        assert_eq!(watchdog_period(&env), None);
        env.insert("WATCHDOG_PID".into(), std::process::id().to_string());
        assert_eq!(watchdog_period(&env), Some(Duration::from_secs(1)));
    }

    #[test]
    fn without_a_service_manager_nothing_is_sent() {
        Notify::from_env(&Env::new()).ready();
    }
}
