//! A supervised child in its own process group, started and ended by `exarch-guard`.
use exarch_common_base::{BootTime, Fence};
use exarch_regional_guard::{HeaderError, Pinned, init};
use serde::Deserialize;
use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    task::JoinHandle,
    time::timeout,
};

/// How the guard begins what it says of itself.
const GUARD: &str = "exarch-guard: ";
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a workload was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The volume cannot be used.
    #[error(transparent)]
    Volume(#[from] HeaderError),
    /// A file or the guard itself.
    #[error("{what}: {cause}")]
    System {
        /// Which.
        what: String,
        /// What the system said.
        cause: io::Error,
    },
}

/// How a workload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    ByItself(i32),
    /// It never ran: the guard says why.
    NotRun(String),
    /// The guard refused the fence; with its sentence and the highest fence it has seen.
    Fenced {
        /// For people.
        message: String,
        /// What the volume remembers.
        highest: Option<Fence>,
    },
    /// At the deadline, by the guard.
    AtDeadline,
}

#[derive(Deserialize)]
struct RefusalReport {
    message: String,
    highest: Option<Fence>,
}

/// A workload that runs, or is about to be refused by the guard.
#[derive(Debug)]
pub struct Process {
    child: Child,
    control: Option<ChildStdin>,
    last_words: JoinHandle<String>,
}

impl Process {
    /// Prepares the volume at its first use and starts the workload under its guard.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start(
        guard: &Path,
        volume: &Path,
        pinned: Pinned,
        grant: &Path,
        deadline: BootTime,
        argv: &[String],
    ) -> Result<Self, StartError> {
        let system = |what: &Path| {
            let what = what.display().to_string();
            move |cause| StartError::System { what, cause }
        };
        if !volume.exists() {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(volume)
                .map_err(system(volume))?;
        }
        init(volume, pinned)?;
        let mut child = Command::new(guard)
            .arg("run")
            .arg("--volume")
            .arg(volume)
            .arg("--grant")
            .arg(grant)
            .args(["--deadline-boottime", &deadline.nanos().to_string(), "--"])
            .args(argv)
            // What the service manager gave to this process is not for what it runs.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .env_remove("CREDENTIALS_DIRECTORY")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Not in our group: what ends the agent must not end the watchdog before its time.
            .process_group(0)
            .spawn()
            .map_err(system(guard))?;
        let control = child.stdin.take();
        let stderr = child.stderr.take();
        let last_words = tokio::spawn(async move {
            let mut last = String::new();
            if let Some(stderr) = stderr {
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    tracing::debug!(%line, "workload");
                    last = line;
                }
            }
            last
        });
        Ok(Self {
            child,
            control,
            last_words,
        })
    }

    /// Moves the deadline on.
    pub async fn extend(&mut self, deadline: BootTime) {
        self.tell(&format!("deadline {}\n", deadline.nanos())).await;
    }

    /// Ends the workload gently; [`Process::ended`] says when it is over.
    pub async fn stop(&mut self) {
        self.tell("stop\n").await;
    }

    async fn tell(&mut self, line: &str) {
        if let Some(control) = &mut self.control {
            // A guard that is gone has ended what it ran; the wait for its end tells.
            let _ = control.write_all(line.as_bytes()).await;
        }
    }

    /// Waits for the end. May be called again after being dropped half way.
    ///
    /// # Errors
    /// The operating system lost the child.
    pub async fn ended(&mut self) -> io::Result<Ended> {
        let status = self.child.wait().await?;
        Ok(match status.code() {
            Some(3) => {
                let words = (&mut self.last_words).await.unwrap_or_default();
                match serde_json::from_str::<RefusalReport>(&words) {
                    Ok(report) => Ended::Fenced {
                        message: report.message,
                        highest: report.highest,
                    },
                    // The command's own code 3.
                    Err(_) => Ended::ByItself(3),
                }
            }
            Some(4) => Ended::AtDeadline,
            // The guard's own failure, or its command's code 1: its words tell. Whatever escaped the command's group may keep
            // the pipe open.
            Some(1) => match timeout(LAST_WORDS, &mut self.last_words).await {
                Ok(Ok(words)) if words.starts_with(GUARD) => Ended::NotRun(words[GUARD.len()..].to_owned()),
                _ => Ended::ByItself(1),
            },
            code => Ended::ByItself(code.unwrap_or(1)),
        })
    }
}

/// Where the guard is: beside the agent's own program, unless told otherwise.
///
/// # Errors
/// There is none.
pub fn find_guard(told: Option<PathBuf>) -> io::Result<PathBuf> {
    let path = match told {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("exarch-guard"),
    };
    if path.is_file() {
        Ok(path)
    } else {
        let message = format!("{} does not exist; name the guard with --guard", path.display());
        Err(io::Error::new(io::ErrorKind::NotFound, message))
    }
}
