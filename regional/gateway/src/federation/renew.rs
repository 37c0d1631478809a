//! The region's certificate: renewed daily for the same key, long before it ends.
use super::Link;
use crate::app::App;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_crypto::pki::Peer;
use exarch_common_wire::federation::{RenewCertificate, RenewedCertificate, paths};
use std::time::Duration;

/// How often it is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(15 * 60);
const AFTER: time::Duration = time::Duration::days(1);

/// Whether the certificate is a day old, or cannot be read.
pub(super) fn due(app: &App) -> bool {
    Peer::read(&app.secrets.certificate()).map_or(true, |c| app.ambient.now() - c.not_before >= AFTER)
}

/// Renews it; connections made from now on show the new one, and both are made anew.
pub(super) async fn renew(app: &App, link: &Link) -> anyhow::Result<()> {
    let csr = B64.encode(app.secrets.signing_request()?);
    let renewed: RenewedCertificate = link.post(app, paths::CERTIFICATE, &RenewCertificate { csr }).await?;
    let der = B64.decode(&renewed.certificate)?;
    app.secrets.renew(&app.app_pool, der).await?;
    tracing::info!("the region's certificate was renewed");
    app.federation.redial.send_modify(|n| *n += 1);
    Ok(())
}
