//! Removes what is over: sessions, tickets, old failures, invitations, answers kept for repeats, decisions.
use super::store;
use crate::{app::App, device, invitations, mail, second_factor, sign_in};
use exarch_common_pg::{decisions, idempotency};
use exarch_common_runtime::Reconcile;
use std::time::Duration;

/// The reconciler.
pub struct Swept(pub App);

impl Reconcile for Swept {
    const NAME: &'static str = "sweep-sessions";
    const EVERY: Duration = Duration::from_secs(600);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.0;
        let now = app.ambient.now();
        app.signing_in.forget_idle();
        app.rates.forget_idle();
        let Some(mut tx) = app.leader.begin(&app.sweep_pool, Self::NAME).await? else {
            return Ok(0);
        };
        // a day longer than its time, for clocks that differ and for who looks into what happened
        let sessions = store::sweep(tx.conn(), now - time::Duration::DAY).await?;
        let others = sign_in::sweep(&mut tx, now).await?
            + second_factor::sweep(&mut tx, now).await?
            + device::sweep(&mut tx, now).await?;
        let others = others
            + mail::sweep(&mut tx, now).await?
            + invitations::sweep(&mut tx, now).await?
            + idempotency::sweep(&mut tx, now).await?
            + decisions::sweep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(sessions + others)
    }
}
