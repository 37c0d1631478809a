//! Joining a federation: once in a region's life, by the operator, with a token that the global gave out.
//!
//! The key is made here and stays here. The global is known by the fingerprint of its authority alone, so the token is sent
//! to nobody else.
use super::{link::reason, store, tunnel::host};
use crate::{
    app::Region,
    directory::{self, Unusable},
    secrets::{self, SecretsError},
};
use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, ExposeSecret, SecretString};
use exarch_common_crypto::{
    pki::{self, Peer, Pin, PkiError},
    seal::Sealer,
    sign::SigningKey,
    tls,
};
use exarch_common_http::tunnel::{self, CallError, DialError, H2Client};
use exarch_common_pg::{AppPool, DbError, SystemTx};
use exarch_common_wire::{
    PROTOCOL,
    federation::{Join, Joined, paths},
    names,
};
use http_body_util::Full;
use std::{sync::Arc, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);

/// What the operator gives.
pub struct Joining {
    /// `https://host:8441`.
    pub global: String,
    /// Fingerprint of the federation's authority.
    pub pin: Pin,
    /// The join token.
    pub token: SecretString,
}

/// Why the region has not joined. Each is for the person at the keyboard.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Once is enough.
    #[error(
        "this gateway has joined already: it is region {slug} ({id}); further replicas share its database and do not join"
    )]
    Already {
        /// The region's slug.
        slug: String,
        /// The region's id.
        id: String,
    },
    /// No such address.
    #[error("{0:?} is no address of a federation listener; use https://host:port")]
    Address(String),
    /// Somebody else, or a typing error.
    #[error(
        "the server at {addr} is not the one with the fingerprint {pin}: compare it with the line that `exarch region register` printed"
    )]
    Pin {
        /// Host and port.
        addr: String,
        /// As given.
        pin: Pin,
    },
    /// Nobody there.
    #[error(transparent)]
    Dial(DialError),
    /// No answer.
    #[error(
        "the global at {addr} did not answer: {cause}; run the same command with the same token again, within 15 minutes it is answered"
    )]
    NoAnswer {
        /// Host and port.
        addr: String,
        /// Why.
        cause: String,
    },
    /// The global's no: a spent or expired token, a name taken, and the like.
    #[error("the global refused: {detail}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its reason.
        detail: String,
    },
    /// A yes that does not hold.
    #[error("the global's answer cannot be used: {0}")]
    Answer(&'static str),
    /// Keys.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The authority's key.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<PkiError> for JoinError {
    fn from(e: PkiError) -> Self {
        Self::Secrets(e.into())
    }
}

/// Joins. On an error nothing has changed here but that the region's key may be there, which a repeated join uses again.
///
/// # Errors
/// [`JoinError`].
pub async fn join(ambient: &Ambient, pool: &AppPool, sealer: &Sealer, joining: &Joining) -> Result<Region, JoinError> {
    let addr = joining
        .global
        .strip_prefix("https://")
        .map(|rest| rest.trim_end_matches('/'))
        .filter(|addr| {
            addr.rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        })
        .ok_or_else(|| JoinError::Address(joining.global.clone()))?;
    let mut tx = SystemTx::begin(pool, "join").await?;
    if let Some(region) = store::region(&mut tx).await? {
        return Err(JoinError::Already {
            slug: region.slug.to_string(),
            id: region.id.to_string(),
        });
    }
    let key = secrets::region_key(&mut tx, sealer, ambient).await?;
    tx.commit().await?;

    let message = Join {
        token: joining.token.expose_secret().to_owned(),
        csr: B64.encode(pki::request(&key)?),
        protocol: PROTOCOL,
    };
    let joined = ask(addr, joining.pin, &message).await?;
    let mut tx = SystemTx::begin(pool, "join").await?;
    let region = keep(&mut tx, ambient, sealer, addr, &joined, &key).await?;
    if Pin::of(&region.federation_ca) != joining.pin {
        return Err(JoinError::Answer(
            "its authority is not the one with the fingerprint given",
        ));
    }
    tx.commit().await?;
    Ok(region)
}

/// Writes down what joining brought, after a look at it.
async fn keep(
    tx: &mut SystemTx,
    ambient: &Ambient,
    sealer: &Sealer,
    addr: &str,
    joined: &Joined,
    key: &SigningKey,
) -> Result<Region, JoinError> {
    let certificate = decode(&joined.certificate)?;
    let read = Peer::read(&certificate)?;
    if read.public_key != key.public().raw() || read.identity() != Some(names::region_uri(joined.region).as_str()) {
        return Err(JoinError::Answer(
            "its certificate is not for this region's key and name",
        ));
    }
    let region = Region {
        id: joined.region,
        slug: joined.slug.clone(),
        name: joined.name.clone(),
        global_addr: addr.to_owned(),
        issuer: joined.issuer.clone(),
        federation_ca: decode(&joined.federation_ca)?,
    };
    secrets::keep_joined(tx, sealer, ambient, joined, &certificate).await?;
    directory::trust(tx, &joined.authority).await??;
    store::insert_region(tx, &region, ambient.now()).await?;
    Ok(region)
}

/// Joins without a network: `answer` is the global's to a signing request.
#[cfg(test)]
pub(crate) async fn enlist(
    tx: &mut SystemTx,
    ambient: &Ambient,
    sealer: &Sealer,
    addr: &str,
    answer: impl FnOnce(&[u8]) -> Joined,
) -> Result<Region, JoinError> {
    let key = secrets::region_key(tx, sealer, ambient).await?;
    let joined = answer(&pki::request(&key)?);
    keep(tx, ambient, sealer, addr, &joined, &key).await
}

fn decode(text: &str) -> Result<Vec<u8>, JoinError> {
    B64.decode(text)
        .map_err(|_| JoinError::Answer("it is not encoded as it should be"))
}

async fn ask(addr: &str, pin: Pin, message: &Join) -> Result<Joined, JoinError> {
    let no_answer = |cause: String| JoinError::NoAnswer {
        addr: addr.to_owned(),
        cause,
    };
    let config = tls::pinned_client_config(pin, &[names::ALPN_JOIN])?;
    let dialled = tunnel::dial(addr, host(addr), Arc::new(config)).await;
    let dialled = dialled.map_err(|e| match &e {
        DialError::Handshake { source, .. } if source.to_string().contains(tls::PIN_DIFFERS) => JoinError::Pin {
            addr: addr.to_owned(),
            pin,
        },
        _ => JoinError::Dial(e),
    })?;
    let client = H2Client::dialled(dialled).await.map_err(|e| no_answer(e.to_string()))?;
    let body = serde_json::to_vec(message).map_err(|e| no_answer(e.to_string()))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(paths::JOIN)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| no_answer(e.to_string()))?;
    let answer = client
        .request(request, LIMIT)
        .await
        .map_err(|e: CallError| no_answer(e.to_string()))?;
    client.close();
    if !answer.status().is_success() {
        return Err(JoinError::Refused {
            status: answer.status(),
            detail: reason(answer.body()),
        });
    }
    serde_json::from_slice(answer.body()).map_err(|_| JoinError::Answer("it is not what joining is answered with"))
}
