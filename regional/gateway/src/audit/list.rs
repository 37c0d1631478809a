//! `GET /v1/audit`: what happened in the tenant in force, newest first; `GET /v1/provider-access`: what of it the provider did.
use super::store;
use crate::{app::App, gate::UserCaller};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{
    AuditId, DecisionId, RequestId,
    page::{self, PageToken},
};
use exarch_common_http::{Json, List, Page, PageQuery, Paging, Problem};
use exarch_common_pg::TenantTx;
use exarch_common_wire::audit::{Flag, Outcome, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which rows.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditFilter {
    /// This action alone, such as `cluster.create`.
    pub(super) action: Option<String>,
    /// What was done to this thing alone.
    pub(super) target_id: Option<String>,
    /// What was done to things of this kind alone, such as `cluster`.
    pub(super) target_kind: Option<String>,
    /// What this one did alone.
    pub(super) actor_id: Option<String>,
    /// What ended like this alone: `ok`, `denied` or `failed`.
    #[param(value_type = Option<String>)]
    pub(super) outcome: Option<Outcome>,
    /// Not before this time (RFC 3339).
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) since: Option<OffsetDateTime>,
    /// Before this time (RFC 3339).
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) until: Option<OffsetDateTime>,
}

/// One row.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditRow {
    /// Counts up in the tenant without a gap.
    seq: u64,
    #[schema(value_type = String, pattern = "^aud_[0-9a-f]{32}$")]
    id: AuditId,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    actor: Who,
    on_behalf_of: Option<String>,
    action: String,
    target: Who,
    #[schema(value_type = String)]
    outcome: Outcome,
    reason: Option<String>,
    /// What was, as far as it changed and may be told.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What is since.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    #[schema(value_type = Option<String>, pattern = "^dec_[0-9a-f]{32}$")]
    decision_id: Option<DecisionId>,
    #[schema(value_type = Option<String>, pattern = "^req_[0-9a-f]{32}$")]
    request_id: Option<RequestId>,
    /// Network address.
    address: Option<String>,
    user_agent: Option<String>,
    break_glass_id: Option<String>,
    /// Circumstances: `continued`, `offline`, `fips`.
    flags: Vec<&'static str>,
    /// Hash of the row before, hexadecimal.
    prev_hash: String,
    /// Hash of this row over all its fields and `prev_hash`.
    hash: String,
}

/// A kind and an id.
#[derive(Debug, Serialize, ToSchema)]
struct Who {
    kind: String,
    id: String,
}

impl From<Row> for AuditRow {
    fn from(row: Row) -> Self {
        let Row { entry, seq, .. } = row;
        Self {
            seq,
            id: entry.id,
            at: entry.at,
            actor: Who {
                kind: entry.actor.kind,
                id: entry.actor.id,
            },
            on_behalf_of: entry.on_behalf_of,
            action: entry.action,
            target: Who {
                kind: entry.target_kind,
                id: entry.target_id,
            },
            outcome: entry.outcome,
            reason: entry.reason,
            before: entry.before,
            after: entry.after,
            decision_id: entry.decision,
            request_id: entry.request,
            address: entry.source.address,
            user_agent: entry.source.user_agent,
            break_glass_id: entry.break_glass,
            flags: entry.flags.into_iter().map(Flag::as_str).collect(),
            prev_hash: hex::encode(row.prev_hash),
            hash: hex::encode(row.hash),
        }
    }
}

/// List the tenant's audit log, newest first.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(PageQuery, AuditFilter),
    responses((status = 200, body = Page<AuditRow>)))]
pub(super) async fn list_audit(
    State(app): State<App>,
    caller: UserCaller,
    List { page, filter }: List<AuditFilter>,
) -> Result<Json<Page<AuditRow>>, Problem> {
    let permit = caller.check::<perm::audit::List>(Target::Tenant(caller.tenant_id()))?;
    let before = before(&page)?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let rows = store::page(&mut tx, &filter, before, i64::from(page.limit) + 1).await?;
    tx.commit().await?;
    Ok(paged(rows, &page))
}

/// List what the provider's people did in the tenant by emergency access, newest first.
#[utoipa::path(get, path = "/v1/provider-access", tag = "audit", params(PageQuery),
    responses((status = 200, body = Page<AuditRow>)))]
pub(super) async fn list_provider_access(
    State(app): State<App>,
    caller: UserCaller,
    List { page, .. }: List,
) -> Result<Json<Page<AuditRow>>, Problem> {
    let permit = caller.check::<perm::provider_access::Read>(Target::Tenant(caller.tenant_id()))?;
    let before = before(&page)?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let rows = store::provider_access(&mut tx, before, i64::from(page.limit) + 1).await?;
    tx.commit().await?;
    Ok(paged(rows, &page))
}

/// Below which number the page begins: a page's token is the number of its last row.
fn before(page: &Paging) -> Result<i64, Problem> {
    let before = page
        .after
        .map_or(Ok(i64::MAX), |token| i64::try_from(token.0.as_u128()));
    before.map_err(|_| {
        Problem::bad_request("malformed-query")
            .error("page_token", "use the next_page_token of the page before, unchanged")
    })
}

fn paged(rows: Vec<Row>, page: &Paging) -> Json<Page<AuditRow>> {
    let (rows, next): (_, Option<PageToken>) =
        page::split(rows, page.limit, |row| Uuid::from_u128(u128::from(row.seq)));
    Json(Page::new(rows, next).map(AuditRow::from))
}
