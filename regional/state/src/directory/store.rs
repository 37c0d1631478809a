//! The passport in the region's database, where its replicas meet.
use exarch_common_base::TenantId;
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use exarch_common_wire::{
    passport::{Passport, SectionBytes},
    user_token::Version,
};
use serde_json::Value;
use std::collections::BTreeMap;
use time::OffsetDateTime;

fn version(generation: i64, version: i64) -> Version {
    // Written from a u64 below, so this reads back what was written.
    Version(generation.cast_unsigned(), version.cast_unsigned())
}

/// The highest passport ever applied in this region. Locked until the end of the transaction, so that one replica at a time
/// applies.
pub(super) async fn lock_high(tx: &mut SystemTx) -> Result<Version, DbError> {
    let row = sqlx::query!("SELECT high_generation, high_version FROM gw.region_state FOR UPDATE")
        .fetch_one(tx.conn())
        .await?;
    Ok(version(row.high_generation, row.high_version))
}

/// The global's word that the region is removed, if it was told.
pub(super) async fn tombstone(tx: &mut SystemTx) -> Result<Option<Vec<u8>>, DbError> {
    let found = sqlx::query_scalar!("SELECT tombstone FROM gw.region")
        .fetch_optional(tx.conn())
        .await?;
    Ok(found.flatten())
}

pub(super) async fn set_tombstone(tx: &mut SystemTx, signed: &[u8]) -> Result<(), DbError> {
    sqlx::query!("UPDATE gw.region SET tombstone = $1 WHERE tombstone IS NULL", signed)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// What is written of a passport.
pub(super) struct Write<'a> {
    pub(super) version: Version,
    pub(super) passport: &'a Passport,
    pub(super) as_of: i64,
    pub(super) now: OffsetDateTime,
    /// Digests of the contents that the last two passports need.
    pub(super) keep: &'a [Vec<u8>],
    /// Key ids and keys of the authority.
    pub(super) authority: &'a [(String, Vec<u8>)],
}

/// Writes a passport beside the one before it, and raises the mark. Contents that are there already are not sent again.
pub(super) async fn save(tx: &mut SystemTx, write: &Write<'_>) -> Result<(), DbError> {
    let (generation, number) = (write.version.0.cast_signed(), write.version.1.cast_signed());
    let held = sqlx::query_scalar!("SELECT sha256 FROM gw.passport_section")
        .fetch_all(tx.conn())
        .await?;
    let held: std::collections::BTreeSet<Vec<u8>> = held.into_iter().collect();
    let mut contents: Vec<&[u8]> = Vec::new();
    let mut digests: Vec<&[u8]> = Vec::new();
    for (id, entry) in &write.passport.entries {
        if let Some(content) = write.passport.sections.get(id)
            && !held.contains(entry.sha256.as_slice())
            && !digests.contains(&entry.sha256.as_slice())
        {
            contents.push(&content.0);
            digests.push(&entry.sha256);
        }
    }
    sqlx::query!(
        "INSERT INTO gw.passport_section (sha256, content) SELECT * FROM unnest($1::bytea[], $2::bytea[])",
        &digests as &[&[u8]],
        &contents as &[&[u8]],
    )
    .execute(tx.conn())
    .await?;
    let outline = Passport {
        statement: Vec::new(),
        manifest: write.passport.manifest.clone(),
        entries: write.passport.entries.clone(),
        sections: BTreeMap::new(),
    };
    sqlx::query!(
        "INSERT INTO gw.passport (generation, version, outline, statement, as_of, received_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT ON CONSTRAINT passport_pkey DO UPDATE SET statement = $4, as_of = $5",
        generation,
        number,
        outline.to_bytes(),
        write.passport.statement,
        write.as_of,
        write.now,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "DELETE FROM gw.passport WHERE (generation, version) NOT IN
           (SELECT generation, version FROM gw.passport ORDER BY generation DESC, version DESC LIMIT 2)"
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!("DELETE FROM gw.passport_section WHERE sha256 <> ALL ($1)", write.keep)
        .execute(tx.conn())
        .await?;
    set_authority(tx, write.authority).await?;
    sqlx::query!(
        "UPDATE gw.region_state SET high_generation = $1, high_version = $2
          WHERE (high_generation, high_version) < ($1, $2)",
        generation,
        number
    )
    .execute(tx.conn())
    .await?;
    wake(tx).await
}

/// Writes a newer statement about the passport of `version`, if it is the newest one there.
pub(super) async fn restate(tx: &mut SystemTx, of: Version, statement: &[u8], as_of: i64) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE gw.passport SET statement = $3, as_of = $4 WHERE generation = $1 AND version = $2 AND as_of < $4",
        of.0.cast_signed(),
        of.1.cast_signed(),
        statement,
        as_of
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    wake(tx).await
}

async fn wake(tx: &mut SystemTx) -> Result<(), DbError> {
    sqlx::query!("SELECT pg_notify('gw_passport', '') AS done")
        .fetch_one(tx.conn())
        .await?;
    Ok(())
}

/// The keys that sign passports, raw, by their key ids.
pub(super) async fn authority(tx: &mut SystemTx) -> Result<Vec<(String, Vec<u8>)>, DbError> {
    let rows = sqlx::query!("SELECT kid, public FROM gw.authority_key")
        .fetch_all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|row| (row.kid, row.public)).collect())
}

