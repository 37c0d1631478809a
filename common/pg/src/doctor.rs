//! What can be wrong between a server and its database, each with its cause and its remedy.
//!
//! A pooler is looked at by plain statements alone: one that is not usable breaks on prepared ones before it says anything.
use crate::{
    error::DbError,
    login::{self, Login, Schema},
    migrate::{Migrations, SchemaError},
    pools::{App, PoolSettings, RolePool},
    rls,
};
use exarch_common_base::Finding;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use std::{future::Future, time::Duration};
use time::OffsetDateTime;

/// For one connection or statement.
const PATIENCE: Duration = Duration::from_secs(5);
/// Skew that the rest of the federation allows (service tokens, leases' reports).
const SKEW: time::Duration = time::Duration::seconds(30);

/// One login as it is configured.
pub struct Subject {
    /// The setting that says how it reaches the database, as `database.app_url_file`.
    pub setting: &'static str,
    /// Who it should be.
    pub login: Login,
    /// Where it leads.
    pub settings: PoolSettings,
}

/// The logins as they are configured: for each its setting, who it should be, and its file, which `pool` reads.
///
/// # Errors
/// One of the files cannot be used.
pub fn subjects<'a, F: 'a, E>(
    logins: impl IntoIterator<Item = (&'static str, Login, &'a F)>,
    pool: impl Fn(&F) -> Result<PoolSettings, E>,
) -> Result<Vec<Subject>, E> {
    let subject = |(setting, login, file)| {
        Ok(Subject {
            setting,
            login,
            settings: pool(file)?,
        })
    };
    logins.into_iter().map(subject).collect()
}

/// That one of them cannot.
pub fn no_address(reason: String) -> Finding {
    Finding::bad(
        "database",
        "there is no address of the database",
        reason,
        "write postgres://login:password@host:port/database into the file",
    )
}

/// What stands between a server and its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Nothing.
    None,
    /// A pooler that keeps a session for each connection and clears it afterwards: as good as none.
    Session,
    /// A pooler that leaves on a session what the client before did there.
    Unreset,
    /// A pooler that gives the session to another client after each transaction.
    Transaction,
    /// A pooler that gives it to another after each statement.
    Statement,
}

type Failure = sqlx::Error;

async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

async fn connect(settings: &PoolSettings) -> Result<PgConnection, Failure> {
    in_time(PgConnection::connect_with(
        &settings.connect_options().disable_statement_logging(),
    ))
    .await
}

async fn one<T>(conn: &mut PgConnection, sql: String) -> Result<T, Failure>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    in_time(async { sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(conn).await?.try_get(0) }).await
}

/// Finds out what stands between, with as many as three connections.
///
/// # Errors
/// The database could not be reached.
pub async fn pooling(settings: &PoolSettings) -> Result<Pooling, sqlx::Error> {
    let mut first = connect(settings).await?;
    if !is_pooled(settings).await {
        return Ok(Pooling::None);
    }
    // Refused where every statement may go to another session.
    if in_time(sqlx::raw_sql("BEGIN").execute(&mut first)).await.is_err() {
        return Ok(Pooling::Statement);
    }
    in_time(sqlx::raw_sql("ROLLBACK").execute(&mut first)).await?;
    let mut second = connect(settings).await?;
    for _ in 0..4 {
        let pid = |conn| one::<i32>(conn, "SELECT pg_backend_pid()".to_owned());
        if pid(&mut first).await? == pid(&mut second).await? {
            return Ok(Pooling::Transaction);
        }
    }
    // What the one leaves behind when it goes, the next one on its session must not find.
    let mark = "SELECT set_config('exarch.doctor', 'was here', false)";
    for conn in [&mut first, &mut second] {
        one::<String>(conn, mark.to_owned()).await?;
    }
    let _ = (first.close().await, second.close().await);
    let mut next = connect(settings).await?;
    let left = one::<Option<String>>(
        &mut next,
        "SELECT nullif(current_setting('exarch.doctor', true), '')".to_owned(),
    );
    let left = left.await?.is_some();
    let _ = next.close().await;
    Ok(if left { Pooling::Unreset } else { Pooling::Session })
}

