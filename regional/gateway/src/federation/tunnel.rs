//! Keeps both connections up: dials, and dials again with growing, jittered pauses.
use super::{Link, down, renew};
use crate::app::App;
use exarch_common_base::backoff::Backoff;
use exarch_common_crypto::tls;
use exarch_common_http::{
    serve::{Connections, ServeOptions},
    tunnel::{self, Dialled, H2Client},
};
use exarch_common_wire::{
    federation::{AgentCa, paths},
    names,
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// A connection that held this long was a good one: the pauses start anew.
const GOOD: Duration = Duration::from_secs(10);

/// The global's listeners, one after the other.
struct Addresses(Vec<String>);

impl Addresses {
    /// Beginning with one of them by this replica's id, so that several replicas do not all dial the same.
    fn of(app: &App) -> Self {
        let mut all = app.settings.federation.addresses.clone();
        if all.is_empty() {
            all.push(app.region.global_addr.clone());
        }
        let draw = usize::from(app.instances.id().uuid().into_bytes()[15]);
        let first = draw % all.len();
        all.rotate_left(first);
        Self(all)
    }

    fn present(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    fn next(&mut self) {
        self.0.rotate_left(1);
    }
}

/// Keeps the connection on which the gateway calls.
pub(super) async fn up(app: App, stop: CancellationToken) {
    let mut addresses = Addresses::of(&app);
    let mut backoff = backoff(&app);
    while goes_on(&app, &stop) {
        let started = app.ambient.boot();
        match once_up(&app, addresses.present(), &stop).await {
            Ok(()) => tracing::info!("the connection to the global has ended"),
            Err(cause) => tracing::warn!(cause = format!("{cause:#}"), "the global cannot be called"),
        }
        app.federation.disconnected();
        addresses.next();
        if app.ambient.boot().since(started) > GOOD {
            backoff.reset();
        }
        pause(&app, &mut backoff, &stop).await;
    }
    stop.cancelled().await;
}

async fn once_up(app: &App, addr: &str, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut redial = app.federation.redial.subscribe();
    let link = Link::new(H2Client::dialled(dial(app, addr, names::ALPN_UP).await?).await?);
    if renew::due(app) {
        renew::renew(app, &link).await?;
        link.close();
        return Ok(());
    }
    let fingerprint = app.secrets.agent_ca().pin().to_string();
    link.post::<()>(app, paths::AGENT_CA, &AgentCa { fingerprint }).await?;
    tracing::info!("connected to the global");
    app.federation.connected(link.clone(), app.ambient.boot());
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = link.closed() => break,
            _ = redial.changed() => break,
            () = tokio::time::sleep(renew::LOOK) => {
                if renew::due(app)
                    && let Err(cause) = renew::renew(app, &link).await
                {
                    tracing::warn!(%cause, "the region's certificate could not be renewed; tried again");
                }
            }
        }
    }
    link.close();
    Ok(())
}

/// Whether there is somebody to call: for a region that is removed there is nobody any more.
fn goes_on(app: &App, stop: &CancellationToken) -> bool {
    !stop.is_cancelled() && app.directory.removed().is_none()
}

/// Keeps the connection on which the gateway is called.
pub(super) async fn down(app: App, stop: CancellationToken) {
    let mut addresses = Addresses::of(&app);
    let mut backoff = backoff(&app);
    let options = ServeOptions {
        max_streams: 32,
        ..ServeOptions::default()
    };
    while goes_on(&app, &stop) {
        let mut redial = app.federation.redial.subscribe();
        let started = app.ambient.boot();
        match dial(&app, addresses.present(), names::ALPN_DOWN).await {
            Ok(dialled) => {
                app.federation.set_down(Some(started));
                let connections = Connections::new();
                let serving = tunnel::serve_h2(dialled, down::router(&app), &options, &connections, &stop);
                tokio::select! {
                    () = serving => {}
                    _ = redial.changed() => {}
                }
                app.federation.set_down(None);
                // Whoever ended it may have something to say.
                app.federation.poll_soon();
                tracing::info!("the connection by which the global calls has ended");
            }
            Err(cause) => tracing::warn!(
                cause = format!("{cause:#}"),
                "the global cannot be reached to be called by it"
            ),
        }
        addresses.next();
        if app.ambient.boot().since(started) > GOOD {
            backoff.reset();
        }
        pause(&app, &mut backoff, &stop).await;
    }
    stop.cancelled().await;
}

async fn dial(app: &App, addr: &str, alpn: &str) -> anyhow::Result<Dialled> {
    let roots = [app.region.federation_ca.clone()];
    let config = tls::client_config(&roots, Some(&app.secrets.identity()), &[alpn])?;
    Ok(tunnel::dial(addr, host(addr), Arc::new(config)).await?)
}

/// The host of `host:port`, an address in brackets without them.
pub(super) fn host(addr: &str) -> &str {
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn backoff(app: &App) -> Backoff {
    Backoff::new(
        Duration::from_secs(2).min(app.settings.federation.retry),
        app.settings.federation.retry,
    )
}

async fn pause(app: &App, backoff: &mut Backoff, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(backoff.next(&app.ambient)) => {}
    }
}
