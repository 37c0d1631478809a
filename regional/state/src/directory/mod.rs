//! What this replica knows of tenants and people: the passport, applied.
//!
//! Readers take [`Directory::current`] and never wait: the index is built whole and swapped whole. Its age is kept apart,
//! because it is renewed each half minute while the index stays.
//!
//! A passport is applied in this order, and a stop between any two steps is repaired at the next start: verified whole →
//! laid out → written to the database, with the highest version ever applied → swapped in → written to the disk. What is
//! refused at any step leaves the last good one in force.
mod age;
mod apply;
mod boot;
mod disk;
mod history;
mod index;
mod store;
#[cfg(feature = "testing")]
mod testing;
mod tombstone;

pub use age::Age;
pub use apply::{Offer, Refused, TakeError, Taken};
pub use boot::OpenError;
pub use history::{Then, then};
pub use index::{EntitlementEntry, Index, KeyEntry, MembershipEntry, TenantEntry, Unusable, UserEntry};

use arc_swap::{ArcSwapOption, Guard};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use disk::{Disk, Freshness};
use exarch_common_base::{Ambient, RegionId};
use exarch_common_crypto::sign::{Algorithm, PublicKey};
use exarch_common_pg::{AppPool, DbError, SystemTx};
use exarch_common_wire::{
    federation::AuthorityKey,
    passport::{Passport, Tier, TierLimits, Verified},
    tombstone::Tombstone,
    user_token::Version,
};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, OnceLock},
};
use tokio::sync::watch;

/// The directory of one replica.
pub struct Directory {
    ambient: Ambient,
    limits: TierLimits,
    region: RegionId,
    pool: AppPool,
    disk: Disk,
    /// Which start of the machine this is.
    boot_id: String,
    index: ArcSwapOption<Index>,
    age: ArcSwapOption<Age>,
    held: tokio::sync::Mutex<Held>,
    applied: watch::Sender<Option<Version>>,
    refused: Mutex<Option<(Version, String)>>,
    removed: OnceLock<Tombstone>,
}

/// What one apply at a time works on.
#[derive(Default)]
struct Held {
    current: Option<Current>,
    /// The highest version ever applied in this region, as far as this replica knows.
    high: Version,
    /// What signs passports.
    authority: HashMap<String, PublicKey>,
}

/// The passport in force.
struct Current {
    version: Version,
    passport: Passport,
}

/// A passport that was verified and laid out, ready to be put in force.
struct Ready {
    passport: Passport,
    verified: Verified,
    index: Index,
    authority: HashMap<String, PublicKey>,
}

impl Directory {
    /// Knows nobody.
    fn empty(
        ambient: Ambient,
        limits: TierLimits,
        region: RegionId,
        pool: AppPool,
        disk: Disk,
        boot_id: String,
    ) -> Self {
        Self {
            ambient,
            limits,
            region,
            pool,
            disk,
            boot_id,
            index: ArcSwapOption::empty(),
            age: ArcSwapOption::empty(),
            held: tokio::sync::Mutex::default(),
            applied: watch::Sender::new(None),
            refused: Mutex::default(),
            removed: OnceLock::new(),
        }
    }

    /// The index in force, if there is one. Take it once for each decision: two readings may be two passports.
    pub fn current(&self) -> Guard<Option<Arc<Index>>> {
        self.index.load()
    }

    /// Seconds since the global last stood by the passport.
    pub fn age(&self) -> Option<u64> {
        let age = self.age.load();
        Some(age.as_ref()?.seconds(self.ambient.now(), self.ambient.boot()))
    }

    /// When that was, seconds since 1970.
    pub fn as_of(&self) -> Option<i64> {
        Some(self.age.load().as_ref()?.as_of())
    }

    /// What age leaves of the passport; nothing when there is none.
    pub fn tier(&self) -> Option<Tier> {
        self.index.load().as_ref()?;
        self.age().map(|age| self.limits.tier(age))
    }

    /// The ages at which the tiers end.
    pub fn limits(&self) -> TierLimits {
        self.limits
    }

    /// Changes with every passport that is put in force.
    pub fn applied(&self) -> watch::Receiver<Option<Version>> {
        self.applied.subscribe()
    }

    /// The last passport that was refused, as long as nobody was told.
    pub fn refused(&self) -> Option<(Version, String)> {
        self.refused.lock().expect("no holder of this lock panics").clone()
    }

    /// The global was told of `refusal`.
    pub fn told(&self, refusal: &(Version, String)) {
        let mut refused = self.refused.lock().expect("no holder of this lock panics");
        if refused.as_ref() == Some(refusal) {
            *refused = None;
        }
    }

