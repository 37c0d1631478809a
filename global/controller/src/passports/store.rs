//! The room's rows: passports and their sections, and what sections are built from.
use super::touch::Section;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{KeyId, RegionId, SessionId, TenantId};
use exarch_common_pg::DbError;
use exarch_common_wire::{
    passport::{self, Entry},
    user_token::Version,
};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// A passport's present version, its row locked.
pub(super) struct Head {
    pub region: RegionId,
    pub version: Version,
}

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

fn version(generation: i64, version: i64) -> Version {
    Version(generation.cast_unsigned(), version.cast_unsigned())
}

fn parts(version: Version) -> (i64, i64) {
    (version.0.cast_signed(), version.1.cast_signed())
}

fn uuids(regions: &[RegionId]) -> Vec<Uuid> {
    regions.iter().map(|r| r.uuid()).collect()
}

pub(super) async fn insert_passport(
    conn: &mut PgConnection,
    region: RegionId,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.passport (region_id, changed_at) VALUES ($1, $2)",
        region.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
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

pub(super) async fn all_regions(conn: &mut PgConnection) -> Result<Vec<RegionId>, DbError> {
    let ids = sqlx::query_scalar!("SELECT id FROM gc.region WHERE lifecycle <> 'removed'")
        .fetch_all(conn)
        .await?;
    Ok(ids.into_iter().map(RegionId::from).collect())
}

/// Where a tenant's section is, or should be.
pub(super) async fn regions_of_tenant(
    conn: &mut PgConnection,
    tenant: TenantId,
    section: &str,
    now: OffsetDateTime,
) -> Result<Vec<RegionId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM gc.region
          WHERE lifecycle <> 'removed'
            AND (id IN (SELECT region_id FROM gc.entitlement
                         WHERE tenant_id = $1 AND ended_at IS NULL AND (until_at IS NULL OR until_at > $3))
              OR id IN (SELECT region_id FROM gc.passport_section WHERE id = $2 AND contents IS NOT NULL))",
        tenant.uuid(),
        section,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RegionId::from).collect())
}

