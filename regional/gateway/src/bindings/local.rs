//! All bindings of the region in memory, read without a lock.
use super::store;
use arc_swap::{ArcSwap, Guard};
use exarch_common_base::{BindingId, ClusterId, MembershipId, TenantId, UserId};
use exarch_common_pg::{AppPool, DbError, SweepPool};
use std::{cmp::Ordering, collections::HashMap, sync::Arc};
use time::OffsetDateTime;

/// What one person holds in one cluster.
#[derive(Clone, Debug)]
pub struct Held {
    /// The binding.
    pub id: BindingId,
    /// In which cluster.
    pub cluster: ClusterId,
    /// It gives something only while this is the person's membership.
    pub membership: MembershipId,
    /// The role's name.
    pub role: String,
    /// When it ends by itself.
    pub until: Option<OffsetDateTime>,
}

/// The bindings at one moment.
#[derive(Clone, Debug, Default)]
pub struct Local {
    version: i64,
    of: HashMap<(TenantId, UserId), Vec<Held>>,
}

impl Local {
    /// Rises with each change of any binding.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// What is bound to a person, also what has expired.
    pub fn of(&self, tenant: TenantId, user: UserId) -> &[Held] {
        self.of.get(&(tenant, user)).map_or(&[], Vec::as_slice)
    }

    /// Of one tenant alone, whatever rows there are.
    pub(super) fn of_rows(rows: Vec<store::Changed>) -> Self {
        let mut local = Self::default();
        rows.into_iter().for_each(|row| local.take(row));
        local
    }

    /// Takes over one row, which is newer than what is known of it.
    fn take(&mut self, row: store::Changed) {
        self.version = self.version.max(row.seq);
        let held = self.of.entry((row.tenant, row.user)).or_default();
        held.retain(|known| known.id != row.held.id);
        if !row.ended {
            held.push(row.held);
        }
        if held.is_empty() {
            self.of.remove(&(row.tenant, row.user));
        }
    }
}

/// The bindings of one replica.
#[derive(Default)]
pub struct Bindings {
    current: ArcSwap<Local>,
    loading: tokio::sync::Mutex<()>,
}

impl Bindings {
    /// The bindings in force. Take them once for each decision.
    pub fn current(&self) -> Guard<Arc<Local>> {
        self.current.load()
    }

    /// Looks whether some have changed, and takes over those.
    ///
    /// # Errors
    /// The database.
    pub async fn look(&self, app: &AppPool, sweep: &SweepPool) -> Result<(), DbError> {
        let _one = self.loading.lock().await;
        let (known, version) = (self.current(), store::version(app).await?);
        let mut next = match version.cmp(&known.version) {
            Ordering::Equal => return Ok(()),
            Ordering::Greater => Local::clone(&known),
            // The database was set back: nothing of what is known counts.
            Ordering::Less => Local::default(),
        };
        for row in store::changed(sweep, next.version).await? {
            next.take(row);
        }
        next.version = next.version.max(version);
        self.current.store(Arc::new(next));
        Ok(())
    }
}
