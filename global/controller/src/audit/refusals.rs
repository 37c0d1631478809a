//! Refusals of known callers, written in batches: a refusal changes nothing, so it has no transaction of its own to be in.
use super::record;
use crate::app::App;
use exarch_common_pg::{SystemTx, TenantContext, TenantTx};
use exarch_common_wire::audit::{Entry, PROVIDER};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

const WAITING: usize = 1024;
const EVERY: Duration = Duration::from_millis(500);

/// Where refusals wait to be written.
#[derive(Debug)]
pub struct Refusals {
    tx: mpsc::Sender<Entry>,
    rx: Mutex<mpsc::Receiver<Entry>>,
}

impl Default for Refusals {
    fn default() -> Self {
        let (tx, rx) = mpsc::channel(WAITING);
        Self { tx, rx: Mutex::new(rx) }
    }
}

impl Refusals {
    /// Takes one. In a flood further ones are counted and not stored.
    pub fn push(&self, entry: Entry) {
        if self.tx.try_send(entry).is_err() {
            metrics::counter!("exarch_audit_refusals_dropped_total").increment(1);
        }
    }
}

/// Writes what waits, every half second, until `stop` and once after it.
pub async fn write_refusals(app: App, stop: CancellationToken) {
    let mut stopping = false;
    while !stopping {
        tokio::select! {
            () = stop.cancelled() => stopping = true,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = write_waiting(&app).await {
            tracing::error!(error = %error, "refusals could not be written to the audit");
        }
    }
}

/// One batch: a transaction for each tenant.
pub(super) async fn write_waiting(app: &App) -> Result<(), exarch_common_pg::DbError> {
    let mut batch: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
    let mut rx = app.refusals.rx.lock().await;
    while let Ok(entry) = rx.try_recv() {
        batch.entry(entry.tenant).or_default().push(entry);
    }
    for (tenant, entries) in batch {
        if tenant == PROVIDER {
            let mut tx = SystemTx::begin(&app.app_pool, "refusals").await?;
            for entry in &entries {
                record(&mut tx, entry).await?;
            }
            tx.commit().await?;
        } else {
            let context = TenantContext {
                tenant,
                clusters: exarch_common_pg::Clusters::All,
                actor: "system:refusals".into(),
            };
            let mut tx = TenantTx::begin(&app.app_pool, &context).await?;
            for entry in &entries {
                record(&mut tx, entry).await?;
            }
            tx.commit().await?;
        }
    }
    Ok(())
}
