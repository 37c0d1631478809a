//! Runs a command in a process group of its own and ends the whole group at the deadline.
//!
//! This is the watchdog of a lease: a process apart from the agent, so that an agent that was killed, frozen or cut off
//! cannot keep its workload past the deadline. The agent moves the deadline on by lines on standard input:
//!
//! ```text
//! deadline 123456789000000     nanoseconds of CLOCK_BOOTTIME; an earlier one than before is ignored
//! stop                         ends the command now: SIGTERM, and SIGKILL after the grace or at the deadline
//! ```
//!
//! When standard input ends, nobody will move the deadline on any more, and it comes.
use exarch_common_base::{BootTime, Clock, SystemClock};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fd::{AsFd, OwnedFd},
    io::{Errno, read},
    process::{
        Pid, PidfdFlags, Signal, getppid, kill_process_group, pidfd_open, set_parent_process_death_signal,
        test_kill_process_group,
    },
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime},
};
use std::{
    ffi::OsString,
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

/// The hidden subcommand by which the guard starts a command that dies with it.
pub const EXEC_COMMAND: &str = "exec-workload";

/// What to run and until when.
#[derive(Debug)]
pub struct Supervise {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// The deadline at the start.
    pub deadline: BootTime,
    /// Between SIGTERM and SIGKILL after `stop`.
    pub grace: Duration,
}

/// How it ended. In every case nothing of the process group is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code; 128 + signal when a signal ended it.
    ByItself(i32),
    /// After `stop`.
    Stopped,
    /// At the deadline.
    AtDeadline,
}

/// Why a command could not be run or watched.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// Nothing to run.
    #[error("there is no command after --")]
    NoCommand,
    /// The command could not be started.
    #[error("cannot start {0}: {1}")]
    Start(String, io::Error),
    /// The operating system refused to watch.
    #[error("cannot watch the command: {0}")]
    Watch(#[from] io::Error),
}

impl From<Errno> for SuperviseError {
    fn from(e: Errno) -> Self {
        Self::Watch(e.into())
    }
}

/// In the child, after the fork: die with the guard, then become the command. Returns only on failure.
pub fn exec_workload(parent: u32, argv: &[OsString]) -> SuperviseError {
    let Some((program, args)) = argv.split_first() else {
        return SuperviseError::NoCommand;
    };
    if let Err(e) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return e.into();
    }
    // The guard may have died before the line above; then no signal will come.
    if getppid().map(Pid::as_raw_nonzero).map(|p| p.get() as u32) != Some(parent) {
        return io::Error::other("the guard is gone").into();
    }
    let cause = Command::new(program).args(args).exec();
    SuperviseError::Start(program.to_string_lossy().into_owned(), cause)
}

/// Runs the command under the deadline, with lines from `control`.
///
/// # Errors
/// [`SuperviseError`]; nothing runs then.
pub fn supervise(guard: &std::path::Path, job: &Supervise, control: impl AsFd) -> Result<Ended, SuperviseError> {
    if SystemClock.boot() >= job.deadline {
        return Ok(Ended::AtDeadline);
    }
    let program = job
        .argv
        .first()
        .ok_or(SuperviseError::NoCommand)?
        .to_string_lossy()
        .into_owned();
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
    arm(&timer, job.deadline)?;
    let mut child = Command::new(guard)
        .arg(EXEC_COMMAND)
        .arg(std::process::id().to_string())
        .arg("--")
        .args(&job.argv)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|e| SuperviseError::Start(program, e))?;
    let group = Pid::from_child(&child);
    let watched = watch(job, group, &timer, control.as_fd());
    // Whatever happened: of the group nothing is left when this returns.
    end_group(group)?;
    let status = child.wait()?;
    Ok(match watched? {
        Some(ended) => ended,
        None => Ended::ByItself(code(status)),
    })
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1)
}

