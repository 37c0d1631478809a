//! Leading, and what is written while leading.
use super::{leadership::Try, store};
use exarch_common_base::InstanceId;
use exarch_common_pg::{AppPool, DbError, RolePool, Serving, SystemTx};
use exarch_common_runtime::Nudge;
use sqlx::PgConnection;
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, Ordering},
};

/// No term: another one leads.
const NONE: i64 = 0;

/// This replica as a leader, or as one who would be.
#[derive(Debug)]
pub struct Leader {
    me: InstanceId,
    pool: AppPool,
    /// The term in which this replica led when it last asked.
    term: AtomicI64,
    /// Wake what the leader does.
    jobs: Mutex<Vec<Nudge>>,
}

impl Leader {
    /// Leads nothing yet.
    pub fn new(me: InstanceId, pool: AppPool) -> Self {
        Self {
            me,
            pool,
            term: AtomicI64::new(NONE),
            jobs: Mutex::default(),
        }
    }

    /// What wakes a job of the leader: also when this replica begins to lead, since the job did nothing before.
    pub fn job(&self) -> Nudge {
        let nudge = Nudge::new();
        self.jobs().push(nudge.clone());
        nudge
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<Nudge>> {
        self.jobs.lock().expect("no holder of this lock panics")
    }

    /// Goes on leading, or takes the place of one that is gone; says whether this replica leads.
    ///
    /// # Errors
    /// The database; then it is not known, and nothing can be written either.
    pub async fn campaign(&self) -> Result<bool, DbError> {
        let mut tx = SystemTx::begin(&self.pool, "campaign").await?;
        let term = match store::leadership(tx.conn()).await?.seen_by(self.me) {
            Try::Keep(term) => store::keep(tx.conn(), self.me, term).await?.then_some(term),
            Try::After(term) => store::take(tx.conn(), self.me, term).await?.then_some(term + 1),
            Try::Follow => None,
        };
        tx.commit().await?;
        let before = self.term.swap(term.unwrap_or(NONE), Ordering::Relaxed);
        match term {
            Some(term) if term != before => {
                tracing::info!(term, "this replica leads");
                self.jobs().iter().for_each(Nudge::now);
            }
            None if before != NONE => tracing::warn!(term = before, "this replica leads no more"),
            _ => {}
        }
        metrics::gauge!("exarch_leader").set(if term.is_some() { 1.0 } else { 0.0 });
        Ok(term.is_some())
    }

    /// Leaves the place to another.
    ///
    /// # Errors
    /// The database.
    pub async fn resign(&self) -> Result<(), DbError> {
        let term = self.term.swap(NONE, Ordering::Relaxed);
        if term == NONE {
            return Ok(());
        }
        let mut tx = SystemTx::begin(&self.pool, "resign").await?;
        store::resign(tx.conn(), self.me, term).await?;
        tx.commit().await
    }

    /// Whether this replica leads, as far as it knows: to spare work that could not be written down.
    pub fn leads(&self) -> bool {
        self.term.load(Ordering::Relaxed) != NONE
    }

    /// A transaction of the leader; nothing when this replica does not lead.
    ///
    /// # Errors
    /// The database.
    pub async fn begin<R: Serving>(
        &self,
        pool: &RolePool<R>,
        reason: &'static str,
    ) -> Result<Option<SystemTx>, DbError> {
        if !self.leads() {
            return Ok(None);
        }
        let mut tx = SystemTx::begin(pool, reason).await?;
        Ok(led(self, tx.conn()).await?.then_some(tx))
    }
}

/// Whether the leader's term is still its own; if so it stays so until the end of this transaction. The first thing in every
/// transaction by which a leader writes.
///
/// # Errors
/// The database.
pub async fn led(leader: &Leader, conn: &mut PgConnection) -> Result<bool, DbError> {
    let term = leader.term.load(Ordering::Relaxed);
    if term == NONE {
        return Ok(false);
    }
    store::hold_term(conn, leader.me, term).await
}
