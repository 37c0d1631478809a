//! What can be wrong with a gateway, looked at without serving.
use crate::{app::Region, federation, secrets::Secrets, settings::Settings, start};
use exarch_common_base::{Ambient, Finding};
use exarch_common_crypto::{pki::Peer, seal::Sealer};
use exarch_common_pg::{
    AppPool, DbError, Login, PoolSettings, Schema, SystemTx,
    doctor::{self, Subject, database},
};
use exarch_common_runtime::{
    doctor::{Part, days_left, private_dir, settings as judged},
    settings::SettingsError,
};
use std::sync::Arc;

/// Looks at everything, or at one part of what a gateway needs.
pub async fn examine(ambient: &Ambient, loaded: Result<Settings, SettingsError>, only: Option<Part>) -> Vec<Finding> {
    let (settings, good) = match judged(loaded) {
        Ok(good) => good,
        Err(bad) => return bad,
    };
    let mut found = vec![good, private_dir("state", &settings.state.dir)];
    let (subjects, direct) = match subjects(&settings) {
        Ok(subjects) => subjects,
        Err(error) => {
            found.push(doctor::no_address(format!("{error:#}")));
            return found;
        }
    };
    let app = direct.clone().or_else(|| Some(subjects.first()?.settings.clone()));
    if let (Some(Part::Rls), Some(app)) = (only, &app) {
        return doctor::row_security(Schema::Regional, app).await;
    }
    found.extend(database(Schema::Regional, subjects, direct, || ambient.now()).await);
    if let Some(app) = app {
        found.extend(doctor::row_security(Schema::Regional, &app).await);
        found.extend(keys(ambient, &settings, app).await);
    }
    found
}

fn subjects(settings: &Settings) -> anyhow::Result<(Vec<Subject>, Option<PoolSettings>)> {
    let database = &settings.database;
    let logins = [
        ("database.app_url_file", Login::App, &database.app_url_file),
        ("database.sweep_url_file", Login::Sweep, &database.sweep_url_file),
        ("database.renew_url_file", Login::Renew, &database.renew_url_file),
    ];
    let direct = database.direct_url.as_ref();
    let direct = direct.map(|_| database.direct(&database.app_url_file)).transpose()?;
    Ok((doctor::subjects(logins, |file| database.pool(file))?, direct))
}

/// The keys in the database, and until when certificates are good.
async fn keys(ambient: &Ambient, settings: &Settings, app: PoolSettings) -> Vec<Finding> {
    let sealer = match start::sealer(settings) {
        Ok(sealer) => Arc::new(sealer),
        Err(error) => {
            return vec![Finding::bad(
                "keys",
                "there is no key to open the region's keys with",
                format!("{error:#}"),
                "put the master key with which the region joined, 32 bytes in base64, into settings.keys.master_file",
            )];
        }
    };
    let pool = AppPool::lazy(app.max_connections(1));
    let found = match region(&pool).await {
        Ok(Some(region)) => certificates(ambient, &pool, &sealer, &region).await,
        Ok(None) => vec![Finding::bad(
            "federation",
            "this gateway has not joined a federation",
            "its database holds no region",
            "run exarch-gateway join with the line that exarch region register printed",
        )],
        Err(error) => vec![Finding::unknown("keys", error.told())],
    };
    pool.close().await;
    found
}

async fn region(pool: &AppPool) -> Result<Option<Region>, DbError> {
    let mut tx = SystemTx::begin(pool, "doctor").await?;
    let region = federation::region(&mut tx).await?;
    tx.rollback().await?;
    Ok(region)
}

async fn certificates(ambient: &Ambient, pool: &AppPool, sealer: &Arc<Sealer>, region: &Region) -> Vec<Finding> {
    let secrets = match Secrets::load(pool, sealer).await {
        Ok(secrets) => secrets,
        Err(error) => {
            return vec![Finding::bad(
                "keys",
                "the region's keys do not open",
                error.to_string(),
                "put the master key with which the region joined into settings.keys.master_file",
            )];
        }
    };
    let certificate = secrets.certificate();
    let renewed = "start the gateway, and see that it reaches the global's federation listener: it renews it by itself";
    [
        ("certificate.region", certificate.as_slice(), renewed),
        (
            "certificate.agent_ca",
            secrets.agent_ca().der(),
            "join the region anew, before agents are shut out",
        ),
        (
            "certificate.federation_ca",
            region.federation_ca.as_slice(),
            "ask the provider for the federation's next authority",
        ),
    ]
    .into_iter()
    .map(|(check, der, remedy)| match Peer::read(der) {
        Ok(read) => days_left(check, (read.not_after - ambient.now()).whole_days(), remedy),
        Err(error) => Finding::bad(check, "it cannot be read", error.to_string(), remedy),
    })
    .chain([Finding::ok("keys", "the region's keys open")])
    .collect()
}
