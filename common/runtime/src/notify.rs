//! systemd's notification socket: ready, reloading, stopping, still alive, and what is going on (sd_notify(3)).
use crate::settings::Env;
use rustix::time::{ClockId, clock_gettime};
use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::Arc,
    time::Duration,
};

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

    /// Startup is over, or a reload is.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// Settings are being read again; [`Notify::ready`] says that this is over. The time tells a manager which of two came first.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The stop began.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping");
    }

    /// In one line, for `systemctl status`.
    pub(crate) fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace(['\n', '\r'], " ")));
    }

    /// The process lives.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// How often the service manager wants to hear that it lives, if it does.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.0.as_ref()?.watchdog
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
        let mut buffer = [0; 256];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    #[test]
    fn the_service_manager_is_told_by_path_and_by_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("exarch-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (listening, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.display().to_string()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}")),
        ] {
            let notify = Notify::from_env(&env(&address, Some("20000")));
            assert_eq!(notify.watchdog(), Some(Duration::from_millis(20)));
            notify.ready();
            notify.alive();
            notify.status("two\nlines");
            notify.reloading();
            notify.stopping();
            assert_eq!(next(&listening), "READY=1");
            assert_eq!(next(&listening), "WATCHDOG=1");
            assert_eq!(next(&listening), "STATUS=two lines");
            let reloading = next(&listening);
            let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
            let told = micros.parse::<f64>().unwrap() / 1e6;
            // Not the same clock, but both count from the start of the machine, and ours leaves out the time it slept.
            assert!(told > 0.0 && told <= uptime + 1.0, "{told} {uptime}");
            assert_eq!(next(&listening), "STOPPING=1\nSTATUS=stopping");
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
