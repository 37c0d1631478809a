//! Start and stop of the server.
use crate::{
    App,
    command::{Secrets, pools},
    federation,
    keys::{Keys, KeysError},
    router,
    settings::Settings,
};
use anyhow::Context;
use exarch_common_base::{Ambient, backoff::Backoff};
use exarch_common_http::{
    layers::{LayerOptions, standard},
    ops::{self, Checks},
    serve::{Connections, Later, PlainListener, ServeOptions, serve_plain},
};
use exarch_common_pg::{AppPool, DbError, Migrations, migrate::SchemaError};
use exarch_common_runtime::{
    Lifecycle, Notify, os_signals,
    settings::process_env,
    telemetry::{Metrics, init_logs},
};
use std::{net::SocketAddr, time::Duration};

const DRAIN: Duration = Duration::from_millis(500);
const GRACE: Duration = Duration::from_secs(10);

/// Serves until a signal. Without its database the process lives, is not ready, and tries again; with a database of another
/// schema, a login that may not serve or keys that do not open it ends.
///
/// # Errors
/// Whatever ends the process but a signal.
pub async fn run(ambient: Ambient, settings: Settings) -> anyhow::Result<()> {
    init_logs(&settings.log.filter, settings.log.format)?;
    let metrics = Metrics::install("exarch-global", env!("CARGO_PKG_VERSION"))?;
    let life = Lifecycle::new(Notify::from_env(&process_env()));
    let signals = os_signals()?;
    let secrets = Secrets::read(&settings)?;
    let pools = pools(&settings)?;

    // Every address is had, or refused, before anything waits for the database.
    let public = Later::new();
    let layers = LayerOptions::new(ambient.clone(), "public");
    let regions = federation::bind(&settings)
        .await
        .context("settings.federation.listen")?;
    listen(&life, "public", settings.public.listen, public.router(&layers)).await?;
    let ops = ops::router(checks(&life, &pools.app), move || metrics.render());
    let ops = standard(ops, &LayerOptions::new(ambient.clone(), "ops"));
    listen(&life, "ops", settings.ops.listen, ops).await?;

    let starting = life.clone();
    life.spawn("start", async move {
        let stop = starting.stop();
        let ready = async {
            let keys = wait_for_database(&ambient, &pools.app, &secrets, &settings.public.url).await?;
            let listener = settings.public.listen;
            let app = App::new(
                ambient,
                settings,
                pools,
                secrets.sealer,
                keys,
                secrets.hasher,
                secrets.outbound,
            );
            app.background(&starting);
            starting.spawn("federation", federation::serve(app.clone(), regions, starting.stop()));
            public.set(router::public(app).0);
            starting.set_ready();
            tracing::info!(%listener, "serving");
            anyhow::Ok(())
        };
        tokio::select! {
            ready = ready => ready?,
            () = stop.cancelled() => return Ok(()),
        }
        stop.cancelled().await;
        Ok(())
    });
    life.run(signals, DRAIN, GRACE).await.into_result()
}

/// Opens a plain listener on loopback and serves it as long as the process lives.
async fn listen(life: &Lifecycle, name: &'static str, at: SocketAddr, router: axum::Router) -> anyhow::Result<()> {
    let listener = PlainListener::bind(at)
        .await
        .with_context(|| format!("settings.{name}.listen"))?;
    let options = ServeOptions {
        grace: GRACE,
        ..ServeOptions::default()
    };
    let stop = life.stop();
    life.spawn(name, async move {
        serve_plain(listener, router, options, Connections::new(), stop).await;
        Ok(())
    });
    Ok(())
}

fn checks(life: &Lifecycle, pool: &AppPool) -> Checks {
    let (life, pool) = (life.clone(), pool.clone());
    let serving = move || {
        let ready = life.is_ready();
        async move { ready.then_some(()).ok_or_else(|| "starting or stopping".to_owned()) }
    };
    let database = move || {
        let pool = pool.clone();
        async move { pool.ping().await.map(drop).map_err(|e| e.to_string()) }
    };
    Checks::new().with("serving", serving).with("database", database)
}

/// Waits until there is a database with our schema and keys that open.
async fn wait_for_database(ambient: &Ambient, pool: &AppPool, secrets: &Secrets, issuer: &str) -> anyhow::Result<Keys> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let refusal = match Migrations::global().refuse_newer_schema(pool).await {
            Ok(()) => match Keys::load(ambient, pool, &secrets.sealer, issuer).await {
                Ok(keys) => return Ok(keys),
                Err(KeysError::NotMade) => KeysError::NotMade.to_string(),
                Err(KeysError::Db(e)) if e.is_unavailable() => e.to_string(),
                Err(e) => return Err(e.into()),
            },
            Err(SchemaError::Db(e @ DbError::Unavailable(_))) => e.to_string(),
            Err(e) => return Err(e.into()),
        };
        tracing::warn!(why = refusal, "not ready to serve yet");
        tokio::time::sleep(backoff.next(ambient)).await;
    }
}
