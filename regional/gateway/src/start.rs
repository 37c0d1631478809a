//! From settings to a gateway that serves, and back.
//!
//! First come settings, secrets and every listener's address: what is wrong with them is refused at once. Then the ops
//! listener answers while everything else waits for the database: a gateway whose database is away is alive, not ready, and
//! needs no restart.
use crate::{
    app::{App, OpenError, Pools},
    instances, router, secrets,
    settings::Settings,
};
use anyhow::Context;
use axum::Router;
use exarch_common_base::Ambient;
use exarch_common_crypto::{
    seal::Sealer,
    sign::{Algorithm, SigningKey},
    tls::{self, Clients, Identity},
};
use exarch_common_http::{
    layers::{LayerOptions, standard},
    ops::{self, Checks},
    serve::{
        AlpnService, ClientCertificate, Connections, Later, PlainListener, Protocol, ServeOptions, TlsListener,
        serve_plain, serve_tls,
    },
};
use exarch_common_pg::{AppPool, DbError, Migrations, RenewPool, RolePool, SweepPool, migrate::SchemaError};
use exarch_common_runtime::{
    Lifecycle, Reloader, TakeOver,
    settings::process_env,
    telemetry::{Metrics, next_log_filter},
};
use exarch_common_wire::names;
use rustls::ServerConfig;
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Between two looks at a database that is away.
const RETRY: Duration = Duration::from_secs(1);
const CERTIFICATE_LIFE: time::Duration = time::Duration::days(30);
const CERTIFICATE_RENEWAL: time::Duration = time::Duration::DAY;
const CERTIFICATE_LOOK: Duration = Duration::from_secs(60);

/// The pools of a gateway; nothing is connected yet. Call it inside the runtime.
///
/// # Errors
/// A file cannot be used, or holds no URL of Postgres.
pub fn pools(settings: &Settings) -> anyhow::Result<Pools> {
    let database = &settings.database;
    let app = database
        .pool(&database.app_url_file)
        .context("settings.database.app_url_file")?
        .max_connections(database.max_connections);
    let sweep = database
        .pool(&database.sweep_url_file)
        .context("settings.database.sweep_url_file")?;
    let renew = database
        .pool(&database.renew_url_file)
        .context("settings.database.renew_url_file")?;
    let listen = database
        .direct(&database.app_url_file)
        .context("settings.database.direct_url")?;
    Ok(Pools {
        listen,
        app: AppPool::lazy(app),
        sweep: SweepPool::lazy(sweep.max_connections(4)),
        renew: RenewPool::lazy(renew.max_connections(4)),
    })
}

/// What seals the region's keys.
///
/// # Errors
/// The file cannot be used, or holds no key.
pub fn sealer(settings: &Settings) -> anyhow::Result<Sealer> {
    let master = settings.keys.master_file.read().context("settings.keys.master_file")?;
    secrets::sealer(&master).context("settings.keys.master_file")
}

/// A gateway that has all it needs but its database.
pub struct Prepared {
    ambient: Ambient,
    settings: Settings,
    sealer: Arc<Sealer>,
    pools: Pools,
    public: Later,
    agents: TlsListener,
    opened: Arc<OnceLock<App>>,
    reloader: Arc<Reloader<Settings>>,
}

/// Reads the secrets and opens the listeners. Whoever calls before the gateway serves is told that it is starting. A SIGHUP
/// reads the settings again from `file`.
///
/// # Errors
/// A secret or an address that cannot be used, named by its setting.
pub async fn prepare(
    ambient: Ambient,
    settings: Settings,
    file: PathBuf,
    life: &Lifecycle,
) -> anyhow::Result<Prepared> {
    let opened: Arc<OnceLock<App>> = Arc::default();
    let pools = pools(&settings)?;
    let sealer = Arc::new(sealer(&settings)?);
    let reloader = Arc::new(reloader(&settings, file, pools.clone(), opened.clone())?);
    reload_with(life, &reloader);
    let agents = TlsListener::bind(settings.agents.listen)
        .await
        .context("settings.agents.listen")?;
    let public = Later::new();
    let layers = LayerOptions::new(ambient.clone(), "public");
    let options = serve_options(&settings);
    listen(life, "public", settings.public.listen, public.router(&layers), &options).await?;
    let ops = ops_router(&ambient, life, &pools.app, opened.clone())?;
    let at = listen(life, "ops", settings.ops.listen, ops, &options).await?;
    life.alive_while("ops listener", move || ops::answers(at));
    Ok(Prepared {
        ambient,
        settings,
        sealer,
        pools,
        public,
        agents,
        opened,
        reloader,
    })
}

