//! The authorities' certificates, for outside tools that dial the inner listeners.
use super::{file::write_private, layout::Place};
use anyhow::{Context, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use exarch_common_crypto::{pki::Pin, tls::pinned_client_config};
use exarch_common_http::tunnel::dial;
use std::{fmt::Write, sync::Arc};

/// Writes the authority of a place's inner listener as the listener shows it, once. The fingerprint in the line to paste says
/// which one it must be.
pub(super) async fn note(place: &Place, pin: &str, alpn: &str) -> anyhow::Result<()> {
    if place.ca().is_file() {
        return Ok(());
    }
    let pin: Pin = pin.parse()?;
    let addr = format!("127.0.0.1:{}", place.inner);
    let dialled = dial(&addr, "127.0.0.1", Arc::new(pinned_client_config(pin, &[alpn])?)).await?;
    let chain = dialled.stream.get_ref().1.peer_certificates().unwrap_or_default();
    let authority = chain.iter().find(|der| Pin::of(der) == pin);
    let authority = authority.ok_or_else(|| anyhow!("{addr} shows no certificate with the fingerprint {pin}"))?;
    write_private(&place.ca(), pem(authority).as_bytes()).with_context(|| place.ca().display().to_string())
}

/// RFC 7468.
fn pem(der: &[u8]) -> String {
    let text = B64.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        // Writing to a String does not fail.
        let _ = writeln!(pem, "{line}");
        rest = more;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