/// Poolers of the common kind have a database of this name, for their operators; a Postgres says that it has none.
async fn is_pooled(settings: &PoolSettings) -> bool {
    let mut console = settings.clone();
    console.options = console.options.database("pgbouncer");
    match connect(&console).await {
        Ok(conn) => {
            let _ = conn.close().await;
            true
        }
        // "not allowed": there is one, and it is not ours to look at.
        Err(error) => code(&error).is_some_and(|code| code == "08P01"),
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Looks at every login, at what stands between, at rights, schema and clock.
pub async fn database(
    schema: Schema,
    subjects: Vec<Subject>,
    direct: Option<PoolSettings>,
    now: impl Fn() -> OffsetDateTime,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut prepared_statements_work = true;
    if let Some(app) = subjects.iter().find(|subject| subject.login == Login::App) {
        match pooling(&app.settings).await {
            Ok(Pooling::None) => found.push(Finding::ok("database.pooler", "there is none between")),
            Ok(pooling) => {
                found.push(judge(pooling, &direct));
                prepared_statements_work = pooling == Pooling::Session;
            }
            Err(error) => found.push(Finding::unknown("database.pooler", reason(&error))),
        }
    }
    if let Some(direct) = &direct {
        found.push(match pooling(direct).await {
            Ok(Pooling::None) => Finding::ok("database.direct_url", "leads straight to the database"),
            Ok(_) => Finding::bad(
                "database.direct_url",
                "leads to a pooler",
                "its address is a pooler's, as that of the other logins",
                "name the host and port of Postgres itself in settings.database.direct_url",
            ),
            Err(error) => unreachable("database.direct_url", "settings.database.direct_url", direct, &error),
        });
    }
    for subject in &subjects {
        let check = format!("database.{}", subject.login.name());
        if !prepared_statements_work {
            found.push(Finding::unknown(check, "the pooler has to be put right first"));
            continue;
        }
        found.push(login_of(&check, schema, subject).await);
    }
    let app = subjects.into_iter().find(|subject| subject.login == Login::App);
    let through = app.map(|subject| subject.settings).filter(|_| prepared_statements_work);
    match direct.or(through) {
        Some(settings) => {
            found.push(clock(&settings, now).await);
            found.push(migrations(schema, settings).await);
        }
        None => found.push(Finding::unknown(
            "database.schema",
            "the pooler has to be put right first",
        )),
    }
    found
}

/// Looks at every table, view, function and policy, as the catalogue has them: whether row-level security keeps tenants apart.
pub async fn row_security(schema: Schema, settings: &PoolSettings) -> Vec<Finding> {
    let check = "database.rls";
    let looked = async {
        let mut conn = connect(settings).await.map_err(DbError::from)?;
        let found = rls::audit(&mut conn, rls::Expected::of(schema)).await;
        let _ = conn.close().await;
        found
    };
    match tokio::time::timeout(PATIENCE * 2, looked).await {
        Ok(Ok(found)) if found.is_empty() => {
            vec![Finding::ok(check, "no table, view, function or policy breaks a rule")]
        }
        Ok(Ok(found)) => found
            .into_iter()
            .map(|broken| {
                let object = match broken.detail.is_empty() {
                    true => broken.object,
                    false => format!("{} ({})", broken.object, broken.detail),
                };
                let cause = format!("{}: {}", broken.rule.name(), broken.rule.broken());
                Finding::bad(check, format!("{object} breaks a rule"), cause, broken.rule.remedy())
            })
            .collect(),
        Ok(Err(error)) => vec![Finding::unknown(check, error.told())],
        Err(_) => vec![Finding::unknown(check, "the database does not answer")],
    }
}

fn judge(pooling: Pooling, direct: &Option<PoolSettings>) -> Finding {
    let unusable = |cause: &str, line: &str| {
        Finding::bad(
            "database.pooler",
            "the pooler is not usable",
            cause,
            format!("write `{line}` in the pooler's settings (pgbouncer.ini) and reload it"),
        )
    };
    match pooling {
        Pooling::Statement => unusable(
            "it is in statement mode, which has no transactions, and without them no tenant's context",
            "pool_mode = session",
        ),
        Pooling::Transaction => unusable(
            "it is in transaction mode: prepared statements of one connection appear in another, and requests fail",
            "pool_mode = session",
        ),
        Pooling::Unreset => unusable(
            "it hands a session on as the client before left it, prepared statements and settings included",
            "server_reset_query = DISCARD ALL",
        ),
        Pooling::None | Pooling::Session if direct.is_none() => Finding::bad(
            "database.pooler",
            "there is a pooler, and no way past it",
            "what listens for changes, leads or migrates needs a session of its own as long as it runs",
            "name the address of Postgres itself in settings.database.direct_url, as postgres://host:5432/database",
        ),
        Pooling::None | Pooling::Session => Finding::ok("database.pooler", "a pooler in session mode, which is usable"),
    }
}

async fn login_of(check: &str, schema: Schema, subject: &Subject) -> Finding {
    let looked = async {
        let mut conn = connect(&subject.settings).await?;
        let fit = in_time(login::check(&mut conn, schema, subject.login, PATIENCE)).await?;
        let _ = conn.close().await;
        Ok(fit)
    };
    match looked.await {
        Ok(Ok(())) => Finding::ok(check, "signs in, with the rights it should have and no others"),
        Ok(Err(unfit)) => Finding::bad(
            check,
            "signs in with rights that a server must not have",
            "row-level security would not hold for it, or it cannot do its work",
            unfit.to_string(),
        ),
        Err(error) => unreachable(
            check,
            &format!("settings.{}", subject.setting),
            &subject.settings,
            &error,
        ),
    }
}

fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::PoolTimedOut => format!("no answer within {} s", PATIENCE.as_secs()),
        other => other.to_string(),
    }
}

