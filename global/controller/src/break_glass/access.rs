//! Every request under a break-glass stands in the tenant's audit, reading ones too, before it is answered.
use crate::{app::App, audit, gate::Who};
use axum::http::request::Parts;
use exarch_common_http::Problem;
use exarch_common_pg::TenantTx;

/// Characters of a path that are kept.
const PATH: usize = 200;

/// Writes down the request with this head, if `who` is in the tenant by break-glass.
///
/// # Errors
/// The database: what cannot be written down is not answered.
pub async fn accessed(app: &App, who: &Who, parts: &Parts) -> Result<(), Problem> {
    let Some((tenant, _)) = who.emergency() else {
        return Ok(());
    };
    let path: String = parts.uri.path().chars().take(PATH).collect();
    let route = format!("{} {path}", parts.method);
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    audit::record(&mut tx, &who.entry(app, tenant, "break_glass.access", ("route", route))).await?;
    Ok(tx.commit().await?)
}
