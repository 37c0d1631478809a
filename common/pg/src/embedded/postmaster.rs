//! Which process serves a data directory, told from `/proc`.
//!
//! The pid in `postmaster.pid` may belong to anybody after a crash and a restart of the machine. A server of this
//! directory is a live process that has it as its working directory, and nothing else is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::EmbeddedError;

const POLL: Duration = Duration::from_millis(10);

/// The server that runs on `data`, if one does.
pub(super) fn running(data: &Path) -> Option<i32> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    works_in(pid, data).then_some(pid)
}

/// False also for a process that has ended and waits for its parent to notice.
fn works_in(pid: i32, data: &Path) -> bool {
    let Ok(data) = fs::canonicalize(data) else { return false };
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data)
}

pub(super) fn is_alive(pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// Removes what a dead server left behind in `data` and `sockets`, once no process of it is left. Postgres itself takes the
/// lock files of a dead process away, but not when its number has been given to another process of the same account.
pub(super) async fn clear_stale(data: &Path, sockets: &Path) -> Result<(), EmbeddedError> {
    // the children of a server that was killed notice it and end by themselves
    let give_up = Instant::now() + Duration::from_secs(15);
    while let Some(pid) = any_process_in(data) {
        if Instant::now() > give_up {
            return Err(EmbeddedError::Orphan {
                pid,
                data: data.to_owned(),
            });
        }
        tokio::time::sleep(POLL).await;
    }
    let sockets = fs::read_dir(sockets)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    for path in sockets.chain([data.join("postmaster.pid")]) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(EmbeddedError::Directory { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

fn any_process_in(data: &Path) -> Option<i32> {
    fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .find(|pid| works_in(*pid, data))
}

/// Signals the server of `data` and waits until it and its children are gone.
pub(super) async fn stop(data: &Path, signal: Signal, patience: Duration) -> Result<(), EmbeddedError> {
    let Some(pid) = running(data) else { return Ok(()) };
    let process = Pid::from_raw(pid).ok_or(EmbeddedError::NotStopped { pid })?;
    if kill_process(process, signal).is_err() && works_in(pid, data) {
        return Err(EmbeddedError::NotStopped { pid });
    }
    let give_up = Instant::now() + patience;
    while any_process_in(data).is_some() {
        if Instant::now() > give_up {
            return Err(EmbeddedError::NotStopped { pid });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// The version a data directory was made by.
pub(super) fn major_of(data: &Path) -> Option<u32> {
    fs::read_to_string(PathBuf::from(data).join("PG_VERSION"))
        .ok()?
        .trim()
        .parse()
        .ok()
}
