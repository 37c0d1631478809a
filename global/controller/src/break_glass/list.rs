//! `GET /v1/break-glass` and `GET /v1/break-glass/{id}`: for the provider's people.
use super::{BreakGlassOut, not_found, people, store};
use crate::{
    app::App,
    gate::{Who, needs},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{BreakGlassId, page::split};
use exarch_common_http::{Api, Json, List, Page, PageQuery, Path, Problem};
use exarch_common_pg::SystemTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        needs::<perm::break_glass::List>(),
        &["gc_break_glass", "gc_user"],
        routes!(list),
    )
    .route(needs::<perm::break_glass::List>(), routes!(read))
}

/// Who asked for emergency access to which tenant, and what became of it, newest first.
#[utoipa::path(get, path = "/v1/break-glass", operation_id = "listBreakGlass", tag = "break-glass", params(PageQuery),
    responses((status = 200, description = "Requests", body = Page<BreakGlassOut>)))]
async fn list(State(app): State<App>, who: Who, list: List) -> Result<Json<Page<BreakGlassOut>>, Problem> {
    let _permit = who.check::<perm::break_glass::List>(&app, Target::System)?;
    let after = list.page.after.map(|token| token.0);
    let rows = store::page(&app.sweep_pool, after, i64::from(list.page.limit) + 1).await?;
    let (rows, next) = split(rows, list.page.limit, |row| row.id.uuid());
    let mut tx = SystemTx::begin(&app.app_pool, "list-break-glass").await?;
    let people = people(&app, tx.conn(), &rows).await?;
    tx.rollback().await?;
    let now = app.ambient.now();
    let items = rows.into_iter().map(|row| row.out(&people, now)).collect();
    Ok(Json(Page::new(items, next)))
}

/// One request for emergency access.
#[utoipa::path(get, path = "/v1/break-glass/{id}", operation_id = "readBreakGlass", tag = "break-glass",
    params(("id" = String, Path, pattern = "^bgl_[0-9a-f]{32}$", description = "Id of the request")),
    responses((status = 200, description = "The request", body = BreakGlassOut)))]
async fn read(State(app): State<App>, who: Who, Path(id): Path<BreakGlassId>) -> Result<Json<BreakGlassOut>, Problem> {
    let _permit = who.check::<perm::break_glass::List>(&app, Target::System)?;
    let found = store::find(&app.sweep_pool, id).await?.ok_or_else(not_found)?;
    let mut tx = SystemTx::begin(&app.app_pool, "read-break-glass").await?;
    let people = people(&app, tx.conn(), std::slice::from_ref(&found)).await?;
    tx.rollback().await?;
    Ok(Json(found.out(&people, app.ambient.now())))
}
