//! One statement that reads a tenant's rows, in one round trip: it sets its context itself.
use crate::{
    error::{self, DbError},
    pools::AppPool,
    tx::{Clusters, InTenant},
};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

/// The context of one statement: the parameters of `entered`, in its order.
#[derive(Debug)]
pub struct Entering {
    /// The tenant in force.
    pub tenant: Uuid,
    /// Whether all clusters of the tenant are in sight.
    pub all_clusters: bool,
    /// Otherwise these.
    pub clusters: Vec<Uuid>,
    /// Who acts.
    pub actor: String,
}

/// Runs one statement on a connection outside a transaction. It reads, and has `(SELECT gw.entered($1, $2, $3, $4))` among its
/// conditions, with the members of [`Entering`] as its first parameters; a statement that forgets it finds nothing, since row
/// security has no context then, and one that changes something has no audit, so it belongs into a [`TenantTx`](crate::TenantTx).
/// Three round trips fewer than that: what is read most often is read so.
///
/// # Errors
/// As [`TenantTx::begin`](crate::TenantTx::begin), or the statement's; [`DbError::Unavailable`] also when there is no answer
/// within the pool's acquire timeout.
pub async fn read_once<T>(
    pool: &AppPool,
    caller: &impl InTenant,
    // boxed, since the compiler cannot yet see that what an `AsyncFn` over references answers is `Send`
    statement: impl for<'c> Fn(&'c mut PgConnection, &'c Entering) -> BoxFuture<'c, Result<T, sqlx::Error>>,
) -> Result<T, DbError> {
    let context = caller.tenant_context();
    let (all_clusters, clusters) = match &context.clusters {
        Clusters::All => (true, Vec::new()),
        Clusters::Only(some) => (false, some.iter().map(|cluster| cluster.uuid()).collect()),
    };
    let entering = Entering {
        tenant: context.tenant.uuid(),
        all_clusters,
        clusters,
        actor: context.actor,
    };
    let mut left = pool.settings().max_connections;
    loop {
        let mut conn = pool.acquire().await?;
        // On a silent wire no limit of the database's own would ever be heard of.
        let answer = tokio::time::timeout(pool.settings().acquire_timeout, statement(&mut conn, &entering)).await;
        let Ok(answer) = answer else {
            conn.close_on_drop();
            return Err(error::silent().into());
        };
        match answer {
            Ok(found) => return Ok(found),
            // it died while it was idle; a read may be repeated
            Err(error) if left > 0 && error::connection_is_gone(&error) => {
                conn.close_on_drop();
                left -= 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
