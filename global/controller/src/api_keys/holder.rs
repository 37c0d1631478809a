//! Federated keys in use. A key opens two doors here, and no other: where its regions are listed, and where it gets a token for one.
use super::store;
use crate::{
    app::App,
    gate::{Origin, unauthenticated},
    memberships::{self, Seat},
    roles,
};
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use exarch_common_authz::{Principal, Scope, TenantState};
use exarch_common_base::{KeyId, TenantId};
use exarch_common_http::{Problem, serve::Peer};
use exarch_common_pg::{Clusters, SystemTx, TenantContext, TenantTx};
use exarch_common_wire::{
    api_key::{self, ApiKey, Cidr, admits},
    audit::{Actor, Entry, Outcome},
};
use time::OffsetDateTime;

/// A federated key whose secret was shown, as handlers ask for it.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The key.
    pub id: KeyId,
    /// Its owner's place.
    pub seat: Seat,
    /// When the key ends.
    pub expires_at: Option<OffsetDateTime>,
    origin: Origin,
}

impl Holder {
    /// The key's tenant.
    pub fn tenant(&self) -> TenantId {
        self.seat.tenant.id
    }

    /// Context of a transaction in its tenant.
    pub fn acting(&self) -> TenantContext {
        context(self.tenant(), self.id)
    }

    /// An audit entry about what is done by it.
    pub fn entry(&self, app: &App, action: &str, target: (&str, impl ToString)) -> Entry {
        let actor = Actor::new("api-key", self.id);
        self.origin.entry(app, self.tenant(), actor, action, target)
    }
}

fn context(tenant: TenantId, key: KeyId) -> TenantContext {
    TenantContext {
        tenant,
        clusters: Clusters::All,
        actor: key.to_string(),
    }
}

/// What a request shows in the place of a token, if it is the secret of a key or would be one.
pub fn presented(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && secret.starts_with(api_key::PREFIX)).then_some(secret)
}

/// Who is behind a secret.
///
/// # Errors
/// The one 401, whatever was wrong; 503 without a database.
pub async fn authenticate(app: &App, parts: &Parts, presented: &str) -> Result<Holder, Problem> {
    let now = app.ambient.now();
    let several = parts.headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some();
    let secret = ApiKey::read(presented)
        .filter(|_| !several)
        .ok_or_else(unauthenticated)?;
    let mut tx = SystemTx::begin(&app.sweep_pool, "tenant-of-an-api-key").await?;
    let tenant = store::tenant_of(&mut tx, secret.id).await?;
    tx.rollback().await?;
    let tenant = tenant.ok_or_else(unauthenticated)?;
    let mut tx = TenantTx::begin(&app.app_pool, &context(tenant, secret.id)).await?;
    let key = store::find(&mut tx, secret.id, now)
        .await?
        .ok_or_else(unauthenticated)?;
    if !key.is_federated() || key.state(now) != "active" || !key.opened_by(&secret, now) {
        return Err(unauthenticated());
    }
    let origin = Origin::of(parts)?;
    // Of the connection, whatever the request says: a header is anybody's to write.
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.addr.ip());
    let cidrs: Result<Vec<Cidr>, _> = key.cidrs.iter().map(|cidr| cidr.parse()).collect();
    if !cidrs.is_ok_and(|cidrs| admits(&cidrs, peer)) {
        let actor = Actor::new("api-key", key.id);
        let entry = origin.entry(app, tenant, actor, "api_key.use", ("api-key", key.id));
        app.refusals.push(&app.ambient, Principal::ApiKey(key.id), || {
            (
                entry.ended(Outcome::Denied, "from an address that the key does not name"),
                None,
            )
        });
        return Err(unauthenticated());
    }
    let seat = memberships::seat_in(app, &mut tx, key.owner.user).await?;
    let seat = seat.filter(|seat| seat.membership == Some(key.owner.membership) && seat.may_sign_in());
    let seat = seat.ok_or_else(unauthenticated)?;
    let role = roles::resolve(&mut tx, std::slice::from_ref(&key.role)).await?.pop();
    let role = role
        .filter(|role| role.scope() == Scope::Tenant)
        .ok_or_else(unauthenticated)?;
    if seat.tenant.state == TenantState::SuspendedIncident && !role.reads_in_incident() {
        return Err(unauthenticated());
    }
    if key.last_used_on != Some(now.date()) {
        store::used(&mut tx, key.id, now.date()).await?;
    }
    tx.commit().await?;
    Ok(Holder {
        id: key.id,
        seat,
        expires_at: key.expires_at,
        origin,
    })
}

impl<S: Send + Sync> FromRequestParts<S> for Holder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(unauthenticated)
    }
}
