//! `POST /federation/v1/join`: a gateway comes with its join token and a signing request, and leaves as the region.
//!
//! In one transaction the token is spent, the region goes from registered to joining, and its certificate and secrets are
//! written down; or nothing happens but the audit of the refusal.
//!
//! The answer can be lost. Then the same gateway, known by its key, is given it again: the same secrets and a certificate for
//! the same key, for a quarter of an hour and only while nothing was signed with those secrets, which shows that it was heard.
use super::{secrets, store};
use crate::{
    app::App,
    audit,
    regions::{LifeCycle, join_token},
};
use axum::{
    Extension,
    extract::{Request, State},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{ExposeSecret, RegionId};
use exarch_common_crypto::{
    hash::sha256,
    pki::{self, PkiError},
    seal::Sealer,
};
use exarch_common_http::{Json, PeerBody, Problem, RequestContext, read_body, serve::Peer};
use exarch_common_pg::SystemTx;
use exarch_common_wire::{
    PROTOCOL_MIN,
    audit::{Actor, Entry, Outcome, PROVIDER, Source},
    federation::{AuthorityKey, HandedSecret, Join, Joined},
    names,
    service::ServiceKey,
};
use governor::{DefaultKeyedRateLimiter, Quota};
use serde_json::json;
use std::{net::IpAddr, num::NonZeroU32, time::Duration};
use time::OffsetDateTime;

/// A region's certificate is good for so long; it is renewed daily.
pub(super) const CERTIFICATE: time::Duration = time::Duration::days(30);
const TRIES: NonZeroU32 = NonZeroU32::new(30).expect("thirty is not zero");

/// How often one address may try in a minute: each try is an audit row.
#[derive(Debug)]
pub(crate) struct Limit(DefaultKeyedRateLimiter<IpAddr>);

impl Default for Limit {
    fn default() -> Self {
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_minute(TRIES)))
    }
}

impl Limit {
    fn check(&self, address: IpAddr) -> Result<(), Problem> {
        if self.0.len() > 10_000 {
            self.0.retain_recent();
        }
        self.0.check_key(&address).map_err(|_| {
            Problem::too_many(Duration::from_secs(10))
                .detail("Too many attempts to join from this address; wait a little.")
        })
    }
}

/// Joins a region.
#[utoipa::path(post, path = "/federation/v1/join", tag = "federation", request_body = Object, responses(
    (status = 200, description = "The region, its certificate and its secrets"),
    (status = 401, description = "Unknown join token"),
    (status = 409, description = "The token was used, or the region has joined already"),
    (status = 410, description = "The token expired or was replaced"),
    (status = 422, description = "The signing request or the protocol is refused"),
))]
pub(super) async fn join(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    context: RequestContext,
    request: Request,
) -> Result<Json<Joined>, Problem> {
    let address = peer.addr.ip().to_canonical();
    app.federation.joins.check(address)?;
    let input: Join = super::read(&PeerBody(read_body(request.into_body()).await?))?;
    let source = Source {
        address: Some(address.to_string()),
        user_agent: None,
    };
    run(&app, &input, &context, source).await.map(Json)
}

pub(super) async fn run(app: &App, input: &Join, context: &RequestContext, source: Source) -> Result<Joined, Problem> {
    let now = app.ambient.now();
    let from = source.address.clone().unwrap_or_default();
    let mut tx = SystemTx::begin(&app.app_pool, "join").await?;
    let found = match join_token::hash(&input.token) {
        Some(hash) => store::joining(tx.conn(), &hash).await?,
        None => None,
    };
    let entry = |target: String| {
        let actor = Actor::new("anonymous", "gateway");
        Entry::new(&app.ambient, PROVIDER, actor, "region.join", "region", target)
            .by_request(context.request_id, source.clone())
    };
    let Some(found) = found else {
        let unknown = Problem::unauthorized("join-token-unknown")
            .detail("Nobody made this join token: check that all of it was given on standard input.");
        return refuse(tx, entry("unknown".into()), "the join token is unknown", unknown).await;
    };
    let entry = entry(found.region.to_string());
    let lost = unheard(&app.sealer, &mut tx, &found, input, now).await?;
    let checked = match check(&found, input, lost.is_some(), now) {
        Ok(checked) => checked,
        Err(problem) => {
            let reason = problem.document().detail.clone().unwrap_or_default();
            return refuse(tx, entry, &reason, problem).await;
        }
    };

    let ca = app.keys.federation_ca();
    let issued = ca
        .issue_client(
            &app.ambient,
            &checked.csr,
            &names::region_uri(found.region),
            CERTIFICATE,
        )
        .map_err(|e| Problem::internal(&e))?;
    let given = store::Given {
        region: found.region,
        thumbprint: sha256(&issued.der),
        serial: &issued.serial,
        public_key: &checked.public_key,
        not_after: issued.not_after,
    };
    let protocol = i32::try_from(input.protocol).unwrap_or(i32::MAX);
    store::insert_certificate(tx.conn(), &given, now).await?;
    let is_again = lost.is_some();
    let [up, down] = match lost {
        Some(secrets) => secrets,
        None => {
            store::use_token(tx.conn(), found.token_id, &from, now).await?;
            store::set_joining(tx.conn(), found.region, checked.next, protocol, now).await?;
            [
                new_secret(app, &mut tx, found.region, secrets::UP, now).await?,
                new_secret(app, &mut tx, found.region, secrets::DOWN, now).await?,
            ]
        }
    };
    let mut after = json!({"lifecycle": checked.next.as_str(), "thumbprint": B64.encode(given.thumbprint)});
    if is_again {
        after["answered_again"] = true.into();
    }
    audit::record(&mut tx, &entry.after(after)).await?;
    tx.commit().await?;
    tracing::info!(region = %found.region, slug = found.slug, is_again, "a region's gateway joined");
    let authority = app.keys.authority();
    Ok(Joined {
        region: found.region,
        slug: checked.slug,
        name: found.name,
        certificate: B64.encode(&issued.der),
        federation_ca: B64.encode(ca.der()),
        authority: AuthorityKey {
            kid: authority.kid.clone(),
            public: B64.encode(authority.key.public().raw()),
        },
        issuer: app.settings.public.url.clone(),
        up: hand_over(&up),
        down: hand_over(&down),
    })
}