    /// Picks up what another replica applied. One trivial query when that is nothing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn look(&self) -> Result<(), DbError> {
        let mut tx = SystemTx::begin(&self.pool, "look").await?;
        let newest = store::newest(&mut tx).await?;
        tx.rollback().await?;
        let Some((version, as_of)) = newest else { return Ok(()) };
        let have = (self.index.load().as_ref().map(|index| index.version()), self.as_of());
        if have.0 < Some(version) || (have.0 == Some(version) && have.1 < Some(as_of)) {
            self.refresh(&mut *self.held.lock().await).await?;
        }
        Ok(())
    }

    /// Keeps the largest time seen, for a start with a clock set back.
    pub async fn keep_time(&self) {
        let Some(age) = self.age.load_full() else { return };
        let seen = Arc::new(age.seen(self.ambient.now(), self.ambient.boot()));
        let before = self.age.compare_and_swap(&age, Some(seen.clone()));
        // A statement that came in between starts afresh by itself.
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, &age)) {
            let held = self.held.lock().await;
            if let Some(current) = &held.current {
                self.write_freshness(&current.passport.statement, &seen).await;
            }
        }
        if let Some(age) = self.age() {
            metrics::gauge!("exarch_passport_age_seconds").set(age as f64);
        }
    }

    /// Takes over from the database what is newer there. Whoever wrote it verified it; so does this replica.
    async fn refresh(&self, held: &mut Held) -> Result<(), DbError> {
        let mut tx = SystemTx::begin(&self.pool, "refresh").await?;
        let before = held.current.as_ref();
        let newest = store::newest(&mut tx).await?;
        if before.map(|current| current.version) == newest.map(|(version, _)| version) {
            let statement = match before {
                Some(current) => store::statement(&mut tx, current.version).await?,
                None => None,
            };
            tx.rollback().await?;
            if let Some(statement) = statement {
                self.restate(held, &statement).await;
            }
            return Ok(());
        }
        let authority = decode_authority(&store::authority(&mut tx).await?);
        let found = store::load(&mut tx, before.map(|current| &current.passport))
            .await?
            .into_iter()
            .next();
        tx.rollback().await?;
        // A passport that brings a new authority is signed by the one before it, or by the one that it brings.
        let mut keys = held.authority.clone();
        keys.extend(authority);
        let Some(passport) = found else { return Ok(()) };
        match self.ready(passport, &keys, held.high) {
            Ok(ready) => {
                let age = self.received(&ready);
                self.put_in_force(held, ready, age).await;
            }
            Err(cause) => tracing::error!(%cause, "the passport in the database was refused"),
        }
        Ok(())
    }

    /// The age of a statement that was received now.
    fn received(&self, ready: &Ready) -> Age {
        Age::start(ready.verified.statement.as_of, self.ambient.now(), self.ambient.boot())
    }

    /// Swaps `ready` in, and keeps it on the disk. A disk that fails is an alarm and no more: the database has it.
    async fn put_in_force(&self, held: &mut Held, ready: Ready, age: Age) {
        let version = ready.verified.manifest.version;
        self.age.store(Some(Arc::new(age)));
        self.index.store(Some(Arc::new(ready.index)));
        held.authority = ready.authority;
        held.high = held.high.max(version);
        self.applied.send_replace(Some(version));
        tracing::info!(%version, "a passport was applied");
        self.write_passport(version, &ready.passport, held.high).await;
        self.write_freshness(&ready.passport.statement, &age).await;
        held.current = Some(Current {
            version,
            passport: ready.passport,
        });
    }

    async fn write_passport(&self, version: Version, passport: &Passport, high: Version) {
        let passport = passport.clone();
        self.on_disk(move |disk| {
            disk.keep(version, &passport)?;
            disk.set_high(high)
        })
        .await;
    }

    async fn write_freshness(&self, statement: &[u8], age: &Age) {
        let freshness = Freshness::new(statement, age.to_disk(&self.boot_id));
        self.on_disk(move |disk| disk.set_freshness(&freshness)).await;
    }

    async fn on_disk(&self, work: impl FnOnce(&Disk) -> io::Result<()> + Send + 'static) {
        let disk = self.disk.clone();
        let done = tokio::task::spawn_blocking(move || work(&disk)).await;
        let done = done.unwrap_or_else(|e| Err(io::Error::other(e)));
        if let Err(error) = done {
            metrics::counter!("exarch_state_disk_errors_total").increment(1);
            tracing::error!(%error, "the state directory could not be written; after a restart without the database this replica knows less");
        }
    }
}

fn decode_authority(rows: &[(String, Vec<u8>)]) -> HashMap<String, PublicKey> {
    let decoded = rows.iter().filter_map(|(kid, raw)| {
        let key = PublicKey::from_raw(Algorithm::Ed25519, raw).ok()?;
        Some((kid.clone(), key))
    });
    decoded.collect()
}

/// The key of the authority as joining or a passport hands it over.
fn authority_key(key: &AuthorityKey) -> Result<(String, PublicKey), Unusable> {
    let raw = B64.decode(&key.public).ok();
    let public = raw.and_then(|raw| PublicKey::from_raw(Algorithm::Ed25519, &raw).ok());
    public
        .map(|public| (key.kid.clone(), public))
        .ok_or_else(|| Unusable::Authority(key.kid.clone()))
}

/// Believes from now on what this key signs: the first one, when the region joins.
///
/// # Errors
/// It is no key, or cannot be written.
pub async fn trust(tx: &mut SystemTx, key: &AuthorityKey) -> Result<Result<(), Unusable>, DbError> {
    match authority_key(key) {
        Ok((kid, public)) => {
            store::set_authority(tx, &[(kid, public.raw().to_vec())]).await?;
            Ok(Ok(()))
        }
        Err(unusable) => Ok(Err(unusable)),
    }
}