/// What a region must know of a tenant at `now`; nothing where the tenant is not entitled to it, or is no more. Runs in a
/// transaction of the tenant.
pub(super) async fn tenant_contents(
    conn: &mut PgConnection,
    tenant: TenantId,
    region: RegionId,
    now: OffsetDateTime,
) -> Result<Option<passport::Tenant>, DbError> {
    let found = sqlx::query!(
        "SELECT t.slug, t.name, t.state, e.id, e.from_at, e.until_at, e.clusters, e.hosts, e.leases
           FROM gc.tenant t JOIN gc.entitlement e ON e.tenant_id = t.id
          WHERE t.id = $1 AND t.state <> 'deleted' AND e.tenant_id = $1 AND e.region_id = $2 AND e.ended_at IS NULL
            AND (e.until_at IS NULL OR e.until_at > $3)",
        tenant.uuid(),
        region.uuid(),
        now,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let members = sqlx::query!(
        "SELECT m.id, m.user_id, m.roles, m.until_at, u.display_name, u.state
           FROM gc.membership m JOIN gc.user u ON u.id = m.user_id
          WHERE m.tenant_id = $1 AND m.ended_at IS NULL AND (m.until_at IS NULL OR m.until_at > $3)
            AND (m.regions IS NULL OR $2 = ANY (m.regions)) AND u.state <> 'deleted'
          ORDER BY m.user_id",
        tenant.uuid(),
        region.uuid(),
        now,
    )
    .fetch_all(&mut *conn)
    .await?;
    let custom_roles = sqlx::query_as!(
        passport::CustomRole,
        "SELECT name, scope, permissions FROM gc.role WHERE tenant_id = $1 AND ended_at IS NULL ORDER BY id",
        tenant.uuid(),
    )
    .fetch_all(conn)
    .await?;
    let count = |n: Option<i32>| n.map(i32::cast_unsigned);
    let seconds = |t: Option<OffsetDateTime>| t.map(OffsetDateTime::unix_timestamp);
    let (mut users, mut memberships) = (Vec::new(), Vec::new());
    for m in members {
        users.push(passport::User {
            id: m.user_id.into(),
            display_name: m.display_name,
            state: m.state,
        });
        memberships.push(passport::Membership {
            id: Some(m.id.into()),
            user: m.user_id.into(),
            roles: m.roles,
            until: seconds(m.until_at),
        });
    }
    Ok(Some(passport::Tenant {
        id: tenant,
        slug: found.slug.parse().map_err(|e| unreadable(Box::new(e)))?,
        name: found.name,
        state: found.state,
        entitlement: passport::Entitlement {
            id: found.id.into(),
            from: found.from_at.unix_timestamp(),
            until: seconds(found.until_at),
            clusters: count(found.clusters),
            hosts: count(found.hosts),
            leases: count(found.leases),
        },
        users,
        memberships,
        custom_roles,
    }))
}

fn unreadable(source: Box<dyn std::error::Error + Send + Sync>) -> DbError {
    DbError::Other(sqlx::Error::Decode(source))
}

/// The keys that verify users' tokens, those that do not sign yet among them, and when the first of them ends.
pub(super) async fn user_keys(
    conn: &mut PgConnection,
    issuer: String,
    now: OffsetDateTime,
) -> Result<(passport::Keys, Option<OffsetDateTime>), DbError> {
    let rows = sqlx::query!(
        r#"SELECT id, public AS "public!", retired_at FROM gc.sealed_key
            WHERE purpose = 'user-signing' AND (retired_at IS NULL OR retired_at > $1) ORDER BY id"#,
        now
    )
    .fetch_all(conn)
    .await?;
    let end = rows.iter().filter_map(|r| r.retired_at).min();
    let keys = rows.into_iter().map(|r| passport::UserKey {
        kid: KeyId::from(r.id).to_string(),
        public: B64.encode(r.public),
    });
    Ok((
        passport::Keys {
            issuer,
            keys: keys.collect(),
        },
        end,
    ))
}

/// Sessions that were ended before their time, while somebody could still hold a token of them.
pub(super) async fn revocations(
    conn: &mut PgConnection,
    now: OffsetDateTime,
) -> Result<passport::Revocations, DbError> {
    let rows = sqlx::query!(
        "SELECT id, expires_at FROM gc.session WHERE ended_at IS NOT NULL AND expires_at > $1",
        now
    )
    .fetch_all(conn)
    .await?;
    let sessions: BTreeMap<SessionId, i64> = rows
        .into_iter()
        .map(|r| (r.id.into(), r.expires_at.unix_timestamp()))
        .collect();
    Ok(passport::Revocations { sessions })
}

/// SHA-256 of a section's contents as stored, none where there is none or is no more, and when it is to be looked at again.
pub(super) async fn section_stored(
    conn: &mut PgConnection,
    region: RegionId,
    id: &str,
) -> Result<(Option<Vec<u8>>, Option<OffsetDateTime>), DbError> {
    let found = sqlx::query!(
        "SELECT sha256, ends_at FROM gc.passport_section WHERE region_id = $1 AND id = $2",
        region.uuid(),
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map_or((None, None), |found| (found.sha256, found.ends_at)))
}

/// When a section that stays as it is is to be looked at again.
pub(super) async fn set_end(
    conn: &mut PgConnection,
    region: RegionId,
    id: &str,
    ends_at: Option<OffsetDateTime>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.passport_section SET ends_at = $3 WHERE region_id = $1 AND id = $2",
        region.uuid(),
        id,
        ends_at
    )
    .execute(conn)
    .await?;
    Ok(())
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

pub(super) async fn put_section(
    conn: &mut PgConnection,
    region: RegionId,
    at: Version,
    section: &Section,
    digest: Option<[u8; 32]>,
) -> Result<(), DbError> {
    let (generation, number) = parts(at);
    sqlx::query!(
        "INSERT INTO gc.passport_section (region_id, id, generation, version, sha256, contents, ends_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (region_id, id) DO UPDATE SET generation = excluded.generation, version = excluded.version,
           sha256 = excluded.sha256, contents = excluded.contents, ends_at = excluded.ends_at",
        region.uuid(),
        section.id,
        generation,
        number,
        digest.as_ref().map(<[u8; 32]>::as_slice),
        section.contents,
        section.ends_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn entries(conn: &mut PgConnection, region: RegionId) -> Result<Vec<Entry>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT id, generation, version, sha256 AS "sha256!", critical
             FROM gc.passport_section WHERE region_id = $1 AND sha256 IS NOT NULL"#,
        region.uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|r| entry(r.id, version(r.generation, r.version), &r.sha256, r.critical))
        .collect()
}

fn entry(id: String, version: Version, sha256: &[u8], critical: bool) -> Result<Entry, DbError> {
    Ok(Entry {
        id,
        version,
        sha256: sha256.try_into().map_err(|e| unreadable(Box::new(e)))?,
        critical,
    })
}

pub(super) async fn set_manifest(
    conn: &mut PgConnection,
    region: RegionId,
    at: Version,
    manifest: &[u8],
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let (generation, number) = parts(at);
    sqlx::query!(
        "UPDATE gc.passport SET generation = $2, version = $3, manifest = $4, changed_at = $5 WHERE region_id = $1",
        region.uuid(),
        generation,
        number,
        manifest,
        now,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("SELECT pg_notify($1, '')", super::CHANNEL)
        .fetch_one(conn)
        .await?;
    Ok(())
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
