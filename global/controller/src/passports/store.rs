//! The room's rows as they are delivered, acknowledged and brought to their end; how they are built is in `touch`.
use exarch_common_base::RegionId;
use exarch_common_pg::DbError;
use exarch_common_wire::{passport::Entry, user_token::Version};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// How far a region has come.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Which.
    pub region: RegionId,
    /// The present version here.
    pub version: Version,
    /// What all its live replicas have applied.
    pub acknowledged: Option<Version>,
    /// The moment of the statement that it last acknowledged.
    pub as_of: Option<OffsetDateTime>,
}

pub(super) fn version(generation: i64, version: i64) -> Version {
    Version(generation.cast_unsigned(), version.cast_unsigned())
}

pub(super) fn parts(version: Version) -> (i64, i64) {
    (version.0.cast_signed(), version.1.cast_signed())
}

pub(super) fn uuids(regions: &[RegionId]) -> Vec<Uuid> {
    regions.iter().map(|r| r.uuid()).collect()
}

/// A passport's present version, its row locked.
pub(super) struct Head {
    pub region: RegionId,
    pub version: Version,
}

/// Locks passports in the order of their ids, as everybody does who locks several.
pub(super) async fn lock(conn: &mut PgConnection, regions: &[RegionId]) -> Result<Vec<Head>, DbError> {
    let rows = sqlx::query!(
        "SELECT region_id, generation, version FROM gc.passport WHERE region_id = ANY ($1) ORDER BY region_id FOR UPDATE",
        &uuids(regions),
    )
    .fetch_all(conn)
    .await?;
    let heads = rows.into_iter().map(|r| Head {
        region: r.region_id.into(),
        version: version(r.generation, r.version),
    });
    Ok(heads.collect())
}

/// How many tenants have a section.
pub(super) async fn tenants_of(conn: &mut PgConnection, region: RegionId) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "many!" FROM gc.passport_section
            WHERE region_id = $1 AND starts_with(id, 'tenant/') AND contents IS NOT NULL"#,
        region.uuid()
    )
    .fetch_one(conn)
    .await?)
}

pub(super) fn unreadable(source: Box<dyn std::error::Error + Send + Sync>) -> DbError {
    DbError::Other(sqlx::Error::Decode(source))
}

pub(super) async fn section_version(
    conn: &mut PgConnection,
    region: RegionId,
    id: &str,
) -> Result<Option<Version>, DbError> {
    let found = sqlx::query!(
        "SELECT generation, version FROM gc.passport_section
          WHERE region_id = $1 AND id = $2 AND contents IS NOT NULL",
        region.uuid(),
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|r| version(r.generation, r.version)))
}

pub(super) fn entry(id: String, version: Version, sha256: &[u8], critical: bool) -> Result<Entry, DbError> {
    Ok(Entry {
        id,
        version,
        sha256: sha256.try_into().map_err(|e| unreadable(Box::new(e)))?,
        critical,
    })
}

/// What changed after a version.
#[derive(Default)]
pub(super) struct Delta {
    pub version: Version,
    pub manifest: Vec<u8>,
    pub entries: Vec<Entry>,
    pub gone: Vec<String>,
    pub contents: Vec<(String, Vec<u8>)>,
}

/// One statement, so that manifest and sections are of one moment. Contents come along, oldest change first, up to `most`
/// bytes.
pub(super) async fn delta(
    conn: &mut PgConnection,
    region: RegionId,
    have: Option<Version>,
    most: usize,
) -> Result<Option<Delta>, DbError> {
    let (generation, number) = parts(have.unwrap_or_default());
    let rows = sqlx::query!(
        r#"SELECT p.generation, p.version, p.manifest, s.id AS "id?", s.generation AS "section_generation?",
                  s.version AS "section_version?", s.sha256, s.critical AS "critical?",
                  CASE WHEN sum(octet_length(s.contents)) OVER (ORDER BY s.generation, s.version, s.id) <= $4
                       THEN s.contents END AS contents
             FROM gc.passport p
             LEFT JOIN gc.passport_section s
               ON s.region_id = p.region_id AND (s.generation, s.version) > ($2, $3)
            WHERE p.region_id = $1"#,
        region.uuid(),
        generation,
        number,
        most as i64,
    )
    .fetch_all(conn)
    .await?;
    let mut delta = match rows.first() {
        Some(first) => Delta {
            version: version(first.generation, first.version),
            manifest: first.manifest.clone(),
            ..Delta::default()
        },
        None => return Ok(None),
    };
    for r in rows {
        let (Some(id), Some(generation), Some(number)) = (r.id, r.section_generation, r.section_version) else {
            continue;
        };
        let Some(sha256) = r.sha256 else {
            // A region that starts with nothing need not hear of what is gone.
            if have.is_some() {
                delta.gone.push(id);
            }
            continue;
        };
        if let Some(contents) = r.contents {
            delta.contents.push((id.clone(), contents));
        }
        delta.entries.push(entry(
            id,
            version(generation, number),
            &sha256,
            r.critical.unwrap_or(true),
        )?);
    }
    Ok(Some(delta))
}