fn serve_options(settings: &Settings) -> ServeOptions {
    ServeOptions {
        grace: settings.stop.grace,
        ..ServeOptions::default()
    }
}

fn reload_with(life: &Lifecycle, reloader: &Arc<Reloader<Settings>>) {
    let reloader = reloader.clone();
    life.on_reload(move || reloader.reload());
}

/// What a SIGHUP changes: the log's filter and the way to the database.
fn reloader(
    settings: &Settings,
    file: PathBuf,
    pools: Pools,
    opened: Arc<OnceLock<App>>,
) -> anyhow::Result<Reloader<Settings>> {
    Reloader::new(settings, Some(file), process_env(), move |new: &Settings| {
        let filter = next_log_filter(&new.log.filter)?;
        let database = &new.database;
        let listen = database.direct(&database.app_url_file)?;
        let (app, sweep, renew) = (
            database.pool(&database.app_url_file)?,
            database.pool(&database.sweep_url_file)?,
            database.pool(&database.renew_url_file)?,
        );
        let pools = pools.clone();
        let parts = TakeOver::new().with(&["log.filter"], filter);
        let urls = &[
            "database.app_url_file",
            "database.sweep_url_file",
            "database.renew_url_file",
        ];
        let reconnect = move || {
            pools.app.reconnect(&app);
            pools.sweep.reconnect(&sweep);
            pools.renew.reconnect(&renew);
        };
        Ok(match opened.get().cloned() {
            None => parts.with(urls, reconnect),
            Some(open) => parts.with(ALL_URLS, move || {
                reconnect();
                open.wakeups.reconnect(&listen);
            }),
        })
    })
}

/// Of an open gateway the connection that listens follows, too.
const ALL_URLS: &[&str] = &[
    "database.app_url_file",
    "database.sweep_url_file",
    "database.renew_url_file",
    "database.direct_url",
];

/// Starts everything; returns once the gateway is ready. The work goes on in `life`.
///
/// # Errors
/// Whatever makes a start impossible, a database that is away excepted: that is waited for.
pub async fn start(prepared: Prepared, life: &Lifecycle) -> anyhow::Result<App> {
    let Prepared {
        ambient,
        settings,
        sealer,
        pools,
        public,
        agents,
        opened,
        reloader,
    } = prepared;
    life.status("waiting for the database");
    wait_for_database(&pools, life).await?;
    let app = open(&ambient, &settings, &sealer, pools, life).await?;
    let router = router::public_router(&app)?;
    instances::arrive(&app).await;
    serve_agents(&app, agents, life)?;
    app.background(life);
    let _ = opened.set(app.clone());
    reload_with(life, &reloader);
    public.set(router);
    life.status(&format!("serving region {}", app.region.slug));
    life.set_ready();
    tracing::info!(region = %app.region.slug, id = %app.region.id, "the gateway serves");
    Ok(app)
}

