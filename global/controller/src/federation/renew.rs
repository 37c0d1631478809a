//! `POST /federation/v1/certificate`: a new certificate for the same key, asked for on a connection with the one in use.
use super::{PeerCaller, join, store};
use crate::{app::App, audit};
use axum::{Extension, extract::State};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_crypto::hash::sha256;
use exarch_common_http::{Json, PeerBody, Problem, RequestContext};
use exarch_common_pg::SystemTx;
use exarch_common_wire::{
    audit::{Entry, PROVIDER, Source},
    federation::{RenewCertificate, RenewedCertificate},
    names,
};
use serde_json::json;

/// Renews a region's certificate.
#[utoipa::path(post, path = "/federation/v1/certificate", tag = "federation", responses(
    (status = 200, description = "The new certificate"),
    (status = 422, description = "The signing request is refused, or is for another key"),
))]
pub(super) async fn renew(
    State(app): State<App>,
    caller: PeerCaller,
    context: RequestContext,
    Extension(body): Extension<PeerBody>,
) -> Result<Json<RenewedCertificate>, Problem> {
    let input: RenewCertificate = super::read(&body)?;
    let (csr, public_key) = join::signing_request(&input.csr)?;
    if public_key != caller.public_key {
        return Err(Problem::unprocessable("another-key").detail(
            "A certificate is renewed for the key it was given to; for another key the region must join anew.",
        ));
    }
    let now = app.ambient.now();
    let issued = app
        .keys
        .federation_ca()
        .issue_client(&app.ambient, &csr, &names::region_uri(caller.region), join::CERTIFICATE)
        .map_err(|e| Problem::internal(&e))?;
    let given = store::Given {
        region: caller.region,
        thumbprint: sha256(&issued.der),
        serial: &issued.serial,
        public_key: &public_key,
        not_after: issued.not_after,
    };
    let mut tx = SystemTx::begin(&app.app_pool, "renew-certificate").await?;
    store::spend(tx.conn(), &caller, now).await?;
    store::insert_certificate(tx.conn(), &given, now).await?;
    let entry = Entry::new(
        &app.ambient,
        PROVIDER,
        caller.actor(),
        "region.renew-certificate",
        "region",
        caller.region,
    )
    .by_request(
        context.request_id,
        Source {
            address: Some(caller.address.clone()),
            user_agent: None,
        },
    )
    .before(json!({"expired": caller.expired}))
    .after(json!({"thumbprint": B64.encode(given.thumbprint), "not_after": issued.not_after.unix_timestamp()}));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(Json(RenewedCertificate {
        certificate: B64.encode(&issued.der),
    }))
}
