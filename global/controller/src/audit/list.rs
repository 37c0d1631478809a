//! `GET /v1/audit` (the tenant in force), `GET /v1/provider-access` (what of it the provider did) and `GET /v1/federation-audit`
//! (the provider).
use super::store;
use crate::{
    app::App,
    gate::{Who, needs},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::page::{PageToken, split};
use exarch_common_http::{Api, Json, List, Page, PageQuery, Problem};
use exarch_common_pg::{SystemTx, TenantTx};
use exarch_common_wire::audit::{PROVIDER, Row};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(needs::<perm::audit::List>(), &["gc_audit"], routes!(of_tenant))
        .lists(
            needs::<perm::provider_access::Read>(),
            &["gc_audit"],
            routes!(provider_access),
        )
        .lists(
            needs::<perm::federation_audit::Read>(),
            &["gc_audit"],
            routes!(of_provider),
        )
}

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only this action, as `membership.grant`.
    action: Option<String>,
}

/// One thing that happened.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRow)]
struct RowOut {
    #[schema(value_type = String, pattern = "^aud_[0-9a-f]{32}$")]
    id: exarch_common_base::AuditId,
    /// Its number in the chain, without gaps.
    seq: u64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    actor: ActorOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<String>,
    /// As `membership.grant`.
    action: String,
    target: TargetOut,
    /// `ok`, `denied` or `failed`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^dec_[0-9a-f]{32}$")]
    decision_id: Option<exarch_common_base::DecisionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^req_[0-9a-f]{32}$")]
    request_id: Option<exarch_common_base::RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    break_glass_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
    /// SHA-256, hexadecimal, of the row before.
    prev_hash: String,
    /// SHA-256, hexadecimal, of this row.
    hash: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditActor)]
struct ActorOut {
    kind: String,
    id: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditTarget)]
struct TargetOut {
    kind: String,
    id: String,
}

impl From<Row> for RowOut {
    fn from(row: Row) -> Self {
        let hex = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let entry = row.entry;
        Self {
            id: entry.id,
            seq: row.seq,
            at: entry.at,
            actor: ActorOut {
                kind: entry.actor.kind,
                id: entry.actor.id,
            },
            on_behalf_of: entry.on_behalf_of,
            action: entry.action,
            target: TargetOut {
                kind: entry.target_kind,
                id: entry.target_id,
            },
            outcome: entry.outcome.as_str(),
            reason: entry.reason,
            before: entry.before,
            after: entry.after,
            decision_id: entry.decision,
            request_id: entry.request,
            address: entry.source.address,
            user_agent: entry.source.user_agent,
            break_glass_id: entry.break_glass,
            flags: entry.flags.iter().map(|flag| flag.as_str()).collect(),
            prev_hash: hex(row.prev_hash),
            hash: hex(row.hash),
        }
    }
}

/// What happened in the tenant in force, newest first.
#[utoipa::path(get, path = "/v1/audit", operation_id = "listAudit", tag = "audit", params(PageQuery, Filter),
    responses((status = 200, description = "Rows of the tenant's audit", body = Page<RowOut>)))]
async fn of_tenant(State(app): State<App>, who: Who, list: List<Filter>) -> Result<Json<Page<RowOut>>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::audit::List>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let rows = page(&mut tx, tenant.uuid(), &list).await?;
    tx.rollback().await?;
    Ok(Json(rows))
}

/// What the provider's people did to the tenant in force, and in it by emergency access, newest first. Every row is one of the
/// tenant's audit.
#[utoipa::path(get, path = "/v1/provider-access", operation_id = "listProviderAccess", tag = "provider-access",
    params(PageQuery), responses((status = 200, description = "Rows of the tenant's audit", body = Page<RowOut>)))]
async fn provider_access(State(app): State<App>, who: Who, list: List) -> Result<Json<Page<RowOut>>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::provider_access::Read>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let (before, limit) = (before(list.page.after), list.page.limit);
    let rows = store::provider_access(tx.conn(), tenant.uuid(), before, i64::from(limit) + 1).await?;
    tx.rollback().await?;
    Ok(Json(paged(rows, limit)))
}

/// What the provider's people and processes did, newest first.
#[utoipa::path(get, path = "/v1/federation-audit", operation_id = "listFederationAudit", tag = "audit",
    params(PageQuery, Filter),
    responses((status = 200, description = "Rows of the provider's audit", body = Page<RowOut>)))]
async fn of_provider(State(app): State<App>, who: Who, list: List<Filter>) -> Result<Json<Page<RowOut>>, Problem> {
    let _permit = who.check::<perm::federation_audit::Read>(&app, Target::System)?;
    let mut tx = SystemTx::begin(&app.app_pool, "federation-audit").await?;
    store::enter(tx.conn(), Some(PROVIDER)).await?;
    let rows = page(&mut tx, PROVIDER.uuid(), &list).await?;
    tx.rollback().await?;
    Ok(Json(rows))
}

async fn page(
    tx: &mut impl store::Recording,
    tenant: Uuid,
    list: &List<Filter>,
) -> Result<Page<RowOut>, exarch_common_pg::DbError> {
    let (before, limit) = (before(list.page.after), list.page.limit);
    let (conn, _) = tx.recording();
    let rows = store::page(
        conn,
        tenant,
        before,
        list.filter.action.as_deref(),
        i64::from(limit) + 1,
    )
    .await?;
    Ok(paged(rows, limit))
}

/// Below which number a page begins: a page's token is the number of its last row, in the form of an id.
fn before(after: Option<PageToken>) -> i64 {
    after.map_or(i64::MAX, |PageToken(at)| at.as_u128() as i64)
}

fn paged(rows: Vec<Row>, limit: u16) -> Page<RowOut> {
    let (rows, next) = split(rows, limit, |row| Uuid::from_u128(row.seq.into()));
    Page::new(rows.into_iter().map(RowOut::from).collect(), next)
}
