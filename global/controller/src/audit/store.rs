use exarch_common_base::TenantId;
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use exarch_common_wire::audit::{Actor, Entry, Flag, Head, Outcome, Row, Source};
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// A transaction in which something is recorded.
pub trait Recording {
    #[doc(hidden)]
    fn recording(&mut self) -> (&mut PgConnection, Option<TenantId>);
}

impl Recording for TenantTx {
    fn recording(&mut self) -> (&mut PgConnection, Option<TenantId>) {
        let tenant = self.tenant();
        (self.conn(), Some(tenant))
    }
}

impl Recording for SystemTx {
    fn recording(&mut self) -> (&mut PgConnection, Option<TenantId>) {
        (self.conn(), None)
    }
}

/// Puts another tenant in force on a connection, or none.
pub async fn enter(conn: &mut PgConnection, tenant: Option<TenantId>) -> Result<(), DbError> {
    sqlx::query!(
        "SELECT gc.enter($1, $2, '{}', gc.actor()) AS \"entered!: ()\"",
        tenant.map(|t| t.uuid()),
        tenant.is_some()
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// The head of the tenant's chain; nobody else adds to it until the end of the transaction.
pub async fn lock_head(conn: &mut PgConnection, tenant: Uuid) -> Result<Head, DbError> {
    let row = sqlx::query!(
        "INSERT INTO gc.audit_head (tenant_id, seq, hash) VALUES ($1, 0, decode(repeat('00', 32), 'hex'))
         ON CONFLICT (tenant_id) DO UPDATE SET seq = audit_head.seq RETURNING seq, hash",
        tenant
    )
    .fetch_one(conn)
    .await?;
    Ok(Head {
        seq: row.seq as u64,
        hash: hash_of(&row.hash),
    })
}

fn hash_of(bytes: &[u8]) -> [u8; 32] {
    // the table checks the length; a chain with another hash would not walk
    bytes.try_into().unwrap_or_default()
}

pub async fn append(conn: &mut PgConnection, entry: &Entry, prev: &Head, next: &Head) -> Result<(), DbError> {
    let flags: Vec<String> = entry.flags.iter().map(|flag| flag.as_str().to_owned()).collect();
    sqlx::query!(
        "WITH head AS (UPDATE gc.audit_head SET seq = $2, hash = $21 WHERE tenant_id = $1)
         INSERT INTO gc.audit (tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id,
                               outcome, reason, before, after, decision_id, request_id, address, user_agent,
                               break_glass_id, flags, prev_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $22, $21)",
        entry.tenant.uuid(),
        next.seq as i64,
        entry.id.uuid(),
        entry.at,
        entry.actor.kind,
        entry.actor.id,
        entry.on_behalf_of,
        entry.action,
        entry.target_kind,
        entry.target_id,
        entry.outcome.as_str(),
        entry.reason,
        entry.before,
        entry.after,
        entry.decision.map(|id| id.to_string()),
        entry.request.map(|id| id.to_string()),
        entry.source.address,
        entry.source.user_agent,
        entry.break_glass,
        &flags,
        &next.hash[..],
        &prev.hash[..]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes `entries` as the rows after `head`, all of the tenant in force, by one statement; there is at least one.
pub async fn append_all(conn: &mut PgConnection, entries: &[&Entry], head: Head) -> Result<(), DbError> {
    let (mut head, mut rows) = (head, Vec::with_capacity(entries.len()));
    let hex = |hash: [u8; 32]| {
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\\x{digits}")
    };
    for entry in entries {
        let next = entry.chain(&head);
        let at = entry
            .at
            .format(&Rfc3339)
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        rows.push(json!({
            "tenant_id": entry.tenant.uuid(),
            "seq": next.seq,
            "id": entry.id.uuid(),
            "at": at,
            "actor_kind": entry.actor.kind,
            "actor_id": entry.actor.id,
            "on_behalf_of": entry.on_behalf_of,
            "action": entry.action,
            "target_kind": entry.target_kind,
            "target_id": entry.target_id,
            "outcome": entry.outcome.as_str(),
            "reason": entry.reason,
            "before": entry.before,
            "after": entry.after,
            "decision_id": entry.decision,
            "request_id": entry.request,
            "address": entry.source.address,
            "user_agent": entry.source.user_agent,
            "break_glass_id": entry.break_glass,
            "flags": entry.flags.iter().map(|flag| flag.as_str()).collect::<Vec<_>>(),
            "prev_hash": hex(head.hash),
            "hash": hex(next.hash),
        }));
        head = next;
    }
    sqlx::query!(
        "WITH moved AS (UPDATE gc.audit_head SET seq = $1, hash = $2 WHERE tenant_id = (SELECT gc.tenant_id()))
         INSERT INTO gc.audit (tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id,
                               outcome, reason, before, after, decision_id, request_id, address, user_agent,
                               break_glass_id, flags, prev_hash, hash)
         SELECT tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id, outcome, reason,
                before, after, decision_id, request_id, address, user_agent, break_glass_id, flags, prev_hash, hash
           FROM jsonb_to_recordset($3) AS row
                (tenant_id uuid, seq bigint, id uuid, at timestamptz, actor_kind text, actor_id text, on_behalf_of text,
                 action text, target_kind text, target_id text, outcome text, reason text, before jsonb, after jsonb,
                 decision_id text, request_id text, address text, user_agent text, break_glass_id text, flags text[],
                 prev_hash bytea, hash bytea)",
        head.seq as i64,
        &head.hash[..],
        Value::Array(rows),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A row as stored.
struct Stored {
    tenant_id: Uuid,
    seq: i64,
    id: Uuid,
    at: OffsetDateTime,
    actor_kind: String,
    actor_id: String,
    on_behalf_of: Option<String>,
    action: String,
    target_kind: String,
    target_id: String,
    outcome: String,
    reason: Option<String>,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
    decision_id: Option<String>,
    request_id: Option<String>,
    address: Option<String>,
    user_agent: Option<String>,
    break_glass_id: Option<String>,
    flags: Vec<String>,
    prev_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl From<Stored> for Row {
    fn from(row: Stored) -> Self {
        Self {
            entry: Entry {
                id: row.id.into(),
                tenant: row.tenant_id.into(),
                at: row.at,
                actor: Actor {
                    kind: row.actor_kind,
                    id: row.actor_id,
                },
                on_behalf_of: row.on_behalf_of,
                action: row.action,
                target_kind: row.target_kind,
                target_id: row.target_id,
                // the table checks the words
                outcome: Outcome::parse(&row.outcome).unwrap_or(Outcome::Failed),
                reason: row.reason,
                before: row.before,
                after: row.after,
                decision: row.decision_id.and_then(|id| id.parse().ok()),
                request: row.request_id.and_then(|id| id.parse().ok()),
                source: Source {
                    address: row.address,
                    user_agent: row.user_agent,
                },
                break_glass: row.break_glass_id,
                flags: row.flags.iter().filter_map(|flag| Flag::parse(flag)).collect(),
            },
            seq: row.seq as u64,
            prev_hash: hash_of(&row.prev_hash),
            hash: hash_of(&row.hash),
        }
    }
}

/// Rows of the tenant in force with a number below `before`, newest first.
pub async fn page(
    conn: &mut PgConnection,
    tenant: Uuid,
    before: i64,
    action: Option<&str>,
    limit: i64,
) -> Result<Vec<Row>, DbError> {
    let rows = sqlx::query_as!(
        Stored,
        "SELECT tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id, outcome, reason,
                before, after, decision_id, request_id, address, user_agent, break_glass_id, flags, prev_hash, hash
           FROM gc.audit WHERE tenant_id = $1 AND seq < $2 AND ($3::text IS NULL OR action = $3)
          ORDER BY seq DESC LIMIT $4",
        tenant,
        before,
        action,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

/// The same, of what the provider did.
pub async fn provider_access(
    conn: &mut PgConnection,
    tenant: Uuid,
    before: i64,
    limit: i64,
) -> Result<Vec<Row>, DbError> {
    let rows = sqlx::query_as!(
        Stored,
        "SELECT tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id, outcome, reason,
                before, after, decision_id, request_id, address, user_agent, break_glass_id, flags, prev_hash, hash
           FROM gc.audit WHERE tenant_id = $1 AND seq < $2 AND (break_glass_id IS NOT NULL OR 'provider' = ANY (flags))
          ORDER BY seq DESC LIMIT $3",
        tenant,
        before,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Row::from).collect())
}
