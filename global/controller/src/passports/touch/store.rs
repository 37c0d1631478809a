//! What sections are built from, and the rows into which they are built.
use super::{
    super::{
        CHANNEL,
        store::{entry, parts, unreadable, version},
    },
    Section,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_authz::Role;
use exarch_common_base::{KeyId, RegionId, SessionId, TenantId};
use exarch_common_pg::DbError;
use exarch_common_wire::{
    api_key::Verifier,
    passport::{self, Entry},
    user_token::Version,
};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::OffsetDateTime;

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
    let emergencies = sqlx::query!(
        r#"SELECT b.id, b.requester, b.mode, b.until_at AS "until_at!", u.display_name, u.state
             FROM gc.break_glass b JOIN gc.user u ON u.id = b.requester
            WHERE b.tenant_id = $1 AND b.state = 'approved' AND b.from_at <= $2 AND b.until_at > $2 AND u.state <> 'deleted'
            ORDER BY b.id"#,
        tenant.uuid(),
        now,
    )
    .fetch_all(&mut *conn)
    .await?;
    let custom_roles = sqlx::query_as!(
        passport::CustomRole,
        "SELECT name, scope, permissions FROM gc.role WHERE tenant_id = $1 AND ended_at IS NULL ORDER BY id",
        tenant.uuid(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let api_keys = api_keys(conn, tenant, region, now).await?;
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
            break_glass: None,
        });
    }
    for e in emergencies {
        let user = e.requester.into();
        if users.iter().all(|known| known.id != user) {
            users.push(passport::User {
                id: user,
                display_name: e.display_name,
                state: e.state,
            });
        }
        let role = if e.mode == "write" { Role::BgWrite } else { Role::BgRead };
        memberships.push(passport::Membership {
            id: None,
            user,
            roles: vec![role.slug().to_owned()],
            until: Some(e.until_at.unix_timestamp()),
            break_glass: Some(e.id.into()),
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
        api_keys,
    }))
}

/// The tenant's keys that are good in the region, of those whose owners' memberships reach it.
async fn api_keys(
    conn: &mut PgConnection,
    tenant: TenantId,
    region: RegionId,
    now: OffsetDateTime,
) -> Result<Vec<passport::ApiKey>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT k.id, k.region_id IS NOT NULL AS "regional!", k.membership_id, k.role, k.cidrs, k.expires_at, k.verifier,
                  k.previous, k.previous_until
             FROM gc.api_key k JOIN gc.membership m ON m.tenant_id = k.tenant_id AND m.id = k.membership_id
            WHERE k.tenant_id = $1 AND (k.region_id = $2 OR k.region_id IS NULL)
              AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $3)
              AND m.ended_at IS NULL AND (m.until_at IS NULL OR m.until_at > $3)
              AND (m.regions IS NULL OR $2 = ANY (m.regions))
            ORDER BY k.id"#,
        tenant.uuid(),
        region.uuid(),
        now,
    )
    .fetch_all(conn)
    .await?;
    let verifier = |bytes: Vec<u8>| {
        bytes
            .as_slice()
            .try_into()
            .map(Verifier)
            .map_err(|e| unreadable(Box::new(e)))
    };
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let mut key = passport::ApiKey {
            id: row.id.into(),
            membership: row.membership_id.into(),
            role: row.role,
            cidrs: Vec::new(),
            until: row.expires_at.map(OffsetDateTime::unix_timestamp),
            secrets: Vec::new(),
        };
        // What is judged at the global is nothing that a region need know.
        if row.regional {
            key.cidrs = row.cidrs;
            key.secrets.push(passport::KeySecret {
                verifier: verifier(row.verifier)?,
                until: None,
            });
            if let Some((previous, until)) = row.previous.zip(row.previous_until).filter(|(_, until)| now < *until) {
                key.secrets.push(passport::KeySecret {
                    verifier: verifier(previous)?,
                    until: Some(until.unix_timestamp()),
                });
            }
        }
        keys.push(key);
    }
    Ok(keys)
}

/// When the next break-glass of a tenant begins that was approved for later.
pub(super) async fn next_break_glass(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: OffsetDateTime,
) -> Result<Option<OffsetDateTime>, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT min(from_at) FROM gc.break_glass WHERE tenant_id = $1 AND state = 'approved' AND from_at > $2",
        tenant.uuid(),
        now
    )
    .fetch_one(conn)
    .await?)
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
    sqlx::query!("SELECT pg_notify($1, '')", CHANNEL)
        .fetch_one(conn)
        .await?;
    Ok(())
}
