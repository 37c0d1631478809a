//! Processes that outlive the command that started them, found again by pid and start time.
use super::file::write_private;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Why a process does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// It could not be started.
    #[error("cannot start {program}: {cause}")]
    Start {
        /// Which.
        program: String,
        /// What the system said.
        cause: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready; read {log}", log = .log.display())]
    Ended {
        /// Which.
        name: String,
        /// What to read.
        log: PathBuf,
    },
    /// It did not become ready.
    #[error("{name} was not ready within {}s; read {log}", .after.as_secs(), log = .log.display())]
    NotReady {
        /// Which.
        name: String,
        /// The patience.
        after: Duration,
        /// What to read.
        log: PathBuf,
    },
    /// It does not stop.
    #[error("{name} (process {pid}) does not stop")]
    NotStopped {
        /// Which.
        name: String,
        /// Its process.
        pid: i32,
    },
    /// A file.
    #[error("{path}: {cause}", path = .path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// A process of a box, running or not.
#[derive(Clone, Debug)]
pub struct Daemon {
    name: String,
    record: PathBuf,
    log: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Record {
    pid: i32,
    /// Clock ticks since boot: together with the pid it names one process for ever.
    started: u64,
}

/// When a process was started; `None` when there is none, or only its remains.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may hold anything, so read from its closing parenthesis: state is the first field after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (fields.first() != Some(&"Z"))
        .then(|| fields.get(19)?.parse().ok())
        .flatten()
}

impl Daemon {
    /// The process `name` of the box in `dir`.
    pub fn new(dir: &Path, name: &str) -> Self {
        let file = |folder: &str, end: &str| dir.join(folder).join(format!("{name}.{end}"));
        Self {
            name: name.to_owned(),
            record: file("run", "json"),
            log: file("logs", "log"),
        }
    }

    /// What to read when it fails.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its pid, when it runs.
    pub fn pid(&self) -> Option<i32> {
        let record: Record = serde_json::from_slice(&fs::read(&self.record).ok()?).ok()?;
        (started(record.pid) == Some(record.started)).then_some(record.pid)
    }

    /// Starts it in a session of its own unless it runs.
    ///
    /// # Errors
    /// [`DaemonError::Start`], [`DaemonError::Disk`].
    pub fn start(&self, program: &Path, args: &[&str]) -> Result<i32, DaemonError> {
        if let Some(pid) = self.pid() {
            return Ok(pid);
        }
        let disk = |path: &Path, cause| DaemonError::Disk {
            path: path.to_owned(),
            cause,
        };
        for file in [&self.record, &self.log] {
            let folder = file.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder).map_err(|e| disk(folder, e))?;
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(|e| disk(&self.log, e))?;
        let errors = log.try_clone().map_err(|e| disk(&self.log, e))?;
        let start = |cause| DaemonError::Start {
            program: program.display().to_string(),
            cause,
        };
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(start)?;
        let pid = child.id() as i32;
        let record = Record {
            pid,
            started: started(pid).unwrap_or_default(),
        };
        write_private(&self.record, &serde_json::to_vec(&record).unwrap_or_default())
            .map_err(|e| disk(&self.record, e))?;
        Ok(pid)
    }

    /// Waits until `url` answers 200.
    ///
    /// # Errors
    /// [`DaemonError::Ended`], [`DaemonError::NotReady`].
    pub async fn ready(&self, url: &str, after: Duration) -> Result<(), DaemonError> {
        let deadline = Instant::now() + after;
        let client = reqwest::Client::new();
        loop {
            if client
                .get(url)
                .timeout(Duration::from_secs(2))
                .send()
                .await
                .is_ok_and(|r| r.status().is_success())
            {
                return Ok(());
            }
            let (name, log) = (self.name.clone(), self.log.clone());
            if self.pid().is_none() {
                return Err(DaemonError::Ended { name, log });
            }
            if Instant::now() > deadline {
                return Err(DaemonError::NotReady { name, after, log });
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends a signal, if it runs.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGTERM, and SIGKILL after 25 s; returns when it is gone. Nothing else is ever stopped.
    ///
    /// # Errors
    /// [`DaemonError::NotStopped`].
    pub async fn stop(&self) -> Result<(), DaemonError> {
        self.end(Signal::TERM, Duration::from_secs(25)).await
    }

    /// SIGKILL; returns when it is gone.
    ///
    /// # Errors
    /// [`DaemonError::NotStopped`].
    pub async fn kill(&self) -> Result<(), DaemonError> {
        self.end(Signal::KILL, Duration::ZERO).await
    }

    async fn end(&self, first: Signal, patience: Duration) -> Result<(), DaemonError> {
        let Some(pid) = self.pid() else { return Ok(()) };
        self.signal(first);
        let (gentle, last) = (
            Instant::now() + patience,
            Instant::now() + patience + Duration::from_secs(5),
        );
        while self.pid().is_some() {
            if Instant::now() > last {
                return Err(DaemonError::NotStopped {
                    name: self.name.clone(),
                    pid,
                });
            }
            if Instant::now() > gentle {
                self.signal(Signal::KILL);
            }
            reap(pid);
            sleep(Duration::from_millis(20)).await;
        }
        let _ = fs::remove_file(&self.record);
        Ok(())
    }
}

/// A child of this very process stays as its remains until somebody asks for its end.
fn reap(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_started_is_stopped_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let daemon = Daemon::new(dir.path(), "sleeper");
        let pid = daemon.start(Path::new("/bin/sleep"), &["600"]).unwrap();
        assert_eq!(daemon.pid(), Some(pid));
        assert_eq!(daemon.start(Path::new("/bin/sleep"), &["600"]).unwrap(), pid);
        daemon.stop().await.unwrap();
        assert_eq!(daemon.pid(), None);
        // A record whose pid was given to another process names nobody.
        let record = Record {
            pid: std::process::id() as i32,
            started: 1,
        };
        write_private(&daemon.record, &serde_json::to_vec(&record).unwrap()).unwrap();
        assert_eq!(daemon.pid(), None);
        daemon.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_ends_early_names_its_log() {
        exarch_common_crypto::init().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let daemon = Daemon::new(dir.path(), "failing");
        daemon.start(Path::new("/bin/false"), &[]).unwrap();
        let error = daemon
            .ready("http://127.0.0.1:1/readyz", Duration::from_secs(10))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("failing.log"), "{error}");
    }
}
