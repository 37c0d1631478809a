//! What can be wrong with a controller, looked at without serving.
use crate::{
    break_glass,
    command::Secrets,
    keys::{Keys, KeysError},
    settings::Settings,
};
use exarch_common_base::{Ambient, Finding};
use exarch_common_crypto::pki::Peer;
use exarch_common_pg::{
    AppPool, Login, PoolSettings, Schema,
    doctor::{self, Subject, database},
};
use exarch_common_runtime::{
    doctor::{Part, days_left, settings as judged},
    settings::SettingsError,
};

/// Looks at everything, or at one part of what a controller needs.
pub async fn examine(ambient: &Ambient, loaded: Result<Settings, SettingsError>, only: Option<Part>) -> Vec<Finding> {
    let (settings, good) = match judged(loaded) {
        Ok(good) => good,
        Err(bad) => return bad,
    };
    let mut found = vec![good];
    let (subjects, direct) = match subjects(&settings) {
        Ok(subjects) => subjects,
        Err(error) => {
            found.push(doctor::no_address(format!("{error:#}")));
            return found;
        }
    };
    let app = direct.clone().or_else(|| Some(subjects.first()?.settings.clone()));
    if let (Some(Part::Rls), Some(app)) = (only, &app) {
        return doctor::row_security(Schema::Global, app).await;
    }
    found.extend(database(Schema::Global, subjects, direct, || ambient.now()).await);
    if let Some(app) = app {
        found.extend(doctor::row_security(Schema::Global, &app).await);
        found.extend(keys(ambient, &settings, app.clone()).await);
        found.push(emergencies(ambient, app).await);
    }
    found
}

/// Whether anybody could approve an emergency access: it takes two people.
async fn emergencies(ambient: &Ambient, app: PoolSettings) -> Finding {
    let check = "break_glass";
    let pool = AppPool::lazy(app.max_connections(1));
    let counted = break_glass::all_approvers(&pool, ambient.now()).await;
    pool.close().await;
    match counted {
        Ok(approvers @ (0 | 1)) => Finding::ok(
            check,
            format!("there is no break-glass: it takes two people who may approve, and the federation has {approvers}"),
        ),
        Ok(approvers) => Finding::ok(check, format!("{approvers} people may approve an emergency access")),
        Err(error) => Finding::unknown(check, error.told()),
    }
}

fn subjects(settings: &Settings) -> anyhow::Result<(Vec<Subject>, Option<PoolSettings>)> {
    let database = &settings.database;
    let logins = [
        ("database.app_url_file", Login::App, &database.app_url_file),
        ("database.sweep_url_file", Login::Sweep, &database.sweep_url_file),
    ];
    let direct = database.direct_url.as_ref();
    let direct = direct.map(|_| database.direct(&database.app_url_file)).transpose()?;
    Ok((doctor::subjects(logins, |file| database.pool(file))?, direct))
}

/// The keys in the database, and until when the federation's authority is good.
async fn keys(ambient: &Ambient, settings: &Settings, app: PoolSettings) -> Vec<Finding> {
    let remedy = "put the master key of the installation, 32 bytes in base64, into settings.keys.master_file";
    let secrets = match Secrets::read(settings) {
        Ok(secrets) => secrets,
        Err(error) => {
            return vec![Finding::bad(
                "keys",
                "a secret cannot be used",
                format!("{error:#}"),
                remedy,
            )];
        }
    };
    let pool = AppPool::lazy(app.max_connections(1));
    let loaded = Keys::load(ambient, &pool, &secrets.sealer, &settings.public.url).await;
    pool.close().await;
    let keys = match loaded {
        Ok(keys) => keys,
        Err(KeysError::NotMade) => {
            return vec![Finding::bad(
                "keys",
                "this installation has no keys yet",
                "it was not set up",
                "run exarch-global setup",
            )];
        }
        Err(KeysError::Db(error)) => return vec![Finding::unknown("keys", error.told())],
        Err(error) => {
            return vec![Finding::bad(
                "keys",
                "the keys of the installation do not open",
                error.to_string(),
                remedy,
            )];
        }
    };
    let check = "certificate.federation_ca";
    let next = "make the federation's next authority, and let every region join it, before gateways are shut out";
    let certificate = match Peer::read(keys.federation_ca().der()) {
        Ok(read) => days_left(check, (read.not_after - ambient.now()).whole_days(), next),
        Err(error) => Finding::bad(check, "it cannot be read", error.to_string(), next),
    };
    vec![Finding::ok("keys", "the keys of the installation open"), certificate]
}
