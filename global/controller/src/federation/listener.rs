//! The listener and its three protocols.
use super::{certificate::Own, routes, tunnels};
use crate::{app::App, settings::Settings};
use anyhow::Context;
use exarch_common_http::serve::{
    AlpnService, BindError, ClientCertificate, Connections, Protocol, ServeOptions, TlsListener, serve_tls,
};
use exarch_common_wire::names::{ALPN_DOWN, ALPN_JOIN, ALPN_UP};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const RENEW_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Listens where the settings say; who dials waits until [`serve`] answers.
///
/// # Errors
/// The address is in use, or not ours.
pub async fn bind(settings: &Settings) -> Result<TlsListener, BindError> {
    TlsListener::bind(settings.federation.listen).await
}

/// Serves until `stop`.
///
/// # Errors
/// The listener's own certificate cannot be made.
pub async fn serve(app: App, listener: TlsListener, stop: CancellationToken) -> anyhow::Result<()> {
    let (own, configs) = Own::new(&app).context("the federation listener's certificate cannot be made")?;
    let (raw, accepted) = mpsc::channel(64);
    let protocols = vec![
        Protocol {
            alpn: ALPN_UP,
            tls: configs.up,
            certificate: ClientCertificate::Required,
            service: AlpnService::Router(routes::peer_router(&app)),
        },
        Protocol {
            alpn: ALPN_DOWN,
            tls: configs.down,
            certificate: ClientCertificate::Required,
            service: AlpnService::Raw(raw),
        },
        Protocol {
            alpn: ALPN_JOIN,
            tls: configs.join,
            certificate: ClientCertificate::Optional,
            service: AlpnService::Router(routes::join_router(&app)),
        },
    ];
    let options = ServeOptions {
        max_streams: 32,
        ..ServeOptions::default()
    };
    let renewals = async {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            if let Err(error) = own.renew(&app) {
                tracing::error!(%error, "the federation listener keeps its old certificate");
            }
        }
    };
    tokio::select! {
        () = serve_tls(listener, protocols, options, Connections::new(), stop.clone()) => {}
        () = tunnels::accept(app.clone(), accepted, stop) => {}
        () = renewals => {}
    }
    Ok(())
}