fn unreachable(check: &str, setting: &str, settings: &PoolSettings, error: &sqlx::Error) -> Finding {
    let place = format!("{}:{}", settings.options.get_host(), settings.options.get_port());
    let cause = reason(error);
    let told = error
        .as_database_error()
        .map(|e| e.message().to_owned())
        .unwrap_or_default();
    if let Some(parameter) = told.strip_prefix("unsupported startup parameter: ") {
        return Finding::bad(
            check,
            format!("the pooler at {place} refuses every connection"),
            format!("it does not know the startup parameter {parameter}, which {setting} asks for"),
            format!(
                "write `ignore_startup_parameters = {parameter}` in the pooler's settings (pgbouncer.ini) and reload it, or take \
                 it out of {setting}"
            ),
        );
    }
    let remedy = match code(error).as_deref() {
        Some("28P01" | "28000") => format!(
            "put the login's password into the file of {setting}, and let pg_hba.conf (or the pooler's auth_file) have it in"
        ),
        Some("08P01") => format!("look into the log of the pooler at {place}: it does not know this login"),
        Some("3D000") => format!("create the database, or correct its name in {setting}"),
        Some("53300") => "raise max_connections of Postgres, or lower settings.database.max_connections".to_owned(),
        _ => format!("start Postgres at {place}, open the way to it, or correct the address in {setting}"),
    };
    Finding::bad(
        check,
        format!("there is no way to the database at {place}"),
        cause,
        remedy,
    )
}

async fn clock(settings: &PoolSettings, now: impl Fn() -> OffsetDateTime) -> Finding {
    let asked = async {
        let mut conn = connect(settings).await?;
        let before = now();
        let theirs: f64 = one(
            &mut conn,
            "SELECT extract(epoch FROM clock_timestamp())::float8".to_owned(),
        )
        .await?;
        let _ = conn.close().await;
        let ours: OffsetDateTime = before + (now() - before) / 2;
        Ok::<_, sqlx::Error>((ours, theirs))
    };
    match asked.await {
        Ok((ours, theirs)) => {
            let ours = ours.unix_timestamp_nanos() as f64 / 1e9;
            let apart = (ours - theirs).abs();
            if apart <= SKEW.as_seconds_f64() {
                return Finding::ok("clock", format!("{apart:.1} s apart from the database's"));
            }
            Finding::bad(
                "clock",
                format!("{apart:.0} s apart from the database's"),
                "one of the two hosts has no time service, or another time",
                "run a time service (chrony, systemd-timesyncd) on both hosts",
            )
        }
        Err(error) => Finding::unknown("clock", reason(&error)),
    }
}

async fn migrations(schema: Schema, mut settings: PoolSettings) -> Finding {
    settings.max_connections = 1;
    let pool: RolePool<App> = RolePool::lazy(settings);
    let suits = Migrations::of(schema).refuse_newer_schema(&pool).await;
    pool.close().await;
    let check = "database.schema";
    match suits {
        Ok(()) => Finding::ok(check, "is the one this program was built for"),
        Err(SchemaError::Db(error)) => Finding::unknown(check, error.told()),
        Err(error) => {
            let remedy = match &error {
                SchemaError::Newer { .. } => "install the newer program; a schema never goes back",
                SchemaError::Pending { .. } => "run migrate up with this program",
                SchemaError::Changed { .. } | SchemaError::Failed { .. } | SchemaError::Db(_) => {
                    "restore the database from a backup, or install the program that migrated it"
                }
            };
            Finding::bad(check, "a server does not start on it", error.to_string(), remedy)
        }
    }
}
