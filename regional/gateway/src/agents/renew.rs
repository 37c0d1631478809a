//! `POST /agent/v1/certificate`: another certificate for the same key, long before the one in use is over, or after it.
use super::{
    Wire,
    agent::AgentState,
    enrol::{self, not_active},
    sessions::Certified,
    store::{self, Standpoint},
    unauthenticated,
};
use crate::{app::App, audit};
use axum::{extract::State, http::request::Parts};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_crypto::{
    hash::sha256,
    pki::{self, PkiError},
};
use exarch_common_http::{Json, Problem};
use exarch_common_pg::{Clusters, TenantContext, TenantTx};
use exarch_common_wire::{
    agent::{RenewCertificate, RenewedCertificate},
    audit::{Actor, Entry, Outcome},
};
use serde_json::json;

/// Counted before anything else is looked at.
pub(super) struct Renewing(Certified);

impl axum::extract::FromRequestParts<App> for Renewing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Certified::renewing(app, parts).await.map(Self)
    }
}

/// Renew the certificate of this connection, for the same key. A certificate that expired at most 90 days ago is renewed,
/// too; nothing else answers on its connection.
#[utoipa::path(post, path = "/agent/v1/certificate", tag = "agents", request_body = Object, responses(
    (status = 200, description = "The new certificate", body = Object), (status = 401, description = "`unauthenticated`"),
    (status = 403, description = "`agent-not-active`"),
    (status = 422, description = "`signing-request-refused`, or `another-key`: for another key the host enrols anew")))]
pub(super) async fn renew_certificate(
    State(app): State<App>,
    Renewing(agent): Renewing,
    Wire(input): Wire<RenewCertificate>,
) -> Result<Json<RenewedCertificate>, Problem> {
    let known = agent.standpoint(&app).await?;
    let own = TenantContext {
        tenant: known.tenant,
        clusters: Clusters::Only(vec![known.cluster]),
        actor: agent.id.to_string(),
    };
    let csr = B64
        .decode(&input.csr)
        .map_err(|_| PkiError::Malformed("signing request"));
    let key = csr.and_then(|csr| pki::check_request(&csr).map(|key| (csr, key)));
    let (csr, key) = key.map_err(|e| {
        Problem::unprocessable("signing-request-refused").detail(format!("The signing request is refused: {e}."))
    })?;
    let mut tx = TenantTx::begin(&app.app_pool, &own).await?;
    let locked = store::lock_agent(&mut tx, agent.id)
        .await?
        .filter(|locked| locked.public_key == agent.certificate.public_key)
        .ok_or_else(unauthenticated)?;
    let entry = entry(&app, &agent, &known);
    let refusal = if locked.state != AgentState::Active {
        Some(not_active(locked.state))
    } else if key != locked.public_key {
        Some(Problem::unprocessable("another-key").detail(
            "A certificate is renewed for the key it was given to; for another key this host must be enrolled anew.",
        ))
    } else {
        None
    };
    if let Some(refusal) = refusal {
        let why = refusal.document().detail.clone().unwrap_or_default();
        audit::record(&mut tx, &entry.ended(Outcome::Denied, why)).await?;
        tx.commit().await?;
        return Err(refusal);
    }
    let issued = enrol::certificate(&app, &mut tx, agent.id, &csr).await?;
    let after =
        json!({ "thumbprint": B64.encode(sha256(&issued.der)), "not_after": issued.not_after.unix_timestamp() });
    audit::record(&mut tx, &entry.after(after)).await?;
    tx.commit().await?;
    metrics::counter!("exarch_agent_certificates_renewed_total").increment(1);
    Ok(Json(RenewedCertificate {
        certificate: B64.encode(&issued.der),
    }))
}

fn entry(app: &App, agent: &Certified, known: &Standpoint) -> Entry {
    let actor = Actor::new("agent", agent.id);
    let entry = Entry::new(
        &app.ambient,
        known.tenant,
        actor,
        "agent.renew-certificate",
        "agent",
        agent.id,
    );
    let before = json!({
        "thumbprint": B64.encode(agent.certificate.thumbprint),
        "not_after": agent.certificate.not_after.unix_timestamp(),
        "expired": agent.is_over(app),
    });
    agent.origin.stamp(entry).before(before)
}
