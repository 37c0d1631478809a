//! Service secrets follow one another: made here, handed to the global, in force once it has acknowledged.
use crate::app::App;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::ExposeSecret;
use exarch_common_runtime::Reconcile;
use exarch_common_wire::federation::{Direction, HandedSecret, NewSecret, paths};
use std::time::Duration;

/// The background pass.
pub(super) struct Rotate {
    pub(super) app: App,
    /// How long a secret is in force before another follows it.
    pub(super) rotation: Duration,
}

impl Reconcile for Rotate {
    const NAME: &'static str = "rotate-service-secrets";
    const EVERY: Duration = Duration::from_secs(60);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.app;
        let rotation = self.rotation.try_into()?;
        let mut changed = 0;
        for direction in Direction::ALL {
            changed += u64::from(follow(app, direction, rotation).await?);
        }
        // Reads anew also what other replicas did.
        Ok(changed + app.secrets.retire_service(&app.app_pool, app.ambient.now()).await?)
    }
}

/// Takes the secret of one direction as many steps on as there are; says whether one came into force.
async fn follow(app: &App, direction: Direction, rotation: time::Duration) -> anyhow::Result<bool> {
    let planned = app
        .secrets
        .plan(&app.app_pool, &app.ambient, direction, rotation)
        .await?;
    let (Some(key), Some(link)) = (planned, app.federation.link()) else {
        return Ok(false);
    };
    let message = NewSecret {
        direction,
        secret: HandedSecret {
            kid: key.kid.clone(),
            secret: B64.encode(key.secret.expose_secret()),
        },
    };
    link.post::<()>(app, paths::SERVICE_SECRET, &message).await?;
    app.secrets.switch(&app.app_pool, &app.ambient, direction, &key).await?;
    tracing::info!(
        direction = direction.as_str(),
        kid = key.kid,
        "another service secret is in force"
    );
    Ok(true)
}
