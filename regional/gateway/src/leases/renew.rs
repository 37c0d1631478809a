//! `POST /agent/v1/leases/renew`: renewals of all agents, in few statements.
use super::{
    check_batch,
    lease::{self, Holder, LIFE},
    store::{self, Renewal},
};
use crate::{
    agents::{AgentCaller, Wire, standing},
    app::App,
};
use axum::extract::State;
use exarch_common_base::Ambient;
use exarch_common_http::{Json, Problem};
use exarch_common_pg::{DbError, RenewPool};
use exarch_common_wire::agent::{HeldBatch, Verdict, Verdicts};
use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::oneshot;

/// Leases in one statement at most.
const MAX_ROWS: usize = 1024;

/// Renew leases; a verdict for each.
#[utoipa::path(post, path = "/agent/v1/leases/renew", tag = "leases", request_body = Object, responses(
    (status = 200, description = "`renewed`, `lost`, `revoking`, `released` or `unknown`, in order", body = Object)))]
pub(super) async fn renew_leases(
    State(app): State<App>,
    agent: AgentCaller,
    Wire(input): Wire<HeldBatch>,
) -> Result<Json<Verdicts>, Problem> {
    let verdicts = renew(&app, &agent, input).await?;
    Ok(Json(Verdicts { verdicts }))
}

/// Renews what `agent` names. Whoever it is, and which process, comes from its session; a lease is renewed only when lease,
/// resource, holder, process and fence are exactly as named.
///
/// # Errors
/// 403 while the tenant's state leaves no leases; 503 without a database: then nothing is known, and the holder goes on until
/// its deadline.
pub async fn renew(app: &App, agent: &AgentCaller, batch: HeldBatch) -> Result<Vec<Verdict>, Problem> {
    check_batch(&batch)?;
    if !standing(app, agent.tenant)?.state.keeps_leases() {
        return Err(Problem::forbidden("tenant-suspended")
            .detail("The tenant's state leaves no leases: what runs under them ends at its deadline."));
    }
    if batch.leases.is_empty() {
        return Ok(Vec::new());
    }
    let renewals = batch.leases.into_iter().map(|held| Renewal {
        tenant: agent.tenant,
        holder: Holder {
            agent: agent.id,
            incarnation: agent.incarnation.clone(),
        },
        held,
    });
    app.leases
        .renewer
        .renew(&app.renew_pool, &app.ambient, renewals.collect())
        .await
}

type Answer = oneshot::Sender<Result<Vec<Verdict>, Problem>>;

/// While one statement runs, the renewals that come meanwhile gather for the next one.
#[derive(Default)]
pub(super) struct Renewer {
    gathered: Mutex<Vec<(Vec<Renewal>, Answer)>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Renewer {
    pub(super) async fn renew(
        &self,
        pool: &RenewPool,
        ambient: &Ambient,
        renewals: Vec<Renewal>,
    ) -> Result<Vec<Verdict>, Problem> {
        let (answer, mut answered) = oneshot::channel();
        self.gathered().push((renewals, answer));
        loop {
            tokio::select! {
                biased;
                verdicts = &mut answered => return verdicts.unwrap_or_else(|_| Err(broken_off())),
                turn = self.turn.clone().lock_owned() => {
                    let batch = self.take();
                    let (pool, ambient) = (pool.clone(), ambient.clone());
                    // a task of its own: whoever has the turn may hang up, and the others still want to know
                    tokio::spawn(async move {
                        run(&pool, &ambient, batch).await;
                        drop(turn);
                    });
                }
            }
        }
    }

    fn gathered(&self) -> std::sync::MutexGuard<'_, Vec<(Vec<Renewal>, Answer)>> {
        self.gathered.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The oldest of what has gathered, up to the size of a statement.
    fn take(&self) -> Vec<(Vec<Renewal>, Answer)> {
        let mut gathered = self.gathered();
        let mut rows = 0;
        let fits = gathered
            .iter()
            .take_while(|(renewals, _)| {
                rows += renewals.len();
                rows <= MAX_ROWS
            })
            .count();
        let rest = gathered.split_off(fits);
        mem::replace(&mut *gathered, rest)
    }
}

async fn run(pool: &RenewPool, ambient: &Ambient, batch: Vec<(Vec<Renewal>, Answer)>) {
    if batch.is_empty() {
        return;
    }
    let (renewals, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|(r, answer)| {
            let rows = r.len();
            (r, (rows, answer))
        })
        .unzip();
    let renewals: Vec<Renewal> = renewals.into_iter().flatten().collect();
    metrics::histogram!("exarch_lease_renewals_per_statement").record(renewals.len() as f64);
    let mut outcome = statement(pool, ambient, &renewals)
        .await
        .map_err(Problem::from)
        .map(Vec::into_iter);
    for (rows, answer) in answers {
        let verdicts = match &mut outcome {
            Ok(verdicts) => Ok(verdicts.by_ref().take(rows).collect()),
            Err(problem) => Err(problem.clone()),
        };
        // nobody may be there any more
        let _ = answer.send(verdicts);
    }
}

async fn statement(pool: &RenewPool, ambient: &Ambient, renewals: &[Renewal]) -> Result<Vec<Verdict>, DbError> {
    let mut statement = pool.statement().await?;
    let now = ambient.now();
    let renewed = store::renew(&mut statement, renewals, now - LIFE, now);
    // On a silent wire no limit of the database's own would be heard of, and all other renewals wait for this one.
    let Ok(rows) = tokio::time::timeout(pool.settings().acquire_timeout, renewed).await else {
        return Err(statement.unanswered());
    };
    let verdicts = rows?.into_iter().map(|(renewed, state)| match renewed {
        true => Verdict::Renewed,
        false => lease::verdict(state),
    });
    Ok(verdicts.collect())
}

fn broken_off() -> Problem {
    Problem::unavailable("renewal-unknown", Duration::from_secs(1))
        .detail("It is not known whether the renewal was made; ask again.")
}
