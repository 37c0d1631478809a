//! Keeps the users' keys young: publishes the next one ahead of its time, retires the last one when its tokens are dead.
use super::{Purpose, ring::Due, sealed, store};
use crate::{app::App, audit, passports};
use exarch_common_crypto::sign::{Algorithm, SigningKey};
use exarch_common_pg::SystemTx;
use exarch_common_runtime::Reconcile;
use exarch_common_wire::audit::{Actor, Entry, PROVIDER};
use serde_json::json;
use std::time::Duration;

/// The reconciler: the leader makes and retires keys, every replica takes in what it did.
pub struct Rotation(pub App);

impl Reconcile for Rotation {
    const NAME: &'static str = "rotate-user-keys";
    const EVERY: Duration = Duration::from_secs(60);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.0;
        // also when nobody answers below: that is when the state gets worse
        super::report(Some(&app.keys), app.ambient.now());
        let mut tx = SystemTx::begin(&app.app_pool, "keys").await?;
        app.keys.reload(&app.ambient, &mut tx, &app.sealer).await?;
        tx.rollback().await?;
        let changed = due(app) != Due::Nothing && act(app).await?;
        if changed {
            passports::nudge(app);
        }
        super::report(Some(&app.keys), app.ambient.now());
        Ok(changed.into())
    }
}

fn due(app: &App) -> Due {
    let tokens = &app.settings.tokens;
    let life = time::Duration::try_from(tokens.access).unwrap_or(time::Duration::HOUR) + crate::SKEW;
    let rotation = time::Duration::try_from(tokens.key_rotation).unwrap_or(time::Duration::days(90));
    app.keys.users().due(app.ambient.now(), rotation, life)
}

async fn act(app: &App) -> anyhow::Result<bool> {
    let Some(mut tx) = app.leader.begin(&app.app_pool, Rotation::NAME).await? else {
        return Ok(false);
    };
    store::lock(&mut tx).await?;
    // another replica may have been here while we waited
    app.keys.reload(&app.ambient, &mut tx, &app.sealer).await?;
    let entry = |action, id: String| {
        let actor = Actor::system(Rotation::NAME);
        Entry::new(&app.ambient, PROVIDER, actor, action, "signing-key", id)
    };
    match due(app) {
        Due::Nothing => return Ok(false),
        Due::Publish { signs_from } => {
            let key = SigningKey::generate(Algorithm::Es256)?;
            let public = Some(key.public().raw().to_vec());
            let row = sealed(
                &app.ambient,
                &app.sealer,
                Purpose::UserSigning,
                key.pkcs8(),
                public,
                signs_from,
            );
            store::insert(&mut tx, &row).await?;
            let id = exarch_common_base::KeyId::from(row.id).to_string();
            let at = signs_from.unix_timestamp();
            audit::record(
                &mut tx,
                &entry("signing_key.publish", id).after(json!({ "signs_from": at })),
            )
            .await?;
        }
        Due::Retire { keys, at } => {
            store::retire(&mut tx, &keys, at).await?;
            let at = at.unix_timestamp();
            for id in keys {
                let entry = entry("signing_key.retire", id.to_string()).after(json!({ "retired_at": at }));
                audit::record(&mut tx, &entry).await?;
            }
        }
    }
    // the passport is made of what is in memory; should the commit fail, the next pass reads again what is stored
    app.keys.reload(&app.ambient, &mut tx, &app.sealer).await?;
    passports::touch_common(app, &mut tx).await?;
    tx.commit().await?;
    Ok(true)
}