/// A part of a section's contents.
pub(super) async fn range(
    conn: &mut PgConnection,
    region: RegionId,
    id: &str,
    offset: u32,
    length: u32,
) -> Result<Option<Vec<u8>>, DbError> {
    // Postgres counts from one.
    let (from, length) = (
        i32::try_from(offset).unwrap_or(i32::MAX - 1) + 1,
        i32::try_from(length).unwrap_or(i32::MAX),
    );
    let found = sqlx::query_scalar!(
        "SELECT substring(contents FROM $3 FOR $4) FROM gc.passport_section
          WHERE region_id = $1 AND id = $2 AND contents IS NOT NULL",
        region.uuid(),
        id,
        from,
        length,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.flatten())
}

pub(super) async fn standings(conn: &mut PgConnection, regions: &[RegionId]) -> Result<Vec<Standing>, DbError> {
    let rows = sqlx::query!(
        "SELECT region_id, generation, version, acknowledged_generation, acknowledged_version, acknowledged_as_of
           FROM gc.passport WHERE region_id = ANY ($1)",
        &uuids(regions),
    )
    .fetch_all(conn)
    .await?;
    let standings = rows.into_iter().map(|r| Standing {
        region: r.region_id.into(),
        version: version(r.generation, r.version),
        acknowledged: r
            .acknowledged_generation
            .zip(r.acknowledged_version)
            .map(|(g, v)| version(g, v)),
        as_of: r.acknowledged_as_of,
    });
    Ok(standings.collect())
}

/// What an acknowledgement came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// The region's first.
    First,
    /// One more.
    Again,
    /// That nothing was applied so far; nothing was written.
    Nothing,
    /// Of a version that was never made; nothing was written.
    Never,
}

/// Writes an acknowledgement down. What is written never falls: it is the ground of what is promised about revocations.
pub(super) async fn acknowledge(
    conn: &mut PgConnection,
    region: RegionId,
    applied: Version,
    as_of: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Acknowledged, DbError> {
    let row = sqlx::query!(
        "SELECT generation, version, acknowledged_generation, acknowledged_version
           FROM gc.passport WHERE region_id = $1 FOR UPDATE",
        region.uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row.filter(|r| applied <= version(r.generation, r.version)) else {
        return Ok(Acknowledged::Never);
    };
    // A region that has applied nothing yet can still say what it refused.
    if applied == Version::default() {
        return Ok(Acknowledged::Nothing);
    }
    let before = row
        .acknowledged_generation
        .zip(row.acknowledged_version)
        .map(|(g, v)| version(g, v));
    let (generation, number) = parts(before.map_or(applied, |b| b.max(applied)));
    sqlx::query!(
        "UPDATE gc.passport SET acknowledged_generation = $2, acknowledged_version = $3,
                acknowledged_as_of = greatest(acknowledged_as_of, $4), acknowledged_at = $5
          WHERE region_id = $1",
        region.uuid(),
        generation,
        number,
        as_of,
        now,
    )
    .execute(conn)
    .await?;
    Ok(if before.is_none() {
        Acknowledged::First
    } else {
        Acknowledged::Again
    })
}

pub(super) async fn refused(
    conn: &mut PgConnection,
    region: RegionId,
    at: Version,
    reason: &str,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let (generation, number) = parts(at);
    sqlx::query!(
        "UPDATE gc.passport SET refused_generation = $2, refused_version = $3, refused_reason = $4, refused_at = $5
          WHERE region_id = $1",
        region.uuid(),
        generation,
        number,
        reason,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sections whose time has come.
pub(super) async fn ended(conn: &mut PgConnection, now: OffsetDateTime) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT s.id FROM gc.passport_section s JOIN gc.region r ON r.id = s.region_id
          WHERE s.ends_at <= $1 AND s.contents IS NOT NULL AND r.lifecycle <> 'removed'",
        now
    )
    .fetch_all(conn)
    .await?)
}

/// Lets the sections of these ids be looked at again, in every region.
pub(super) async fn end_sections(conn: &mut PgConnection, ids: &[String], now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.passport_section SET ends_at = $2 WHERE id = ANY($1)",
        ids,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
