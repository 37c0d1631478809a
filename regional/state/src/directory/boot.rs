//! The start: what this replica finds in the database and on its disk is enough to govern, with or without the global.
use super::{Age, Directory, Held, Ready, decode_authority, disk::Disk, store};
use exarch_common_base::{Ambient, RegionId};
use exarch_common_crypto::hash::sha256;
use exarch_common_pg::{AppPool, DbError, SystemTx};
use exarch_common_wire::{
    passport::{Passport, TierLimits, read_statement},
    user_token::Version,
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a directory cannot be opened. A passport that is missing or refused is no reason: the gateway serves without one
/// what needs none.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The state directory.
    #[error("the state directory {} cannot be used: {source}", dir.display())]
    Disk {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Directory {
    /// Finds the newest good passport of `region` in the database and in `dir`, and puts it in force. One below the highest
    /// ever applied is refused wherever it lies: a disk or a database that was set back must not bring back what was
    /// revoked.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        ambient: Ambient,
        limits: TierLimits,
        region: RegionId,
        pool: AppPool,
        dir: &Path,
    ) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Disk {
            dir: dir.to_owned(),
            source,
        };
        let disk = Disk::new(dir);
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(unusable)?;
        let (on_disk, mark, freshness) = {
            let disk = disk.clone();
            let read = move || Ok((disk.passports()?, disk.high()?, disk.freshness()?));
            let read = tokio::task::spawn_blocking(read).await;
            read.unwrap_or_else(|e| Err(io::Error::other(e))).map_err(unusable)?
        };
        let mut tx = SystemTx::begin(&pool, "open-directory").await?;
        let high = store::lock_high(&mut tx).await?;
        let authority = decode_authority(&store::authority(&mut tx).await?);
        let in_database = store::load(&mut tx, None).await?;
        let tombstone = store::tombstone(&mut tx).await?;
        tx.rollback().await?;
        let high = high.max(mark.unwrap_or_default());

        let boot_id = boot_id.trim().to_owned();
        let directory = Self::empty(ambient, limits, region, pool, disk, boot_id);
        let stored = in_database.len();
        let best = in_database
            .into_iter()
            .chain(on_disk)
            .enumerate()
            .filter_map(|(place, passport)| match directory.ready(passport, &authority, high) {
                Ok(ready) => Some((place < stored, ready)),
                Err(cause) => {
                    let place = if place < stored { "database" } else { "disk" };
                    tracing::warn!(place, %cause, "a stored passport is not used");
                    None
                }
            })
            // Of two that are the same, the one in the database.
            .max_by_key(|(in_database, ready)| (ready.verified.manifest.version, *in_database));
        let mut held = Held {
            current: None,
            high,
            authority,
        };
        if let Some(signed) = tombstone {
            match directory.believe(&held, &signed) {
                Ok(tombstone) => {
                    tracing::error!("ALARM: the global has removed this region; nobody is let in");
                    let _ = directory.removed.set(tombstone);
                }
                Err(cause) => tracing::error!(%cause, "the stored tombstone is not believed"),
            }
        }
        let Some((in_database, mut ready)) = best else {
            if high > Version::default() {
                tracing::error!(%high, "ALARM: no stored passport is good; nobody may enter until the global sends one");
            }
            *directory.held.lock().await = held;
            return Ok(directory);
        };
        if !in_database {
            tracing::warn!("the disk has a newer passport than the database; it is written there");
            let mut tx = SystemTx::begin(&directory.pool, "restore-passport").await?;
            directory.save(&mut tx, &ready, None).await?;
            tx.commit().await?;
        }
        let kept = freshness.as_ref().map(|freshness| freshness.age.clone());
        if let Some(statement) = freshness.and_then(|freshness| freshness.statement()) {
            newer_statement(&mut ready, &statement, &held);
        }
        let mut age = directory.received(&ready);
        // It was received before this start: the time that went by since counts.
        if let Some(kept) = kept {
            let (wall, boot) = (directory.ambient.now(), directory.ambient.boot());
            age = Age::from_disk(&kept.about(age.as_of()), &directory.boot_id, wall, boot);
        }
        directory.put_in_force(&mut held, ready, age).await;
        *directory.held.lock().await = held;
        directory.keep_time().await;
        Ok(directory)
    }
}

/// Takes the statement on disk if it is a newer one about the same passport.
fn newer_statement(ready: &mut Ready, statement: &[u8], held: &Held) {
    let Ok(read) = read_statement(statement, |kid| held.authority.get(kid).cloned()) else {
        return;
    };
    let (passport, verified): (&mut Passport, _) = (&mut ready.passport, &mut ready.verified);
    let same = read.region == verified.statement.region
        && read.version == verified.statement.version
        && read.manifest == sha256(&passport.manifest);
    if same && read.as_of > verified.statement.as_of {
        passport.statement = statement.to_vec();
        verified.statement = read;
    }
}
