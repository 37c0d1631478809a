//! Service secrets: those in force, and how one follows another.
//!
//! One is made here and kept (plan), handed to the global, which may use it from then on (publish), and comes into force
//! once the global has said so (switch); the one before it is accepted for a while longer (retire). Each step is kept
//! before the next begins, so a stop anywhere is taken up where it was, by whichever replica. The newest that the global
//! has acknowledged is never retired.
use super::{NextRow, Purpose, Row, Secrets, SecretsError, keep, newest, open, store};
use exarch_common_base::{Ambient, ExposeSecret};
use exarch_common_crypto::seal::{Place, Sealer};
use exarch_common_pg::{AppPool, SystemTx};
use exarch_common_wire::{
    federation::Direction,
    service::{KEPT, ServiceKey},
};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// The service secrets of a region as one replica last read them.
pub struct ServiceKeys {
    /// Newest first, and never empty.
    up: Vec<InForce>,
    down: Vec<InForce>,
    next: Vec<(Direction, ServiceKey)>,
}

struct InForce {
    key: ServiceKey,
    since: OffsetDateTime,
}

impl ServiceKeys {
    pub(super) fn open(sealer: &Sealer, rows: &[Row], next: &[NextRow]) -> Result<Self, SecretsError> {
        let in_force = |purpose| {
            newest(rows, purpose)?;
            let of_purpose = rows.iter().filter(|row| row.purpose == purpose);
            let opened = of_purpose.map(|row| {
                let secret = open(sealer, row)?.to_vec().into();
                let key = ServiceKey {
                    kid: row.kid.clone(),
                    secret,
                };
                Ok(InForce {
                    key,
                    since: row.created_at,
                })
            });
            opened.collect::<Result<Vec<_>, SecretsError>>()
        };
        let next = next.iter().map(|row| {
            let (kid, purpose) = (row.kid.clone(), purpose(row.direction));
            let opened = sealer.open(place(&row_key(row.direction, &kid)), &row.sealed);
            let secret = opened.map_err(|source| SecretsError::Locked {
                purpose: purpose.as_str(),
                kid: kid.clone(),
                source,
            })?;
            let secret = secret.to_vec().into();
            Ok((row.direction, ServiceKey { kid, secret }))
        });
        Ok(Self {
            up: in_force(Purpose::ServiceUp)?,
            down: in_force(Purpose::ServiceDown)?,
            next: next.collect::<Result<_, SecretsError>>()?,
        })
    }

    /// Signs the gateway's requests.
    pub fn up(&self) -> &ServiceKey {
        &self.up[0].key
    }

    /// A secret of the global's requests. The one that follows is good before it is acknowledged: the global may have it
    /// without our having heard.
    pub fn down(&self, kid: &str) -> Option<&ServiceKey> {
        let in_force = self.down.iter().map(|held| &held.key);
        let next = self.next.iter().filter(|(direction, _)| *direction == Direction::Down);
        in_force.chain(next.map(|(_, key)| key)).find(|key| key.kid == kid)
    }

    /// How many of a direction are in force.
    pub fn many(&self, direction: Direction) -> usize {
        self.of(direction).len()
    }

    fn of(&self, direction: Direction) -> &[InForce] {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    fn next(&self, direction: Direction) -> Option<&ServiceKey> {
        let mut next = self.next.iter().filter(|(of, _)| *of == direction);
        next.next().map(|(_, key)| key)
    }

    fn is_due(&self, direction: Direction, rotation: Duration, now: OffsetDateTime) -> bool {
        now - self.of(direction)[0].since >= rotation
    }
}

impl Secrets {
    /// The service secrets as last read.
    pub fn service(&self) -> Arc<ServiceKeys> {
        self.service.load_full()
    }

    /// Reads them again: another replica may have gone a step.
    ///
    /// # Errors
    /// [`SecretsError`]; those last read stay.
    pub async fn reload_service(&self, pool: &AppPool) -> Result<Arc<ServiceKeys>, SecretsError> {
        let mut tx = SystemTx::begin(pool, "service-secrets").await?;
        let read = self.read_service(&mut tx).await?;
        tx.rollback().await?;
        self.service.store(read.clone());
        Ok(read)
    }

    async fn read_service(&self, tx: &mut SystemTx) -> Result<Arc<ServiceKeys>, SecretsError> {
        let (rows, next) = (store::all(tx).await?, store::next(tx).await?);
        Ok(Arc::new(ServiceKeys::open(&self.sealer, &rows, &next)?))
    }

    /// The secret that follows the newest of `direction`: the one that waits for its acknowledgement, or a new one when the
    /// newest has been in force for `rotation`. Nothing when it is not time.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub async fn plan(
        &self,
        pool: &AppPool,
        ambient: &Ambient,
        direction: Direction,
        rotation: Duration,
    ) -> Result<Option<ServiceKey>, SecretsError> {
        let mut tx = SystemTx::begin(pool, "plan-service-secret").await?;
        store::take_turn(&mut tx).await?;
        let read = self.read_service(&mut tx).await?;
        if let Some(next) = read.next(direction) {
            return Ok(Some(next.clone()));
        }
        if !read.is_due(direction, rotation, ambient.now()) {
            return Ok(None);
        }
        let key = ServiceKey::generate(ambient);
        let row = row_key(direction, &key.kid);
        let sealed = self.sealer.seal(ambient, place(&row), key.secret.expose_secret());
        store::insert_next(&mut tx, direction, &key.kid, &sealed, ambient.now()).await?;
        let read = self.read_service(&mut tx).await?;
        tx.commit().await?;
        self.service.store(read);
        Ok(Some(key))
    }

    /// Puts a secret in force that the global has acknowledged; it is in force already when another replica was faster.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub async fn switch(
        &self,
        pool: &AppPool,
        ambient: &Ambient,
        direction: Direction,
        key: &ServiceKey,
    ) -> Result<(), SecretsError> {
        let mut tx = SystemTx::begin(pool, "switch-service-secret").await?;
        store::take_turn(&mut tx).await?;
        if store::take_next(&mut tx, direction, &key.kid).await? {
            let secret = key.secret.expose_secret();
            let purpose = purpose(direction);
            keep(&mut tx, &self.sealer, ambient, purpose, &key.kid, secret, None).await?;
        }
        let read = self.read_service(&mut tx).await?;
        tx.commit().await?;
        self.service.store(read);
        Ok(())
    }

    /// Retires what was followed by another long enough ago; says how many.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub async fn retire_service(&self, pool: &AppPool, now: OffsetDateTime) -> Result<u64, SecretsError> {
        let mut tx = SystemTx::begin(pool, "retire-service-secrets").await?;
        let retired = store::retire(&mut tx, now - Duration::seconds(KEPT), now).await?;
        let read = self.read_service(&mut tx).await?;
        tx.commit().await?;
        self.service.store(read);
        Ok(retired)
    }
}

const fn purpose(direction: Direction) -> Purpose {
    match direction {
        Direction::Up => Purpose::ServiceUp,
        Direction::Down => Purpose::ServiceDown,
    }
}

fn row_key(direction: Direction, kid: &str) -> String {
    format!("{}/{kid}", direction.as_str())
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: "gw.next_secret",
        column: "sealed",
        row,
    }
}