/// Opens a plain listener on loopback and serves it as long as the process lives; says where.
async fn listen(
    life: &Lifecycle,
    name: &'static str,
    at: SocketAddr,
    router: Router,
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

/// Listens for agents until the stop. Its certificate is from the region's own authority: made now, and anew each day.
///
/// # Errors
/// The certificate cannot be made: a configured name is none.
pub fn serve_agents(app: &App, listener: TlsListener, life: &Lifecycle) -> anyhow::Result<()> {
    let (with, with_rx) = watch::channel(Arc::new(agents_tls(app, Clients::RequiredOrExpired)?));
    let (without, without_rx) = watch::channel(Arc::new(agents_tls(app, Clients::Optional)?));
    let protocols = vec![
        Protocol {
            alpn: names::ALPN_AGENT,
            tls: with_rx,
            certificate: ClientCertificate::Required,
            service: AlpnService::Router(router::agents_router(app)),
        },
        Protocol {
            alpn: names::ALPN_ENROL,
            tls: without_rx,
            certificate: ClientCertificate::Optional,
            service: AlpnService::Router(router::enrol_router(app)),
        },
    ];
    let (stop, connections) = (life.stop(), app.agent_connections.clone());
    let options = serve_options(&app.settings);
    life.spawn("agents listener", async move {
        serve_tls(listener, protocols, options, connections, stop).await;
        Ok(())
    });
    let (app, stop) = (app.clone(), life.stop());
    life.spawn("agents certificate", async move {
        let mut made = app.ambient.now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                // looked at often, because a sleep does not count the time in which the host was suspended
                () = tokio::time::sleep(CERTIFICATE_LOOK) => {}
            }
            if app.ambient.now() - made < CERTIFICATE_RENEWAL {
                continue;
            }
            made = app.ambient.now();
            with.send_replace(Arc::new(agents_tls(&app, Clients::RequiredOrExpired)?));
            without.send_replace(Arc::new(agents_tls(&app, Clients::Optional)?));
        }
    });
    Ok(())
}

fn agents_tls(app: &App, clients: Clients) -> anyhow::Result<ServerConfig> {
    let ca = app.secrets.agent_ca();
    let key = SigningKey::generate(Algorithm::Es384)?;
    let issued = ca
        .issue_server(&app.ambient, &key, &app.settings.agents.names, CERTIFICATE_LIFE)
        .context("settings.agents.names")?;
    let identity = Identity {
        chain: vec![issued.der, ca.der().to_vec()],
        key: Zeroizing::new(key.pkcs8().to_vec()),
    };
    Ok(tls::server_config(&identity, app.secrets.agent_roots(), clients, &[])?)
}

/// Is it alive, is it ready, what does it measure.
fn ops_router(
    ambient: &Ambient,
    life: &Lifecycle,
    pool: &AppPool,
    opened: Arc<OnceLock<App>>,
) -> anyhow::Result<Router> {
    let metrics = Metrics::install("exarch-gateway", env!("CARGO_PKG_VERSION"))?;
    let upkeep = metrics.clone();
    life.spawn("metrics", upkeep.keep_up(life.stop()));
    let (pool, ready, passport) = (pool.clone(), life.clone(), opened.clone());
    let checks = Checks::new()
        .with("started", move || {
            let ready = ready.is_ready();
            async move { ready.then_some(()).ok_or_else(|| "starting or stopping".to_owned()) }
        })
        .with("database", move || {
            let pool = pool.clone();
            async move { pool.ping().await.map(|_| ()).map_err(|e| e.to_string()) }
        })
        .with("replicas", move || {
            let current = opened
                .get()
                .is_some_and(|app| app.instances.is_current(app.ambient.boot()));
            async move {
                current
                    .then_some(())
                    .ok_or_else(|| "the database could not be read and written for 3 s".to_owned())
            }
        })
        .with("passport", move || {
            let known = passport.get().is_some_and(|app| app.directory.tier().is_some());
            async move {
                known
                    .then_some(())
                    .ok_or_else(|| "there is no valid passport".to_owned())
            }
        });
    let router = ops::router(checks, move || metrics.render());
    Ok(standard(router, &LayerOptions::new(ambient.clone(), "ops")))
}

