//! Start and stop of the server.
use crate::{
    App,
    app::Pools,
    command::{Secrets, pools},
    federation,
    keys::{self, Keys, KeysError},
    mail::Outbound,
    router,
    settings::{Mail, Settings},
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
    Lifecycle, Notify, Reloader, TakeOver, os_signals, raise_open_files,
    settings::process_env,
    telemetry::{Metrics, init_logs, next_log_filter},
};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// At the end of the grace listeners cut off what is left, which takes a moment.
const CUT: Duration = Duration::from_secs(1);

/// Serves until a signal. Without its database the process lives, is not ready, and tries again; with a database of another
/// schema, a login that may not serve or keys that do not open it ends. A SIGHUP reads the settings again from `file`.
///
/// # Errors
/// Whatever ends the process but a signal.
pub async fn run(ambient: Ambient, settings: Settings, file: PathBuf) -> anyhow::Result<()> {
    init_logs(&settings.log)?;
    raise_open_files();
    let metrics = Metrics::install("exarch-global", env!("CARGO_PKG_VERSION"))?;
    let life = Lifecycle::new(Notify::from_env(&process_env()));
    let signals = os_signals()?;
    let secrets = Secrets::read(&settings)?;
    let pools = pools(&settings)?;
    let stop = settings.stop.clone();
    let opened: Arc<OnceLock<App>> = Arc::default();
    let reloader = Arc::new(reloader(&settings, file, pools.clone(), opened.clone())?);
    reload_with(&life, &reloader);

    // Every address is had, or refused, before anything waits for the database.
    let public = Later::new();
    let layers = LayerOptions::new(ambient.clone(), "public");
    let regions = federation::bind(&settings)
        .await
        .context("settings.federation.listen")?;
    let serving = ServeOptions {
        grace: stop.grace,
        ..ServeOptions::default()
    };
    listen(
        &life,
        "public",
        settings.public.listen,
        public.router(&layers),
        &serving,
    )
    .await?;
    keys::report(None, ambient.now());
    let seen: Arc<OnceLock<Keys>> = Arc::default();
    let ops = ops::router(checks(&ambient, &life, &pools.app, &seen), move || metrics.render());
    let ops = standard(ops, &LayerOptions::new(ambient.clone(), "ops"));
    let at = listen(&life, "ops", settings.ops.listen, ops, &serving).await?;
    life.alive_while("ops listener", move || ops::answers(at));

    let starting = life.clone();
    life.spawn("start", async move {
        let stop = starting.stop();
        let ready = async {
            starting.status("waiting for the database");
            let keys = wait_for_database(&ambient, &pools.app, &secrets, &settings.public.url).await?;
            let _ = seen.set(keys.clone());
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
            let _ = opened.set(app.clone());
            reload_with(&starting, &reloader);
            public.set(router::public(app).0);
            starting.status("serving");
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
    life.run(signals, stop.drain, stop.grace + CUT).await.into_result()
}

fn reload_with(life: &Lifecycle, reloader: &Arc<Reloader<Settings>>) {
    let reloader = reloader.clone();
    life.on_reload(move || reloader.reload());
}

/// What a SIGHUP changes: the log's filter and the way to the database at once, limits and mail once the controller is open.
fn reloader(
    settings: &Settings,
    file: PathBuf,
    pools: Pools,
    opened: Arc<OnceLock<App>>,
) -> anyhow::Result<Reloader<Settings>> {
    let transport = settings.mail.transport;
    Reloader::new(settings, Some(file), process_env(), move |new: &Settings| {
        let filter = next_log_filter(&new.log.filter)?;
        let database = &new.database;
        let (app, sweep) = (
            database.pool(&database.app_url_file)?,
            database.pool(&database.sweep_url_file)?,
        );
        // Whether there is mail at all was decided at the start.
        let outbound = Outbound::new(&Mail {
            transport,
            ..new.mail.clone()
        })?;
        let pools = pools.clone();
        let listen = database.direct(&database.app_url_file)?;
        let parts = TakeOver::new().with(&["log.filter"], filter);
        let urls = &["database.app_url_file", "database.sweep_url_file"];
        let reconnect = move || {
            pools.app.reconnect(&app);
            pools.sweep.reconnect(&sweep);
        };
        let Some(open) = opened.get().cloned() else {
            return Ok(parts.with(urls, reconnect));
        };
        let (listening, mail, rates, tries) = (open.clone(), open.clone(), open.clone(), open);
        let parts = parts.with(ALL_URLS, move || {
            reconnect();
            listening.wakeups.reconnect(&listen);
        });
        let (limits, sign_in) = (new.limits.clone(), new.sign_in.clone());
        Ok(parts
            .with(MAIL, move || mail.outbound.store(Arc::new(outbound)))
            .with(&["limits"], move || rates.rates.limit(&limits))
            .with(&["sign_in.per_minute"], move || tries.signing_in.limit(&sign_in)))
    })
}

/// Of an open controller the connection that listens follows, too.
const ALL_URLS: &[&str] = &[
    "database.app_url_file",
    "database.sweep_url_file",
    "database.direct_url",
];

/// What of mail can change while the controller runs.
const MAIL: &[&str] = &[
    "mail.from",
    "mail.dir",
    "mail.host",
    "mail.port",
    "mail.tls",
    "mail.username",
    "mail.password_file",
];

/// Opens a plain listener on loopback and serves it as long as the process lives; says where.
async fn listen(
    life: &Lifecycle,
    name: &'static str,
    at: SocketAddr,
    router: axum::Router,
    options: &ServeOptions,
) -> anyhow::Result<SocketAddr> {
    let listener = PlainListener::bind(at)
        .await
        .with_context(|| format!("settings.{name}.listen"))?;
    let at = listener.local_addr()?;
    let (stop, options) = (life.stop(), options.clone());
    life.spawn(name, async move {
        serve_plain(listener, router, options, Connections::new(), stop).await;
        Ok(())
    });
    Ok(at)
}

fn checks(ambient: &Ambient, life: &Lifecycle, pool: &AppPool, seen: &Arc<OnceLock<Keys>>) -> Checks {
    let (ambient, life, pool, seen) = (ambient.clone(), life.clone(), pool.clone(), seen.clone());
    let serving = move || {
        let ready = life.is_ready();
        async move { ready.then_some(()).ok_or_else(|| "starting or stopping".to_owned()) }
    };
    let database = move || {
        let pool = pool.clone();
        async move { pool.ping().await.map(drop).map_err(|e| e.to_string()) }
    };
    let keys = move || {
        let state = keys::check(seen.get(), ambient.now());
        async move { state }
    };
    Checks::new()
        .with("serving", serving)
        .with("database", database)
        .with_note("user-signing-keys", keys)
}

/// Waits until there is a database with our schema and keys that open.
async fn wait_for_database(ambient: &Ambient, pool: &AppPool, secrets: &Secrets, issuer: &str) -> anyhow::Result<Keys> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let refusal = match Migrations::global().refuse_newer_schema(pool).await {
            Ok(()) => match Keys::load(ambient, pool, &secrets.sealer, issuer).await {
                Ok(keys) => return Ok(keys),
                Err(KeysError::NotMade) => KeysError::NotMade.to_string(),
                Err(KeysError::Db(e)) if e.is_unavailable() => e.told(),
                Err(e) => return Err(e.into()),
            },
            Err(SchemaError::Db(e @ DbError::Unavailable(_))) => e.told(),
            Err(e) => return Err(e.into()),
        };
        tracing::warn!(why = refusal, "not ready to serve yet");
        tokio::time::sleep(backoff.next(ambient)).await;
    }
}
