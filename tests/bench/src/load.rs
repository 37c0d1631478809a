//! Load over kept connections: one request after another on each, answers read whole and checked to be 200.
use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    io::{Write, stdin, stdout},
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};

async fn one(authority: String, path: String, bearer: String, until: Instant) -> anyhow::Result<Vec<u64>> {
    let tcp = TcpStream::connect(&authority).await.context("load: connect")?;
    tcp.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
    tokio::spawn(connection);
    let mut micros = Vec::new();
    while Instant::now() < until {
        let mut request = Request::get(&path).header(header::HOST, &authority);
        if !bearer.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let start = Instant::now();
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == 200, "load: {status}: {}", String::from_utf8_lossy(&body));
        micros.push(start.elapsed().as_micros() as u64);
    }
    Ok(micros)
}

pub async fn run() -> anyhow::Result<()> {
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    let input: Value = serde_json::from_str(&line)?;
    let text = |key: &str| input[key].as_str().unwrap_or_default().to_owned();
    let seconds = input["seconds"].as_u64().unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(seconds);
    let workers: Vec<_> = (0..input["connections"].as_u64().unwrap_or(1))
        .map(|_| tokio::spawn(one(text("authority"), text("path"), text("bearer"), until)))
        .collect();
    let mut micros = Vec::new();
    for worker in workers {
        micros.extend(worker.await??);
    }
    micros.sort_unstable();
    let at = |share: f64| micros.get(((micros.len() as f64 * share) as usize).min(micros.len().saturating_sub(1)));
    let answer = json!({
        "per_second": micros.len() as f64 / seconds as f64,
        "p50_us": at(0.5),
        "p99_us": at(0.99),
    });
    Ok(writeln!(stdout(), "{answer}")?)
}
