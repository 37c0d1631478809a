use exarch_common_base::ExposeSecret;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Cluster, EmbeddedError};
use crate::ROLES_SQL;
use crate::login::Login;

impl Cluster {
    /// Creates the database and the logins and sets their passwords.
    pub(super) async fn set_up(&self) -> Result<(), EmbeddedError> {
        let database = self.spec.database.clone();
        self.create_database(&database, None).await?;
        let done = async {
            let mut conn = self.superuser("postgres").await?;
            // passwords stand in the text of these statements: none of it may reach the server's log
            sqlx::raw_sql(
                "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1",
            )
            .execute(&mut conn)
            .await?;
            for login in Login::ALL {
                let password = self.spec.passwords.of(login).expose_secret().replace('\'', "''");
                let alter = format!("ALTER ROLE {} PASSWORD '{password}'", login.name());
                sqlx::raw_sql(AssertSqlSafe(alter)).execute(&mut conn).await?;
            }
            conn.close().await
        };
        done.await.map_err(|source| self.setup_failed(source))
    }

    /// Creates a database of `exarch_owner` in the cluster, as a copy of `template` if one is named; leaves an existing
    /// one as it is, but for the rights of the logins on it.
    ///
    /// # Errors
    /// [`EmbeddedError::DatabaseName`], [`EmbeddedError::Setup`].
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<(), EmbeddedError> {
        check_name(name)?;
        check_name(template.unwrap_or("template0"))?;
        let done = async {
            let mut conn = self.superuser("postgres").await?;
            let exists = sqlx::query("SELECT FROM pg_catalog.pg_database WHERE datname = $1").bind(name);
            if exists.fetch_optional(&mut conn).await?.is_none() {
                let template = template.unwrap_or("template0");
                let create = format!("CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'");
                sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut conn).await?;
            }
            conn.close().await?;
            let mut conn = self.superuser(name).await?;
            sqlx::raw_sql(ROLES_SQL).execute(&mut conn).await?;
            conn.close().await
        };
        done.await.map_err(|source| self.setup_failed(source))
    }

    /// Removes a database, whoever is connected to it.
    ///
    /// # Errors
    /// [`EmbeddedError::DatabaseName`], [`EmbeddedError::Setup`].
    pub async fn drop_database(&self, name: &str) -> Result<(), EmbeddedError> {
        check_name(name)?;
        let done = async {
            let mut conn = self.superuser("postgres").await?;
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut conn).await?;
            conn.close().await
        };
        done.await.map_err(|source| self.setup_failed(source))
    }

    /// A connection of the superuser, whom row-level security does not bind: for setting up, for tests that look behind
    /// the curtain, for nothing else.
    ///
    /// # Errors
    /// [`EmbeddedError::Setup`].
    pub async fn superuser_conn(&self, database: &str) -> Result<PgConnection, EmbeddedError> {
        self.superuser(database)
            .await
            .map_err(|source| self.setup_failed(source))
    }

    fn setup_failed(&self, source: sqlx::Error) -> EmbeddedError {
        EmbeddedError::Setup {
            log: self.log(),
            source,
        }
    }
}

/// Database names stand in statements as they are.
pub(super) fn check_name(name: &str) -> Result<(), EmbeddedError> {
    let fits = !name.is_empty()
        && name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fits {
        Ok(())
    } else {
        Err(EmbeddedError::DatabaseName(name.to_owned()))
    }
}
