//! The schemas' numbered steps, embedded in the binaries.
//!
//! Which steps a database has is written in `<schema>.schema_migration`. One database can hold both schemas.

use std::{collections::BTreeMap, fmt, time::Duration};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use time::OffsetDateTime;

use crate::error::DbError;
use crate::login::Schema;
use crate::pools::{OwnerPool, Role, RolePool};

/// Between two looks whether somebody else still migrates.
const AGAIN: Duration = Duration::from_millis(100);

/// The steps of one schema that this binary knows.
pub struct Migrations {
    schema: Schema,
    migrator: Migrator,
}

/// One step, known to this binary or found in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The number its file begins with.
    pub version: i64,
    /// What its file is named after the number.
    pub description: String,
    /// Where it stands.
    pub state: StepState,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// In the database, since.
    Applied(OffsetDateTime),
    /// Not in the database yet.
    Pending,
    /// In the database, but with other contents than this binary has.
    Changed,
    /// In the database and not known to this binary: a newer one has been here.
    Newer,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04} {}: ", self.version, self.description)?;
        match self.state {
            StepState::Applied(at) => write!(f, "applied {at}"),
            StepState::Pending => f.write_str("pending"),
            StepState::Changed => f.write_str("applied with other contents than this program's"),
            StepState::Newer => f.write_str("applied by a newer program"),
        }
    }
}

