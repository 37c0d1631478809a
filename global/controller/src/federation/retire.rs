//! Retires the service secrets that were followed by another long enough ago.
use super::store;
use crate::{app::App, audit};
use exarch_common_runtime::Reconcile;
use exarch_common_wire::{
    audit::{Actor, Entry, PROVIDER},
    service::KEPT,
};
use serde_json::json;
use std::time::Duration;

/// The background pass.
pub struct RetireSecrets(pub App);

impl Reconcile for RetireSecrets {
    const NAME: &'static str = "retire-service-secrets";
    const EVERY: Duration = Duration::from_secs(60);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.0;
        let now = app.ambient.now();
        let Some(mut tx) = app.leader.begin(&app.app_pool, Self::NAME).await? else {
            return Ok(0);
        };
        let retired = store::retire_secrets(tx.conn(), now - time::Duration::seconds(KEPT), now).await?;
        for secret in &retired {
            let actor = Actor::system(Self::NAME);
            let entry = Entry::new(
                &app.ambient,
                PROVIDER,
                actor,
                "region.retire-secret",
                "region",
                secret.region,
            )
            .before(json!({"direction": secret.direction, "kid": secret.kid}));
            audit::record(&mut tx, &entry).await?;
        }
        tx.commit().await?;
        Ok(retired.len() as u64)
    }
}
