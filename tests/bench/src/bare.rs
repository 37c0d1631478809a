//! The baseline server. It reads the database's URL and the row's keys from standard input and says its port.
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};
use sqlx::{PgPool, Row, postgres::PgPoolOptions};
use std::io::{Write, stdin, stdout};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// As many as the gateway's pool has.
const CONNECTIONS: u32 = 16;

#[derive(Clone)]
struct App {
    pool: PgPool,
    tenant: Uuid,
    id: Uuid,
}

async fn read(State(app): State<App>) -> Result<Json<Value>, StatusCode> {
    let row = sqlx::query("SELECT id, name, version, created_at FROM gw.cluster WHERE tenant_id = $1 AND id = $2")
        .bind(app.tenant)
        .bind(app.id)
        .fetch_one(&app.pool)
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let at: OffsetDateTime = row.get("created_at");
    Ok(Json(json!({
        "id": row.get::<Uuid, _>("id"),
        "name": row.get::<String, _>("name"),
        "version": row.get::<i64, _>("version"),
        "created_at": at.format(&Rfc3339).unwrap_or_default(),
    })))
}

pub async fn serve() -> anyhow::Result<()> {
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    let input: Value = serde_json::from_str(&line)?;
    let text = |key: &str| input[key].as_str().unwrap_or_default();
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect(text("url"))
        .await?;
    let app = App {
        pool,
        tenant: text("tenant").parse()?,
        id: text("id").parse()?,
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(stdout(), "{}", listener.local_addr()?.port())?;
    let router = Router::new().route("/row", get(read)).with_state(app);
    tokio::spawn(async move { axum::serve(listener, router).await });
    // The parent's end is ours.
    tokio::task::spawn_blocking(move || stdin().read_line(&mut String::new())).await??;
    Ok(())
}
