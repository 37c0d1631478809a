//! Building sections anew, and the next version.
mod store;

use super::store::{Head, lock};
use crate::app::App;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::RegionId;
use exarch_common_crypto::{hash::sha256, sign::KeyError};
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use exarch_common_wire::{
    PROTOCOL, PROTOCOL_MIN,
    federation::AuthorityKey,
    passport::{self, Manifest},
    user_token::Version,
};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Why a passport could not be made; the change that asked for it must fail with it.
#[derive(Debug, thiserror::Error)]
pub enum TouchError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The authority's key does not sign.
    #[error("the passport cannot be signed")]
    Sign(#[from] KeyError),
}

impl From<TouchError> for Problem {
    fn from(error: TouchError) -> Self {
        match error {
            TouchError::Db(e) => e.into(),
            TouchError::Sign(_) => Problem::internal(&error),
        }
    }
}

/// Brings the section of the transaction's tenant up to date in every region that knows the tenant, or should. Call it
/// last, in the transaction of the change.
///
/// # Errors
/// [`TouchError`]; the caller must not commit then.
pub async fn touch_tenant(app: &App, tx: &mut TenantTx) -> Result<(), TouchError> {
    let (tenant, now) = (tx.tenant(), app.ambient.now());
    let id = passport::tenant_section(tenant);
    let regions = store::regions_of_tenant(tx.conn(), tenant, &id, now).await?;
    let begins = store::next_break_glass(tx.conn(), tenant, now).await?;
    // Locked first and read after: whoever waited here reads what the one before has committed.
    for head in lock(tx.conn(), &regions).await? {
        let contents = store::tenant_contents(tx.conn(), tenant, head.region, now).await?;
        let section = Section {
            id: id.clone(),
            ends_at: contents
                .as_ref()
                .and_then(|contents| next_end(contents).into_iter().chain(begins).min()),
            contents: contents.as_ref().map(passport::section_bytes),
        };
        advance(app, tx.conn(), head, vec![section], now).await?;
    }
    Ok(())
}

/// When something in the section has ended by itself: the entitlement, a membership, a key or a secret of one. A section knows whole seconds, cut
/// off; within the next one it is over for certain.
fn next_end(tenant: &passport::Tenant) -> Option<OffsetDateTime> {
    let memberships = tenant.memberships.iter().filter_map(|m| m.until);
    let secrets = |key: &passport::ApiKey| key.secrets.iter().filter_map(|s| s.until).chain(key.until).min();
    let keys = tenant.api_keys.iter().filter_map(secrets);
    let first = memberships.chain(tenant.entitlement.until).chain(keys).min()?;
    OffsetDateTime::from_unix_timestamp(first.saturating_add(1)).ok()
}

/// Brings the common sections (users' keys, the authority, revocations) up to date in every region. Call it last, in the
/// transaction of the change.
///
/// # Errors
/// [`TouchError`]; the caller must not commit then.
pub async fn touch_common(app: &App, tx: &mut SystemTx) -> Result<(), TouchError> {
    let regions = store::all_regions(tx.conn()).await?;
    common(app, tx.conn(), &regions).await
}

/// The first passport of a region that was just registered.
///
/// # Errors
/// [`TouchError`]; the caller must not commit then.
pub async fn found(app: &App, conn: &mut PgConnection, region: RegionId) -> Result<(), TouchError> {
    store::insert_passport(&mut *conn, region, app.ambient.now()).await?;
    common(app, conn, &[region]).await
}

async fn common(app: &App, conn: &mut PgConnection, regions: &[RegionId]) -> Result<(), TouchError> {
    let now = app.ambient.now();
    let heads = lock(&mut *conn, regions).await?;
    // From the database and not from memory: what the transaction itself has changed must be in.
    let (keys, keys_end) = store::user_keys(&mut *conn, app.settings.public.url.clone(), now).await?;
    let revocations = store::revocations(&mut *conn, now).await?;
    let authority = app.keys.authority();
    let authority = passport::Authority {
        current: AuthorityKey {
            kid: authority.kid.clone(),
            public: B64.encode(authority.key.public().raw()),
        },
        next: None,
    };
    for head in heads {
        let section = |id: &str, contents: Vec<u8>, ends_at| Section {
            id: id.to_owned(),
            contents: Some(contents),
            ends_at,
        };
        let sections = vec![
            section(passport::KEYS, passport::section_bytes(&keys), keys_end),
            section(passport::AUTHORITY, passport::section_bytes(&authority), None),
            section(passport::REVOCATIONS, passport::section_bytes(&revocations), None),
        ];
        advance(app, &mut *conn, head, sections, now).await?;
    }
    Ok(())
}

/// A section as it should be; without contents it should be gone.
pub(super) struct Section {
    pub id: String,
    pub contents: Option<Vec<u8>>,
    pub ends_at: Option<OffsetDateTime>,
}

/// Writes the sections that differ under the next version and signs the list. Where nothing differs there is no version.
async fn advance(
    app: &App,
    conn: &mut PgConnection,
    head: Head,
    sections: Vec<Section>,
    now: OffsetDateTime,
) -> Result<(), TouchError> {
    let version = Version(head.version.0, head.version.1 + 1);
    let mut changed = false;
    for section in sections {
        let digest = section.contents.as_deref().map(sha256);
        let (stored, ends_at) = store::section_stored(&mut *conn, head.region, &section.id).await?;
        if stored != digest.map(|d| d.to_vec()) {
            store::put_section(&mut *conn, head.region, version, &section, digest).await?;
            changed = true;
        } else if ends_at != section.ends_at {
            store::set_end(&mut *conn, head.region, &section.id, section.ends_at).await?;
        }
    }
    if !changed {
        return Ok(());
    }
    let entries = store::entries(&mut *conn, head.region).await?;
    let manifest = Manifest {
        region: head.region,
        version,
        protocol: (PROTOCOL_MIN, PROTOCOL),
        entries: passport::entries_digest(&entries),
    };
    let authority = app.keys.authority();
    let signed = passport::sign_manifest(&authority.key, &authority.kid, &manifest)?;
    store::set_manifest(conn, head.region, version, &signed, now).await?;
    Ok(())
}
