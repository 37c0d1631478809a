//! A region that has joined, and its gateway.
use super::*;

/// A region that has just joined, and its gateway.
pub(super) async fn join(reach: &impl Fn(Login) -> PoolSettings, ambient: &Ambient) -> App {
    let region = Region {
        id: ambient.id(),
        slug: "eu-north".parse().unwrap(),
        name: "North".to_owned(),
        global_addr: "localhost:8441".to_owned(),
        issuer: "http://localhost:8440".to_owned(),
        federation_ca: Vec::new(),
    };
    let secret = |kid: &str| HandedSecret {
        kid: kid.to_owned(),
        secret: B64.encode([8; 32]),
    };
    let joined = Joined {
        region: region.id,
        slug: region.slug.clone(),
        name: region.name.clone(),
        certificate: String::new(),
        federation_ca: String::new(),
        authority: authority(),
        issuer: "http://localhost:8440".to_owned(),
        up: secret("up"),
        down: secret("down"),
    };
    let pool = AppPool::lazy(PoolSettings {
        acquire_timeout: Duration::from_secs(20),
        ..reach(Login::App)
    });
    let mut tx = SystemTx::begin(&pool, "test").await.unwrap();
    secrets::region_key(&mut tx, &sealer(), ambient).await.unwrap();
    secrets::keep_joined(&mut tx, &sealer(), ambient, &joined, &[0])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    open(reach, ambient, region).await
}

/// How the gateway of a test reaches its database. On a busy machine a connection may be long in coming.
pub(super) fn patient(db: &TestDb) -> impl Fn(Login) -> PoolSettings {
    |login| PoolSettings {
        acquire_timeout: Duration::from_secs(20),
        ..db.settings(login)
    }
}

/// One replica on a database that has joined.
pub(super) async fn open(reach: &impl Fn(Login) -> PoolSettings, ambient: &Ambient, region: Region) -> App {
    let pools = Pools {
        app: AppPool::lazy(reach(Login::App)),
        sweep: SweepPool::lazy(reach(Login::Sweep)),
        renew: RenewPool::lazy(reach(Login::Renew)),
        listen: reach(Login::App),
    };
    let sealer = Arc::new(sealer());
    let secrets = Secrets::load(&pools.app, &sealer).await.unwrap();
    let directory = Directory::without_disk(ambient.clone(), region.id, pools.app.clone());
    let app = App::new(ambient.clone(), settings(), sealer, pools, region, secrets, directory);
    app.instances.has_read(ambient.boot());
    app
}

pub(super) fn sealer() -> Sealer {
    Sealer::new(&vec![7; 32].into()).unwrap()
}

pub(super) fn authority() -> AuthorityKey {
    AuthorityKey {
        kid: "1".to_owned(),
        public: B64.encode([0; 32]),
    }
}

fn settings() -> Settings {
    serde_json::from_value(json!({
        "public": { "url": "http://127.0.0.1:9440" },
        "agents": { "names": ["localhost"], "url": "https://127.0.0.1:9441" },
        "database": { "app_url_file": "/nowhere", "sweep_url_file": "/nowhere", "renew_url_file": "/nowhere" },
        "keys": { "master_file": "/nowhere" },
        "state": { "dir": "/nowhere" },
    }))
    .unwrap()
}
