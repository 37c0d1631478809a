use exarch_common_authz::Role;
use exarch_common_base::UserId;
use exarch_common_pg::{DbError, SystemTx};
use time::OffsetDateTime;
use uuid::Uuid;

/// Two setups at once wait for each other.
pub async fn lock(tx: &mut SystemTx) -> Result<(), DbError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('gc.installation')) AS \"locked!: ()\"")
        .fetch_one(tx.conn())
        .await?;
    Ok(())
}

pub async fn is_done(tx: &mut SystemTx) -> Result<bool, DbError> {
    Ok(
        sqlx::query_scalar!("SELECT EXISTS (SELECT FROM gc.installation) AS \"done!\"")
            .fetch_one(tx.conn())
            .await?,
    )
}

pub async fn mark(tx: &mut SystemTx, owner: UserId, now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.installation (first_owner, made_at) VALUES ($1, $2)",
        owner.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn bind(
    tx: &mut SystemTx,
    id: Uuid,
    user: UserId,
    role: Role,
    by: &str,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.staff_binding (id, user_id, role, created_by, created_at) VALUES ($1, $2, $3, $4, $5)",
        id,
        user.uuid(),
        role.slug(),
        by,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
