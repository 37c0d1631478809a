//! One workload: wait for the lease, run under it, stop when it goes.
use super::{LONG_POLL, Work};
use crate::{
    drivers::{Ended, Process},
    leases::{Acquired, Event, LeaseError},
};
use exarch_common_base::backoff::Backoff;
use exarch_common_wire::{
    agent::{Assignment, AssignmentStatus, Driver, Verdict, WorkloadState},
    grant::Action,
};
use exarch_regional_guard::Pinned;
use std::{path::Path, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long starting the workload may take at worst: checking the grant and writing the fence to the disk.
const WORST_START: Duration = Duration::from_secs(1);

pub(super) async fn run(work: Work, assignment: Assignment, cancel: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    let report = async |state, detail: String, fence| {
        work.report(&AssignmentStatus {
            workload: assignment.workload,
            state,
            detail,
            fence,
        })
        .await;
    };
    report(WorkloadState::Waiting, "waiting for the lease".into(), None).await;
    let mut told = String::new();
    while !cancel.is_cancelled() {
        let acquired = tokio::select! {
            () = cancel.cancelled() => break,
            acquired = work.keeper.acquire(assignment.resource, vec![Action::Start], LONG_POLL) => acquired,
        };
        let lease = match acquired {
            Ok(lease) => lease,
            Err(e) => {
                let held = is_held(&e);
                let detail = e.to_string();
                if told != detail {
                    report(WorkloadState::Waiting, detail.clone(), None).await;
                    told = detail;
                }
                // Held by another: the long poll was the wait. Anything else: not in a tight loop.
                if !held {
                    tokio::select! {
                        () = cancel.cancelled() => break,
                        () = tokio::time::sleep(backoff.next(&work.ambient)) => {}
                    }
                }
                continue;
            }
        };
        told.clear();
        let (resource, fence) = (lease.resource, lease.fence);
        let outcome = run_under(&work, &assignment, lease, &cancel).await;
        let (state, detail) = match &outcome {
            Outcome::Stopped => (WorkloadState::Stopped, "stopped".to_owned()),
            Outcome::Lost(why) => (WorkloadState::Waiting, (*why).to_owned()),
            Outcome::Fenced(message) => (WorkloadState::Fenced, message.clone()),
            Outcome::Failed(why) => (WorkloadState::Failed, why.clone()),
        };
        match outcome {
            Outcome::Lost(_) => {
                work.keeper.forget(resource);
            }
            _ => work.keeper.release(resource).await,
        }
        report(state, detail, Some(fence)).await;
        if matches!(state, WorkloadState::Failed | WorkloadState::Fenced) {
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(backoff.next(&work.ambient)) => {}
            }
        }
    }
    if told.is_empty() {
        return;
    }
    report(WorkloadState::Stopped, "stopped before it got the lease".into(), None).await;
}

fn is_held(e: &LeaseError) -> bool {
    match e {
        LeaseError::Call(e) => e.problem().is_some_and(|p| p.slug() == "lease-held"),
        LeaseError::Late => false,
    }
}

enum Outcome {
    /// As it should: nothing of it is left.
    Stopped,
    /// The lease went; what ran is dead.
    Lost(&'static str),
    /// The guard refused.
    Fenced(String),
    /// It could not start, or ended by itself.
    Failed(String),
}

async fn run_under(work: &Work, assignment: &Assignment, mut lease: Acquired, cancel: &CancellationToken) -> Outcome {
    let Event::Good(hold) = *lease.events.borrow_and_update() else {
        return Outcome::Lost("the lease was lost");
    };
    let grant = match work.state().keep_grant(lease.resource, &lease.grant) {
        Ok(path) => path,
        Err(e) => return Outcome::Failed(e.to_string()),
    };
    // Asked again just before the effect: keeping the grant may have taken its time.
    if !hold.may_begin(work.ambient.boot(), WORST_START) {
        return Outcome::Failed("too little of the lease was left to start".into());
    }
    let Driver::Process { argv, volume } = &assignment.driver;
    let pinned = Pinned {
        region: work.identity.region,
        resource: lease.resource,
        keys: work.identity.grant_keys.clone(),
    };
    let started = Process::start(&work.guard, Path::new(volume), pinned, &grant, hold.deadline(), argv);
    let mut process = match started {
        Ok(process) => process,
        Err(e) => return Outcome::Failed(e.to_string()),
    };
    work.report(&AssignmentStatus {
        workload: assignment.workload,
        state: WorkloadState::Running,
        detail: format!("running under fence {}", lease.fence),
        fence: Some(lease.fence),
    })
    .await;
    let mut why = None;
    loop {
        tokio::select! {
            ended = process.ended() => return judge(work, &lease, ended, why),
            () = cancel.cancelled(), if why.is_none() => {
                why = Some(Outcome::Stopped);
                process.stop().await;
            }
            changed = lease.events.changed() => match changed.map(|()| *lease.events.borrow_and_update()) {
                Ok(Event::Good(hold)) => process.extend(hold.deadline()).await,
                Ok(Event::Stop(verdict)) => {
                    why = Some(Outcome::Lost(said(verdict)));
                    process.stop().await;
                }
                // Nobody renews any more; the deadline comes by itself.
                Err(_) => {
                    let ended = process.ended().await;
                    return judge(work, &lease, ended, why);
                }
            }
        }
    }
}

fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Revoking => "the lease is being revoked",
        Verdict::Lost => "the lease was lost to another holder or to its age",
        Verdict::Unknown | Verdict::Released | Verdict::Renewed => "the region does not know the lease any more",
    }
}

fn judge(work: &Work, lease: &Acquired, ended: std::io::Result<Ended>, why: Option<Outcome>) -> Outcome {
    match ended {
        Ok(Ended::Fenced { message, highest }) => {
            if let Some(highest) = highest {
                work.fences.saw(lease.resource, highest);
            }
            Outcome::Fenced(message)
        }
        Ok(Ended::AtDeadline) => Outcome::Lost("the lease could not be renewed in time; the guard ended the workload"),
        Ok(Ended::ByItself(code)) => {
            work.fences.saw(lease.resource, lease.fence);
            why.unwrap_or_else(|| Outcome::Failed(format!("it ended by itself with code {code}")))
        }
        Ok(Ended::NotRun(reason)) => why.unwrap_or(Outcome::Failed(reason)),
        Err(e) => Outcome::Failed(format!("the guard was lost: {e}")),
    }
}