/// Waits until the database answers, and refuses one that is not ours or a login that must not serve.
async fn wait_for_database(pools: &Pools, life: &Lifecycle) -> anyhow::Result<()> {
    loop {
        let outcome = async {
            Migrations::regional().refuse_newer_schema(&pools.app).await?;
            fit(&pools.app).await?;
            fit(&pools.sweep).await?;
            fit(&pools.renew).await
        };
        match outcome.await {
            Ok(()) => return Ok(()),
            Err(SchemaError::Db(error)) if error.is_unavailable() => wait(&error, life).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn fit<R: exarch_common_pg::Role>(pool: &RolePool<R>) -> Result<(), SchemaError> {
    pool.ping().await?;
    Ok(())
}

async fn open(
    ambient: &Ambient,
    settings: &Settings,
    sealer: &Arc<Sealer>,
    pools: Pools,
    life: &Lifecycle,
) -> anyhow::Result<App> {
    loop {
        match App::open(ambient.clone(), settings.clone(), sealer, pools.clone()).await {
            Ok(app) => return Ok(app),
            Err(error) => match error.unavailable() {
                Some(cause) => wait(cause, life).await?,
                None => return Err(error.into()),
            },
        }
    }
}

async fn wait(cause: &DbError, life: &Lifecycle) -> anyhow::Result<()> {
    tracing::warn!(why = cause.told(), "waiting for the database");
    let stop = life.stop();
    tokio::select! {
        () = tokio::time::sleep(RETRY) => Ok(()),
        () = stop.cancelled() => anyhow::bail!("stopped while waiting for the database"),
    }
}

impl OpenError {
    /// The database, if it is only away.
    fn unavailable(&self) -> Option<&DbError> {
        let error = match self {
            Self::Db(e)
            | Self::Secrets(secrets::SecretsError::Db(e))
            | Self::Directory(crate::directory::OpenError::Db(e)) => e,
            _ => return None,
        };
        Some(error).filter(|error| error.is_unavailable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_global::{FakeGlobal, open};
    use axum::{body::Bytes, http::Request};
    use exarch_common_crypto::pki::{self, Ca};
    use exarch_common_http::tunnel::{H2Client, dial};
    use exarch_common_runtime::Notify;
    use exarch_common_testkit::db::TestDb;
    use http_body_util::Full;

    /// The status of a request on a connection with these credentials, or nothing when there is no such connection.
    async fn status(addr: &str, config: rustls::ClientConfig) -> Option<u16> {
        let dialled = dial(addr, "localhost", Arc::new(config)).await.ok()?;
        let client = H2Client::dialled(dialled).await.ok()?;
        let request = Request::get("/agent/v1/nothing").body(Full::new(Bytes::new())).ok()?;
        let answer = client.request(request, Duration::from_secs(5)).await.ok()?;
        Some(answer.status().as_u16())
    }

    #[tokio::test]
    async fn agents_are_heard_with_a_certificate_of_this_region_and_without_one_to_enrol_alone() {
        let ambient = Ambient::system();
        exarch_common_crypto::init().unwrap();
        let global = FakeGlobal::new(&ambient);
        let db = TestDb::regional().await;
        global.enlist(&db, "localhost:1").await;
        let dir = tempfile::tempdir().unwrap();
        let app = open(&ambient, &db, dir.path()).await;
        let listener = TlsListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = format!("localhost:{}", listener.local_addr().unwrap().port());
        let life = Lifecycle::new(Notify::from_env(&Default::default()));
        serve_agents(&app, listener, &life).unwrap();

        let ours = app.secrets.agent_ca();
        let identity = |ca: &Ca| {
            let key = SigningKey::generate(Algorithm::Es384).unwrap();
            let csr = pki::request(&key).unwrap();
            let uri = names::agent_uri(app.region.id, ambient.id());
            let issued = ca.issue_client(&ambient, &csr, &uri, time::Duration::days(7)).unwrap();
            Identity {
                chain: vec![issued.der],
                key: Zeroizing::new(key.pkcs8().to_vec()),
            }
        };
        let roots = [ours.der().to_vec()];
        let client = |identity: Option<&Identity>, alpn| tls::client_config(&roots, identity, &[alpn]).unwrap();
        let (good, foreign) = (identity(ours), identity(&global.ca));
        let pinned = tls::pinned_client_config(ours.pin(), &[names::ALPN_ENROL]).unwrap();
        let another = tls::pinned_client_config(global.ca.pin(), &[names::ALPN_ENROL]).unwrap();
        for (what, config, heard) in [
            (
                "a certificate of this region",
                client(Some(&good), names::ALPN_AGENT),
                true,
            ),
            ("no certificate", client(None, names::ALPN_AGENT), false),
            (
                "a certificate of another authority",
                client(Some(&foreign), names::ALPN_AGENT),
                false,
            ),
            ("enrolling, by the fingerprint", pinned, true),
            ("another fingerprint", another, false),
            ("a protocol that is not served", client(Some(&good), "http/1.1"), false),
        ] {
            assert_eq!(status(&addr, config).await.is_some(), heard, "{what}");
        }
        life.stop().cancel();
    }
}