/// Believes these keys from now on, and no others.
pub(super) async fn set_authority(tx: &mut SystemTx, keys: &[(String, Vec<u8>)]) -> Result<(), DbError> {
    let kids: Vec<&str> = keys.iter().map(|(kid, _)| kid.as_str()).collect();
    sqlx::query!("DELETE FROM gw.authority_key WHERE kid <> ALL ($1)", &kids as &[&str])
        .execute(tx.conn())
        .await?;
    for (kid, public) in keys {
        sqlx::query!(
            "INSERT INTO gw.authority_key (kid, public) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT authority_key_pkey DO NOTHING",
            kid,
            public
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// The newest passport there: its version, and the time of the newest statement about it.
pub(super) async fn newest(tx: &mut SystemTx) -> Result<Option<(Version, i64)>, DbError> {
    let row = sqlx::query!(
        "SELECT generation, version, as_of FROM gw.passport ORDER BY generation DESC, version DESC LIMIT 1"
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (version(row.generation, row.version), row.as_of)))
}

/// The newest statement about the passport of `version`.
pub(super) async fn statement(tx: &mut SystemTx, of: Version) -> Result<Option<Vec<u8>>, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT statement FROM gw.passport WHERE generation = $1 AND version = $2",
        of.0.cast_signed(),
        of.1.cast_signed()
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// The passports there, newest first, still to be verified. Contents that `held` has already are not read again.
pub(super) async fn load(tx: &mut SystemTx, held: Option<&Passport>) -> Result<Vec<Passport>, DbError> {
    let rows = sqlx::query!("SELECT outline, statement FROM gw.passport ORDER BY generation DESC, version DESC")
        .fetch_all(tx.conn())
        .await?;
    let mut out = Vec::new();
    for row in rows {
        let Some(mut passport) = Passport::from_bytes(&row.outline) else {
            tracing::error!("a passport in the database cannot be read");
            continue;
        };
        passport.statement = row.statement;
        let mut missing: Vec<&[u8]> = Vec::new();
        for (id, entry) in &passport.entries {
            let same = held.filter(|held| held.entries.get(id).is_some_and(|e| e.sha256 == entry.sha256));
            match same.and_then(|held| held.sections.get(id)) {
                Some(content) => {
                    passport.sections.insert(id.clone(), content.clone());
                }
                None => missing.push(&entry.sha256),
            }
        }
        let found = sqlx::query!(
            "SELECT sha256, content FROM gw.passport_section WHERE sha256 = ANY ($1)",
            &missing as &[&[u8]]
        )
        .fetch_all(tx.conn())
        .await?;
        let found: BTreeMap<Vec<u8>, Vec<u8>> = found.into_iter().map(|row| (row.sha256, row.content)).collect();
        for (id, entry) in &passport.entries {
            if let Some(content) = found.get(entry.sha256.as_slice()) {
                passport.sections.insert(id.clone(), SectionBytes(content.clone()));
            }
        }
        out.push(passport);
    }
    Ok(out)
}

/// Puts a tenant in force, or none.
pub(super) async fn enter(tx: &mut SystemTx, tenant: Option<TenantId>) -> Result<(), DbError> {
    sqlx::query!(
        "SELECT gw.enter($1, false, '{}', gw.actor()) AS \"entered!: ()\"",
        tenant.map(TenantId::uuid)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(())
}

/// Adds to what is remembered of a tenant what differs from `states`, which is all that there is now; leaves it in force.
pub(super) async fn remember(
    tx: &mut SystemTx,
    tenant: TenantId,
    states: &Value,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    enter(tx, Some(tenant)).await?;
    sqlx::query!(
        "WITH new AS (SELECT kind, subject, state FROM jsonb_to_recordset($2) AS part (kind text, subject text, state jsonb)),
              old AS (SELECT DISTINCT ON (kind, subject) kind, subject, state FROM gw.history
                       WHERE tenant_id = $1 ORDER BY kind, subject, seq DESC)
         INSERT INTO gw.history (tenant_id, kind, subject, at, state)
         SELECT $1, coalesce(new.kind, old.kind), coalesce(new.subject, old.subject), $3, new.state
           FROM new FULL JOIN old ON old.kind = new.kind AND old.subject = new.subject
          WHERE new.state IS DISTINCT FROM old.state",
        tenant.uuid(),
        states,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Since when something is remembered of the transaction's tenant.
pub(super) async fn remembered_since(tx: &mut TenantTx) -> Result<Option<OffsetDateTime>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(
        sqlx::query_scalar!("SELECT min(at) FROM gw.history WHERE tenant_id = $1", tenant)
            .fetch_one(tx.conn())
            .await?,
    )
}

/// A part of what was known of a tenant.
pub(super) struct Remembered {
    pub(super) kind: String,
    pub(super) state: Value,
}

/// All that there was at `at`.
pub(super) async fn remembered(tx: &mut TenantTx, at: OffsetDateTime) -> Result<Vec<Remembered>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_as!(
        Remembered,
        r#"SELECT kind, state AS "state!" FROM
             (SELECT DISTINCT ON (kind, subject) kind, state FROM gw.history
               WHERE tenant_id = $1 AND at <= $2 ORDER BY kind, subject, seq DESC) AS was
            WHERE state IS NOT NULL"#,
        tenant,
        at
    )
    .fetch_all(tx.conn())
    .await?)
}
