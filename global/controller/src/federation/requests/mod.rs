//! Calling a region whose tunnel another replica holds: a row asks, the holder takes it once, calls, and answers into it.
//! Notifications wake both sides, looking decides.
mod store;
#[cfg(test)]
mod tests;

use super::{
    Answer,
    down::{self, CallFailure},
};
use crate::app::App;
use axum::{body::Bytes, http::StatusCode};
use exarch_common_base::RegionId;
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::federation::paths;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// On which both sides are woken.
pub const CHANNEL: &str = "gc_region_request";

const LOOK: Duration = Duration::from_millis(250);
/// The answer of a call that took all of its time is still on its way to us.
const SLACK: Duration = Duration::from_millis(500);
/// Calls for others that are under way here at most.
const MOST: usize = 32;

/// What a holder writes where there is no answer, beside a reason for people.
const NO_TUNNEL: &str = "no-tunnel";
const BUSY: &str = "busy";

/// Asks the replica that holds a tunnel of `region`, and waits for at most about `limit`.
pub(super) async fn ask(
    app: &App,
    region: RegionId,
    path: &str,
    content_type: &str,
    body: &Bytes,
    limit: Duration,
) -> Result<Answer, CallFailure> {
    let mut wakeup = app.wakeups.of(CHANNEL);
    let id = app.ambient.uuid();
    let mut tx = SystemTx::begin(&app.app_pool, "ask-replica").await?;
    if !app.instances.another_holds(&mut tx, region).await? {
        return Err(CallFailure::NoTunnel);
    }
    store::ask(tx.conn(), id, region, path, content_type, body, limit).await?;
    tx.commit().await?;
    let deadline = app.ambient.boot() + limit + SLACK;
    loop {
        wakeup.next(LOOK).await;
        let mut tx = SystemTx::begin(&app.app_pool, "read-answer").await?;
        let over = app.ambient.boot() >= deadline;
        let found = match over {
            false => store::answer(tx.conn(), id).await?,
            true => Some(store::withdraw(tx.conn(), id).await?),
        };
        tx.commit().await?;
        if let Some(outcome) = found {
            return read(outcome);
        }
    }
}

fn read(outcome: store::Outcome) -> Result<Answer, CallFailure> {
    match outcome {
        store::Outcome::Answered(status, body) => Ok(Answer {
            status: StatusCode::from_u16(status).map_err(|_| CallFailure::Request)?,
            body: body.into(),
            tunnel: None,
        }),
        store::Outcome::Failed(reason) if reason == NO_TUNNEL => Err(CallFailure::NoTunnel),
        store::Outcome::Failed(reason) if reason == BUSY => Err(CallFailure::Busy),
        store::Outcome::Failed(reason) => Err(CallFailure::Elsewhere(reason)),
        store::Outcome::NotTaken => Err(CallFailure::NoTunnel),
        store::Outcome::Unanswered => Err(CallFailure::Elsewhere("it did not answer in time".to_owned())),
    }
}

/// Whether `region` can be called, from here or by another replica.
///
/// # Errors
/// The database.
pub async fn reachable(app: &App, region: RegionId) -> Result<bool, DbError> {
    if !app.federation.tunnels.of(region).is_empty() {
        return Ok(true);
    }
    let mut tx = SystemTx::begin(&app.app_pool, "holders").await?;
    let held = app.instances.another_holds(&mut tx, region).await?;
    tx.rollback().await?;
    Ok(held)
}

/// Answers what other replicas ask of the regions whose tunnels are here, until `stop`.
pub(super) async fn serve(app: App, stop: CancellationToken) {
    let mut wakeup = app.wakeups.of(CHANNEL);
    let (calls, room) = (TaskTracker::new(), Arc::new(Semaphore::new(MOST)));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = wakeup.next(LOOK) => {}
        }
        if let Err(cause) = take_all(&app, &calls, &room).await {
            tracing::debug!(%cause, "requests of other replicas could not be read");
        }
    }
    calls.close();
    calls.wait().await;
}

async fn take_all(app: &App, calls: &TaskTracker, room: &Arc<Semaphore>) -> Result<(), DbError> {
    loop {
        let held = app.federation.tunnels.connected();
        let Ok(place) = room.clone().try_acquire_owned() else {
            return Ok(());
        };
        if held.is_empty() {
            return Ok(());
        }
        let mut tx = SystemTx::begin(&app.app_pool, "take-request").await?;
        let taken = store::take(tx.conn(), app.instances.id(), &held).await?;
        tx.commit().await?;
        let Some(request) = taken else { return Ok(()) };
        let app = app.clone();
        calls.spawn(async move {
            let (id, region) = (request.id, request.region);
            let outcome = call(&app, request).await;
            if let Err(cause) = write(&app, id, outcome).await {
                tracing::warn!(%region, %cause, "an answer for another replica could not be written");
            }
            drop(place);
        });
    }
}

async fn call(app: &App, request: store::Request) -> Result<(u16, Bytes), String> {
    // Two probes of a region never meet, whoever asks for them.
    let _place = match request.path == paths::PROBE {
        true => Some(app.federation.probing.begin(request.region).ok_or(BUSY)?),
        false => None,
    };
    let (region, path) = (request.region, request.path.as_str());
    let limit = request.left;
    match down::here(app, region, path, &request.content_type, request.body.into(), limit).await {
        Ok(answer) => Ok((answer.status.as_u16(), answer.body)),
        Err(CallFailure::NoTunnel) => Err(NO_TUNNEL.to_owned()),
        Err(other) => Err(other.to_string()),
    }
}

async fn write(app: &App, id: Uuid, outcome: Result<(u16, Bytes), String>) -> Result<(), DbError> {
    let mut tx = SystemTx::begin(&app.app_pool, "answer-replica").await?;
    match &outcome {
        Ok((status, body)) => store::write(tx.conn(), id, Some((i32::from(*status), body)), None).await?,
        Err(reason) => store::write(tx.conn(), id, None, Some(reason)).await?,
    }
    tx.commit().await
}

/// Forgets requests that nobody waits for any more.
///
/// # Errors
/// The database.
pub(super) async fn sweep(tx: &mut SystemTx) -> Result<u64, DbError> {
    store::sweep(tx.conn()).await
}
