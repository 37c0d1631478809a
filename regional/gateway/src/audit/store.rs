//! Rows of `gw.audit` and `gw.audit_head`.
use super::list::AuditFilter;
use exarch_common_base::{AuditId, DecisionId, TenantId};
use exarch_common_pg::{DbError, TenantTx};
use exarch_common_wire::audit::{Actor, Entry, Flag, GENESIS, Head, Outcome, Row};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// The end of the chain of the tenant in force, locked until the transaction ends.
pub(super) async fn lock_head(tx: &mut TenantTx) -> Result<Head, DbError> {
    let tenant = tx.tenant().uuid();
    let locked = sqlx::query!(
        "SELECT seq, hash FROM gw.audit_head WHERE tenant_id = $1 FOR UPDATE",
        tenant
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(row) = locked {
        return head(row.seq, &row.hash);
    }
    // The tenant's first row here; of several at a time one makes the head and the others wait for it.
    let row = sqlx::query!(
        "INSERT INTO gw.audit_head AS head (tenant_id, seq, hash) VALUES ($1, 0, $2)
         ON CONFLICT (tenant_id) DO UPDATE SET seq = head.seq
         RETURNING seq, hash",
        tenant,
        GENESIS.as_slice(),
    )
    .fetch_one(tx.conn())
    .await?;
    head(row.seq, &row.hash)
}

/// Writes `entry` as the row `next` and moves the head from `head` to it.
pub(super) async fn append(tx: &mut TenantTx, entry: &Entry, head: &Head, next: &Head) -> Result<(), DbError> {
    let flags: Vec<String> = entry.flags.iter().map(|flag| flag.as_str().to_owned()).collect();
    let source = json!({ "address": entry.source.address, "user_agent": entry.source.user_agent });
    sqlx::query!(
        "WITH moved AS (UPDATE gw.audit_head SET seq = $2, hash = $21 WHERE tenant_id = $1)
         INSERT INTO gw.audit (tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id,
                               outcome, reason, before, after, decision_id, request_id, source, break_glass_id, flags,
                               prev_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
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
        entry.decision.map(DecisionId::uuid),
        entry.request.map(|id| id.to_string()),
        source,
        entry.break_glass,
        &flags,
        head.hash.as_slice(),
        next.hash.as_slice(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes `entries` as the rows after `head`, all of the tenant in force, by one statement.
pub(super) async fn append_all(tx: &mut TenantTx, entries: &[&Entry], head: Head) -> Result<(), DbError> {
    let (mut head, tenant) = (head, tx.tenant().uuid());
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let next = entry.chain(&head);
        rows.push(json!({
            "tenant_id": entry.tenant.uuid(),
            "seq": next.seq,
            "id": entry.id.uuid(),
            "at": entry.at.format(&Rfc3339).map_err(|error| damaged(error.to_string()))?,
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
            "decision_id": entry.decision.map(DecisionId::uuid),
            "request_id": entry.request.map(|id| id.to_string()),
            "source": { "address": entry.source.address, "user_agent": entry.source.user_agent },
            "break_glass_id": entry.break_glass,
            "flags": entry.flags.iter().map(|flag| flag.as_str()).collect::<Vec<_>>(),
            "prev_hash": format!("\\x{}", hex::encode(head.hash)),
            "hash": format!("\\x{}", hex::encode(next.hash)),
        }));
        head = next;
    }
    sqlx::query!(
        "WITH moved AS (UPDATE gw.audit_head SET seq = $2, hash = $3 WHERE tenant_id = $1)
         INSERT INTO gw.audit (tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id,
                               outcome, reason, before, after, decision_id, request_id, source, break_glass_id, flags,
                               prev_hash, hash)
         SELECT tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id,
                outcome, reason, before, after, decision_id, request_id, source, break_glass_id, flags, prev_hash, hash
           FROM jsonb_to_recordset($4) AS row
                (tenant_id uuid, seq bigint, id uuid, at timestamptz, actor_kind text, actor_id text, on_behalf_of text,
                 action text, target_kind text, target_id text, outcome text, reason text, before jsonb, after jsonb,
                 decision_id uuid, request_id text, source jsonb, break_glass_id text, flags text[], prev_hash bytea, hash bytea)",
        tenant,
        head.seq as i64,
        head.hash.as_slice(),
        Value::Array(rows),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// At most `limit` rows with a number below `before`, newest first.
pub(super) async fn page(
    tx: &mut TenantTx,
    filter: &AuditFilter,
    before: i64,
    limit: i64,
) -> Result<Vec<Row>, DbError> {
    let rows = sqlx::query_as!(
        Stored,
        r#"SELECT tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id, outcome,
                  reason, before, after, decision_id, request_id, source, break_glass_id, flags, prev_hash, hash
             FROM gw.audit
            WHERE seq < $1
              AND ($2::text IS NULL OR action = $2)
              AND ($3::text IS NULL OR target_id = $3)
              AND ($4::text IS NULL OR target_kind = $4)
              AND ($5::text IS NULL OR actor_id = $5)
              AND ($6::text IS NULL OR outcome = $6)
              AND ($7::timestamptz IS NULL OR at >= $7)
              AND ($8::timestamptz IS NULL OR at < $8)
            ORDER BY seq DESC LIMIT $9"#,
        before,
        filter.action,
        filter.target_id,
        filter.target_kind,
        filter.actor_id,
        filter.outcome.map(Outcome::as_str),
        filter.since,
        filter.until,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Stored::read).collect()
}

/// The same, of what was done by break-glass.
pub(super) async fn provider_access(tx: &mut TenantTx, before: i64, limit: i64) -> Result<Vec<Row>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Stored,
        r#"SELECT tenant_id, seq, id, at, actor_kind, actor_id, on_behalf_of, action, target_kind, target_id, outcome,
                  reason, before, after, decision_id, request_id, source, break_glass_id, flags, prev_hash, hash
             FROM gw.audit
            WHERE tenant_id = $1 AND seq < $2 AND break_glass_id IS NOT NULL ORDER BY seq DESC LIMIT $3"#,
        tenant,
        before,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Stored::read).collect()
}

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
    before: Option<Value>,
    after: Option<Value>,
    decision_id: Option<Uuid>,
    request_id: Option<String>,
    source: Option<Value>,
    break_glass_id: Option<String>,
    flags: Vec<String>,
    prev_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl Stored {
    fn read(self) -> Result<Row, DbError> {
        let seq = self.seq;
        let unreadable = |what: &str| damaged(format!("row {seq} of the audit has no readable {what}"));
        let request = self.request_id.map(|id| id.parse()).transpose();
        let source = self.source.map(serde_json::from_value).transpose();
        let flags = self.flags.iter().map(|word| Flag::parse(word)).collect::<Option<_>>();
        Ok(Row {
            seq: number(seq)?,
            prev_hash: hash(&self.prev_hash)?,
            hash: hash(&self.hash)?,
            entry: Entry {
                id: AuditId::from(self.id),
                tenant: TenantId::from(self.tenant_id),
                at: self.at,
                actor: Actor::new(self.actor_kind, self.actor_id),
                on_behalf_of: self.on_behalf_of,
                action: self.action,
                target_kind: self.target_kind,
                target_id: self.target_id,
                outcome: Outcome::parse(&self.outcome).ok_or_else(|| unreadable("outcome"))?,
                reason: self.reason,
                before: self.before,
                after: self.after,
                decision: self.decision_id.map(DecisionId::from),
                request: request.map_err(|_| unreadable("request id"))?,
                source: source.map_err(|_| unreadable("source"))?.unwrap_or_default(),
                break_glass: self.break_glass_id,
                flags: flags.ok_or_else(|| unreadable("flags"))?,
            },
        })
    }
}

fn head(seq: i64, stored: &[u8]) -> Result<Head, DbError> {
    Ok(Head {
        seq: number(seq)?,
        hash: hash(stored)?,
    })
}

fn number(seq: i64) -> Result<u64, DbError> {
    u64::try_from(seq).map_err(|_| damaged("a number of the audit is negative".to_owned()))
}

fn hash(stored: &[u8]) -> Result<[u8; 32], DbError> {
    stored
        .try_into()
        .map_err(|_| damaged("a hash of the audit has not 32 bytes".to_owned()))
}

fn damaged(what: String) -> DbError {
    sqlx::Error::Decode(what.into()).into()
}
