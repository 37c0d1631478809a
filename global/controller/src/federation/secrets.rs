//! Service secrets: one for each region and direction, made when the region joins and kept sealed.
use super::store::{KnownPeer, SealedSecret};
use crate::app::App;
use exarch_common_base::{Ambient, ExposeSecret, RegionId};
use exarch_common_crypto::seal::{Place, SealError, Sealer};
use exarch_common_http::Problem;
use exarch_common_wire::service::ServiceKey;

/// The gateway's requests.
pub const UP: &str = "up";
/// The global's requests.
pub const DOWN: &str = "down";

/// A new secret, and what is kept of it.
pub fn make(ambient: &Ambient, sealer: &Sealer, region: RegionId, direction: &str) -> (ServiceKey, Vec<u8>) {
    let key = ServiceKey::generate(ambient);
    let sealed = seal(ambient, sealer, region, direction, &key);
    (key, sealed)
}

/// What is kept of one that the region made.
pub(super) fn seal(ambient: &Ambient, sealer: &Sealer, region: RegionId, direction: &str, key: &ServiceKey) -> Vec<u8> {
    let row = row(region, direction, &key.kid);
    sealer.seal(ambient, place(&row), key.secret.expose_secret())
}

/// Opens one that is kept.
///
/// # Errors
/// It was altered, moved, or sealed under another master key.
pub fn open_one(
    sealer: &Sealer,
    region: RegionId,
    direction: &str,
    kept: &SealedSecret,
) -> Result<ServiceKey, SealError> {
    let row = row(region, direction, &kept.kid);
    Ok(ServiceKey {
        kid: kept.kid.clone(),
        secret: sealer.open(place(&row), &kept.sealed)?.to_vec().into(),
    })
}

/// Opens the secrets of a peer.
///
/// # Errors
/// 500: what is kept cannot be opened.
pub(super) fn open(app: &App, region: RegionId, direction: &str, peer: KnownPeer) -> Result<Vec<ServiceKey>, Problem> {
    let opened = peer
        .secrets
        .iter()
        .map(|kept| open_one(&app.sealer, region, direction, kept));
    opened.collect::<Result<_, _>>().map_err(|e| Problem::internal(&e))
}

fn row(region: RegionId, direction: &str, kid: &str) -> String {
    format!("{region}/{direction}/{kid}")
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: "gc.service_secret",
        column: "sealed",
        row,
    }
}
