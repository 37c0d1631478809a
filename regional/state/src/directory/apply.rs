//! Taking what the global sends, wholly or not at all.
use super::{Age, Current, Directory, Held, Index, Ready, Unusable, authority_key, history, store};
use exarch_common_crypto::{hash::sha256, sign::PublicKey};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::{
    passport::{Entry, Passport, Push, Refusal, read_statement},
    user_token::Version,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// What is offered, and what it is a change of.
#[derive(Clone, Copy, Debug)]
pub enum Offer<'a> {
    /// Changes since the passport in force. What does not fit is asked for anew.
    Changes(&'a Push),
    /// Everything, to be had nowhere else: what does not fit is refused.
    Whole(&'a Push),
}

/// What became of an offer.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in force.
    Applied(Version),
    /// The passport in force was confirmed.
    Confirmed,
    /// Nothing new.
    Known,
    /// The contents of these sections are needed first.
    Needs(Vec<Entry>),
    /// It is no change of the passport in force: ask for it.
    OutOfStep,
    /// The last good one stays in force.
    Refused(Refused),
}

/// Why an offer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not verify.
    #[error(transparent)]
    Invalid(#[from] Refusal),
    /// It verifies and cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// Why an offer could be neither taken nor refused.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The request that brought it was used before.
    #[error("this request was used before")]
    Replayed,
    /// Other replicas were faster again and again.
    #[error("other replicas apply passports at the same time")]
    Busy,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Directory {
    /// Takes an offer. `spend` is the number of the request that brought it: it is used up in the transaction of the effect.
    ///
    /// # Errors
    /// [`TakeError`]; nothing has changed then.
    pub async fn take(&self, offer: Offer<'_>, spend: Option<&str>) -> Result<Taken, TakeError> {
        let mut held = self.held.lock().await;
        for _ in 0..3 {
            if let Some(taken) = self.attempt(&mut held, offer, spend).await? {
                if let Taken::Refused(cause) = &taken {
                    self.refuse(offer, cause).await;
                }
                return Ok(taken);
            }
            self.refresh(&mut held).await?;
        }
        Err(TakeError::Busy)
    }

    /// One attempt; nothing when another replica has applied a newer one meanwhile, which must be taken over first.
    async fn attempt(
        &self,
        held: &mut Held,
        offer: Offer<'_>,
        spend: Option<&str>,
    ) -> Result<Option<Taken>, TakeError> {
        let (Offer::Changes(push) | Offer::Whole(push)) = offer;
        if let Some(current) = &held.current
            && (push.manifest.is_empty() || push.manifest == current.passport.manifest)
        {
            return self.confirm(held, &push.statement, spend).await.map(Some);
        }
        let base = held.current.as_ref().map(|current| &current.passport);
        let base = base.filter(|_| matches!(offer, Offer::Changes(_)));
        let (next, missing) = Passport::after(base, push);
        let ready = match self.ready(next, &held.authority, held.high) {
            Ok(ready) => ready,
            Err(Refused::Invalid(Refusal::Section(_)))
                if missing.iter().any(|e| !push.sections.contains_key(&e.id)) =>
            {
                return Ok(Some(Taken::Needs(missing)));
            }
            Err(Refused::Invalid(Refusal::Entries | Refusal::Section(_))) if matches!(offer, Offer::Changes(_)) => {
                return Ok(Some(Taken::OutOfStep));
            }
            Err(refused) => return Ok(Some(Taken::Refused(refused))),
        };
        let version = ready.verified.manifest.version;
        // The manifest is another one, so its number must be, too.
        if held.current.as_ref().is_some_and(|current| current.version >= version) {
            return Ok(Some(Taken::Refused(Refusal::OtherManifest.into())));
        }
        let mut tx = SystemTx::begin(&self.pool, "apply-passport").await?;
        if let Some(jti) = spend {
            self.spend(&mut tx, jti).await?;
        }
        let high = store::lock_high(&mut tx).await?;
        if high > held.high {
            held.high = high;
            return Ok(None);
        }
        self.save(&mut tx, &ready, held.current.as_ref()).await?;
        tx.commit().await?;
        let age = self.received(&ready);
        self.put_in_force(held, ready, age).await;
        Ok(Some(Taken::Applied(version)))
    }

    async fn spend(&self, tx: &mut SystemTx, jti: &str) -> Result<(), TakeError> {
        if crate::spend(tx, jti, self.ambient.now()).await? {
            Ok(())
        } else {
            Err(TakeError::Replayed)
        }
    }

    pub(super) async fn save(&self, tx: &mut SystemTx, ready: &Ready, before: Option<&Current>) -> Result<(), DbError> {
        let both = [Some(&ready.passport), before.map(|current| &current.passport)];
        let keep: BTreeSet<Vec<u8>> = both
            .into_iter()
            .flatten()
            .flat_map(|passport| passport.entries.values().map(|entry| entry.sha256.to_vec()))
            .collect();
        let authority: Vec<_> = ready
            .authority
            .iter()
            .map(|(kid, key)| (kid.clone(), key.raw().to_vec()))
            .collect();
        let write = store::Write {
            version: ready.verified.manifest.version,
            passport: &ready.passport,
            as_of: ready.verified.statement.as_of,
            now: self.ambient.now(),
            keep: &keep.into_iter().collect::<Vec<_>>(),
            authority: &authority,
        };
        store::save(tx, &write).await?;
        history::remember(tx, ready, before, self.ambient.now()).await
    }

    /// Verifies a passport whole and lays it out.
    pub(super) fn ready(
        &self,
        passport: Passport,
        authority: &HashMap<String, PublicKey>,
        high: Version,
    ) -> Result<Ready, Refused> {
        let verified = passport.verify(self.region, |kid| authority.get(kid).cloned(), Some(high))?;
        let index = Index::build(verified.manifest.version, &verified.contents)?;
        let keys = &verified.contents.authority;
        let authority = std::iter::once(&keys.current).chain(&keys.next).map(authority_key);
        let authority = authority.collect::<Result<_, _>>()?;
        Ok(Ready {
            passport,
            verified,
            index,
            authority,
        })
    }

    /// A statement about the passport in force, and nothing else.
    async fn confirm(&self, held: &mut Held, statement: &[u8], spend: Option<&str>) -> Result<Taken, TakeError> {
        let Some(current) = &held.current else {
            return Ok(Taken::OutOfStep);
        };
        let as_of = match self.about(held, statement) {
            Ok(as_of) => as_of,
            Err(refusal) => return Ok(Taken::Refused(refusal.into())),
        };
        if self.as_of() >= Some(as_of) && spend.is_none() {
            return Ok(Taken::Known);
        }
        let version = current.version;
        let written = async {
            let mut tx = SystemTx::begin(&self.pool, "confirm-passport").await?;
            if let Some(jti) = spend {
                self.spend(&mut tx, jti).await?;
            }
            store::restate(&mut tx, version, statement, as_of).await?;
            Ok::<_, TakeError>(tx.commit().await?)
        };
        let written = written.await;
        // A request that must not be repeated has no effect when it cannot be written down as used.
        if spend.is_some() {
            written?;
            self.restate(held, statement).await;
        } else {
            self.restate(held, statement).await;
            written?;
        }
        Ok(Taken::Confirmed)
    }

    /// Puts a newer statement about the passport in force in its place; an older one, or one about another, changes nothing.
    pub(super) async fn restate(&self, held: &mut Held, statement: &[u8]) {
        let Ok(as_of) = self.about(held, statement) else {
            tracing::error!("a statement about the passport in force was refused");
            return;
        };
        if self.as_of() >= Some(as_of) {
            return;
        }
        let age = Age::start(as_of, self.ambient.now(), self.ambient.boot());
        self.age.store(Some(Arc::new(age)));
        self.write_freshness(statement, &age).await;
        if let Some(current) = &mut held.current {
            current.passport.statement = statement.to_vec();
        }
    }

    /// The time of a statement that is about the passport in force.
    fn about(&self, held: &Held, statement: &[u8]) -> Result<i64, Refusal> {
        let current = held.current.as_ref().ok_or(Refusal::OtherManifest)?;
        let read = read_statement(statement, |kid| held.authority.get(kid).cloned())?;
        if read.region != self.region {
            return Err(Refusal::OtherRegion);
        }
        if read.version != current.version || read.manifest != sha256(&current.passport.manifest) {
            return Err(Refusal::OtherManifest);
        }
        Ok(read.as_of)
    }

    /// Keeps aside, raises the alarm, and remembers to report.
    async fn refuse(&self, offer: Offer<'_>, cause: &Refused) {
        let (Offer::Changes(push) | Offer::Whole(push)) = offer;
        let version = match cause {
            Refused::Invalid(Refusal::Lower(version, _)) => *version,
            _ => push.entries.iter().map(|entry| entry.version).max().unwrap_or_default(),
        };
        metrics::counter!("exarch_passports_refused_total").increment(1);
        tracing::error!(%version, %cause, "ALARM: a passport was refused; the last good one stays in force");
        let name = format!("{:020}.cbor", self.ambient.now().unix_timestamp_nanos());
        let bytes = push.to_bytes();
        self.on_disk(move |disk| disk.keep_aside(&name, &bytes)).await;
        *self.refused.lock().expect("no holder of this lock panics") = Some((version, cause.to_string()));
    }
}