/// Why a database's schema does not suit this binary.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Steps are missing.
    #[error("the database schema {schema} lacks migration {version} and {more} more; run `migrate up` first")]
    Pending {
        /// The schema's name.
        schema: &'static str,
        /// The first one missing.
        version: i64,
        /// How many are missing after it.
        more: usize,
    },
    /// A newer binary has migrated it.
    #[error("the database schema {schema} is at migration {found}, this program knows {known}; run the newer program")]
    Newer {
        /// The schema's name.
        schema: &'static str,
        /// The newest in the database.
        found: i64,
        /// The newest this binary knows.
        known: i64,
    },
    /// An applied step is not the one this binary has.
    #[error("migration {version} of the database schema {schema} is not the one this program was built with")]
    Changed {
        /// The schema's name.
        schema: &'static str,
        /// The step.
        version: i64,
    },
    /// A step failed; the ones before it stay.
    #[error("migration {version} of the database schema {schema} failed")]
    Failed {
        /// The schema's name.
        schema: &'static str,
        /// The step.
        version: i64,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database could not be asked.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<sqlx::Error> for SchemaError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl Migrations {
    /// The global controller's.
    pub fn global() -> Self {
        Self::of(Schema::Global)
    }

    /// A region's.
    pub fn regional() -> Self {
        Self::of(Schema::Regional)
    }

    /// Those of `schema`.
    pub fn of(schema: Schema) -> Self {
        let mut migrator = match schema {
            Schema::Global => sqlx::migrate!("../../migrations/global"),
            Schema::Regional => sqlx::migrate!("../../migrations/regional"),
        };
        // [`turn`] takes the library's lock's place.
        migrator.set_locking(false);
        migrator.create_schema(schema.name());
        migrator.dangerous_set_table_name(format!("{}.schema_migration", schema.name()));
        Self { schema, migrator }
    }

    /// Applies what is pending, one step after the other; two callers at once wait for each other. Answers how many
    /// steps were applied.
    ///
    /// # Errors
    /// [`SchemaError::Failed`] names the step; the ones before it stay applied.
    pub async fn up(&self, pool: &OwnerPool) -> Result<usize, SchemaError> {
        let before = self.status(pool).await?;
        self.suits(&before, false)?;
        let pending = before.iter().filter(|step| step.state == StepState::Pending).count();
        // a connection of its own: the lock of a migration that failed goes with it
        let mut conn = PgConnection::connect_with(&pool.settings().connect_options()).await?;
        let run = self.run(&mut conn).await;
        let _ = conn.close().await;
        run.map(|()| pending)
    }

    async fn run(&self, conn: &mut PgConnection) -> Result<(), SchemaError> {
        let schema = self.schema.name();
        turn(conn, schema).await?;
        self.migrator
            .run_direct(None, conn, false)
            .await
            .map_err(|error| match error {
                MigrateError::ExecuteMigration(source, version) => SchemaError::Failed {
                    schema,
                    version,
                    source,
                },
                MigrateError::VersionMismatch(version) => SchemaError::Changed { schema, version },
                MigrateError::VersionMissing(found) => SchemaError::Newer {
                    schema,
                    found,
                    known: self.newest(),
                },
                MigrateError::Execute(source) => source.into(),
                other => sqlx::Error::from(other).into(),
            })?;
        // every login may see which steps there are: servers refuse to start on another schema than theirs
        sqlx::raw_sql(AssertSqlSafe(format!(
            "GRANT SELECT ON {schema}.schema_migration TO exarch_app, exarch_sweep, exarch_renew, exarch_operator"
        )))
        .execute(conn)
        .await?;
        Ok(())
    }

    /// All steps, known or found, in order.
    ///
    /// # Errors
    /// [`SchemaError::Db`].
    pub async fn status<R: Role>(&self, pool: &RolePool<R>) -> Result<Vec<Step>, SchemaError> {
        let mut conn = pool.acquire().await?;
        let applied = self.applied(&mut conn).await?;
        let mut steps: BTreeMap<i64, Step> = self
            .migrator
            .iter()
            .map(|m| {
                let step = Step {
                    version: m.version,
                    description: m.description.to_string(),
                    state: StepState::Pending,
                };
                (m.version, step)
            })
            .collect();
        for (version, description, checksum, at) in applied {
            let known = self.migrator.iter().find(|m| m.version == version);
            let state = match known {
                Some(m) if *m.checksum == *checksum => StepState::Applied(at),
                Some(_) => StepState::Changed,
                None => StepState::Newer,
            };
            steps.insert(
                version,
                Step {
                    version,
                    description,
                    state,
                },
            );
        }
        Ok(steps.into_values().collect())
    }

    /// Refuses a database whose schema is not exactly the one this binary was built for. Called by the servers at start.
    ///
    /// # Errors
    /// [`SchemaError::Newer`], [`SchemaError::Pending`], [`SchemaError::Changed`]; [`SchemaError::Db`] when the database
    /// cannot be asked.
    pub async fn refuse_newer_schema<R: Role>(&self, pool: &RolePool<R>) -> Result<(), SchemaError> {
        self.suits(&self.status(pool).await?, true)
    }

    fn suits(&self, steps: &[Step], complete: bool) -> Result<(), SchemaError> {
        let schema = self.schema.name();
        if let Some(newer) = steps.iter().rfind(|step| step.state == StepState::Newer) {
            return Err(SchemaError::Newer {
                schema,
                found: newer.version,
                known: self.newest(),
            });
        }
        if let Some(changed) = steps.iter().find(|step| step.state == StepState::Changed) {
            return Err(SchemaError::Changed {
                schema,
                version: changed.version,
            });
        }
        let mut pending = steps.iter().filter(|step| step.state == StepState::Pending);
        match pending.next() {
            Some(first) if complete => Err(SchemaError::Pending {
                schema,
                version: first.version,
                more: pending.count(),
            }),
            _ => Ok(()),
        }
    }

    fn newest(&self) -> i64 {
        self.migrator.iter().map(|m| m.version).max().unwrap_or(0)
    }

    async fn applied(
        &self,
        conn: &mut PgConnection,
    ) -> Result<Vec<(i64, String, Vec<u8>, OffsetDateTime)>, sqlx::Error> {
        let table = format!("{}.schema_migration", self.schema.name());
        let found = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT version, description, checksum, installed_on FROM {table} WHERE success ORDER BY version"
        )))
        .fetch_all(&mut *conn)
        .await;
        match found {
            // neither schema nor table: no step has been applied
            Err(sqlx::Error::Database(e)) if matches!(e.code().as_deref(), Some("42P01" | "3F000")) => Ok(Vec::new()),
            // the table is there and not ours to read yet: `up` has not finished once
            Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42501") => Ok(Vec::new()),
            other => other,
        }
    }
}

/// Waits until nobody else migrates this schema; the turn is over with the connection. By asking again and again: who waited
/// inside the database would hold up an index that is being built `CONCURRENTLY`, and that one waits for all others.
async fn turn(conn: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let ask = "SELECT pg_try_advisory_lock(hashtext('exarch-migrate'), hashtext($1))";
    while !sqlx::query_scalar::<_, bool>(ask)
        .bind(schema)
        .fetch_one(&mut *conn)
        .await?
    {
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}