/// Waits for the first of: the command's end (`None`), `stop`, the deadline.
fn watch(
    job: &Supervise,
    group: Pid,
    timer: &OwnedFd,
    control: rustix::fd::BorrowedFd<'_>,
) -> Result<Option<Ended>, SuperviseError> {
    let ended = pidfd_open(group, PidfdFlags::empty())?;
    let (mut deadline, mut stopping, mut open) = (job.deadline, false, true);
    let mut pending = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&ended, PollFlags::IN), PollFd::new(timer, PollFlags::IN)];
        if open {
            fds.push(PollFd::from_borrowed_fd(control, PollFlags::IN));
        }
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let ready: Vec<bool> = fds.iter().map(|f| !f.revents().is_empty()).collect();
        if ready[1] {
            return Ok(Some(if stopping { Ended::Stopped } else { Ended::AtDeadline }));
        }
        if ready[0] {
            return Ok(stopping.then_some(Ended::Stopped));
        }
        if ready.get(2).copied().unwrap_or(false) {
            let mut chunk = [0; 512];
            let n = read(control, &mut chunk[..]).unwrap_or(0);
            open = n > 0;
            pending.extend_from_slice(&chunk[..n]);
            while let Some(end) = pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                match parse(&line) {
                    Some(Line::Deadline(next)) if next > deadline && !stopping => {
                        deadline = next;
                        arm(timer, deadline)?;
                    }
                    Some(Line::Stop) if !stopping => {
                        stopping = true;
                        let _ = kill_process_group(group, Signal::TERM);
                        arm(timer, deadline.min(SystemClock.boot() + job.grace))?;
                    }
                    _ => {}
                }
            }
            // A line that does not end is no line of ours.
            if pending.len() > 4096 {
                pending.clear();
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Line {
    Deadline(BootTime),
    Stop,
}

fn parse(line: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(line).ok()?.trim_end();
    match text.strip_prefix("deadline ") {
        Some(nanos) => nanos.parse().ok().map(BootTime::from_nanos).map(Line::Deadline),
        None => (text == "stop").then_some(Line::Stop),
    }
}

fn arm(timer: &OwnedFd, at: BootTime) -> Result<(), Errno> {
    // Zero would disarm; any other time in the past fires at once.
    let nanos = at.nanos().max(1);
    let value = Timespec {
        tv_sec: (nanos / 1_000_000_000) as i64,
        tv_nsec: (nanos % 1_000_000_000) as i64,
    };
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let spec = Itimerspec {
        it_interval: zero,
        it_value: value,
    };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &spec).map(|_| ())
}

/// SIGKILL to the group until the kernel knows of no member. The leader is reaped here, so that it is no member.
fn end_group(group: Pid) -> Result<(), SuperviseError> {
    loop {
        match kill_process_group(group, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(e) => return Err(e.into()),
        }
        let leader_dead = !matches!(
            rustix::process::waitid(
                rustix::process::WaitId::Pid(group),
                rustix::process::WaitIdOptions::EXITED
                    | rustix::process::WaitIdOptions::NOHANG
                    | rustix::process::WaitIdOptions::NOWAIT,
            ),
            Ok(None)
        );
        if leader_dead && only_leader_left(group) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A zombie leader still counts as a member for `kill`; members are then found by the process table.
fn only_leader_left(group: Pid) -> bool {
    if test_kill_process_group(group) == Err(Errno::SRCH) {
        return true;
    }
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    let leader = group.as_raw_nonzero().get();
    !processes
        .flatten()
        .filter_map(|p| p.file_name().to_str()?.parse::<i32>().ok())
        .any(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // pid (comm) state ppid pgrp …: comm may hold anything, so read from its closing parenthesis.
            let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
            let (state, pgrp) = (fields.next(), fields.nth(1).and_then(|p| p.parse::<i32>().ok()));
            pid != leader && pgrp == Some(leader) && state != Some("Z")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_lines_are_understood() {
        assert_eq!(parse(b"deadline 7\n"), Some(Line::Deadline(BootTime::from_nanos(7))));
        assert_eq!(parse(b"stop\n"), Some(Line::Stop));
        for other in [
            &b"deadline\n"[..],
            b"deadline -1\n",
            b"deadline 7 8\n",
            b"STOP\n",
            b"\n",
            b"\xff\n",
        ] {
            assert_eq!(parse(other), None);
        }
    }
}