async fn new_secret(
    app: &App,
    tx: &mut SystemTx,
    region: RegionId,
    direction: &str,
    now: OffsetDateTime,
) -> Result<ServiceKey, Problem> {
    let (key, sealed) = secrets::make(&app.ambient, &app.sealer, region, direction);
    let kept = store::SealedSecret {
        kid: key.kid.clone(),
        sealed,
        used: false,
    };
    store::insert_secret(tx.conn(), region, direction, &kept, now).await?;
    Ok(key)
}

/// The secrets for up and down that were handed over to this same gateway, in an answer that it shows no sign of having heard.
async fn unheard(
    sealer: &Sealer,
    tx: &mut SystemTx,
    found: &store::Joining,
    input: &Join,
    now: OffsetDateTime,
) -> Result<Option<[ServiceKey; 2]>, Problem> {
    if !found.token.answers_again(now) || found.lifecycle != LifeCycle::Joining.as_str() {
        return Ok(None);
    }
    let Ok((_, key)) = signing_request(&input.csr) else {
        return Ok(None);
    };
    if store::joined_key(tx.conn(), found.region).await? != Some(key) {
        return Ok(None);
    }
    let up = store::secrets(tx.conn(), found.region, secrets::UP).await?;
    let down = store::secrets(tx.conn(), found.region, secrets::DOWN).await?;
    let ([up], [down]) = (&*up, &*down) else {
        return Ok(None);
    };
    if up.used || down.used {
        return Ok(None);
    }
    let open =
        |direction, kept| secrets::open_one(sealer, found.region, direction, kept).map_err(|e| Problem::internal(&e));
    Ok(Some([open(secrets::UP, up)?, open(secrets::DOWN, down)?]))
}

struct Checked {
    next: LifeCycle,
    csr: Vec<u8>,
    public_key: Vec<u8>,
    slug: exarch_common_base::Slug,
}

/// All that can be wrong with a known token, the region it is for, and what came with it.
fn check(found: &store::Joining, input: &Join, is_again: bool, now: OffsetDateTime) -> Result<Checked, Problem> {
    let next = if is_again {
        LifeCycle::Joining
    } else {
        may_join(found, now)?
    };
    if input.protocol < PROTOCOL_MIN {
        return Err(Problem::unprocessable("protocol-too-old").detail(format!(
            "The gateway speaks protocol {}, the global needs {PROTOCOL_MIN} or later: upgrade the gateway.",
            input.protocol
        )));
    }
    let (csr, public_key) = signing_request(&input.csr)?;
    Ok(Checked {
        next,
        csr,
        public_key,
        slug: found.slug.parse().map_err(|e| Problem::internal(&e))?,
    })
}

/// Whether the token lets somebody in, and the region has nobody yet.
fn may_join(found: &store::Joining, now: OffsetDateTime) -> Result<LifeCycle, Problem> {
    found.token.check(now).map_err(|refusal| {
        let problem = match &refusal {
            join_token::Refusal::Used(at, from) => Problem::conflict("join-token-used")
                .with("used_at", at)
                .with("used_from", from),
            join_token::Refusal::Superseded(_) => Problem::gone("join-token-replaced"),
            join_token::Refusal::Expired(_) => Problem::gone("join-token-expired"),
        };
        problem.detail(refusal.to_string())
    })?;
    let lifecycle: LifeCycle = found.lifecycle.parse().map_err(|e| Problem::internal(&e))?;
    lifecycle.join().map_err(|no| {
        Problem::conflict("region-already-joined").detail(format!(
            "The region {} is {}: a second gateway cannot join it; further replicas share its database.",
            found.slug, no.from
        ))
    })
}

/// A signing request as it came, and its key.
pub(super) fn signing_request(text: &str) -> Result<(Vec<u8>, Vec<u8>), Problem> {
    let csr = B64
        .decode(text)
        .map_err(|_| PkiError::Malformed("signing request"))
        .and_then(|csr| pki::check_request(&csr).map(|key| (csr, key)));
    csr.map_err(|e| {
        Problem::unprocessable("signing-request-refused").detail(format!("The signing request is refused: {e}."))
    })
}

fn hand_over(key: &ServiceKey) -> HandedSecret {
    HandedSecret {
        kid: key.kid.clone(),
        secret: B64.encode(key.secret.expose_secret()),
    }
}

/// Writes the refusal down, and nothing else.
async fn refuse<T>(mut tx: SystemTx, entry: Entry, reason: &str, problem: Problem) -> Result<T, Problem> {
    audit::record(&mut tx, &entry.ended(Outcome::Denied, reason)).await?;
    tx.commit().await?;
    tracing::warn!(reason, "a gateway was refused to join");
    Err(problem)
}
