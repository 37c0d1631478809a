//! Hashing passwords on few threads, and how often an account may try.
use crate::settings;
use arc_swap::ArcSwap;
use exarch_common_base::ExposeSecret;
use exarch_common_base::{Ambient, SecretString, UserId};
use exarch_common_crypto::password::{Hasher, Verdict};
use exarch_common_http::Problem;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// How many times more often an address may ask than an account may be tried.
const ASKS_PER_TRY: NonZeroU32 = NonZeroU32::new(6).expect("not zero");

/// What sign-ins share. A hash takes a core for a good part of a tenth of a second: more of them at a time than there are threads
/// would starve everything else, so the others wait, and when too many wait the answer is 429.
pub struct SigningIn {
    hasher: Arc<Hasher>,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    rates: ArcSwap<Rates>,
}

/// How often an account, a second factor and an address may be tried.
struct Rates {
    tries: DefaultKeyedRateLimiter<[u8; 32]>,
    codes: DefaultKeyedRateLimiter<UserId>,
    asks: DefaultKeyedRateLimiter<String>,
}

impl Rates {
    fn new(settings: &settings::SignIn) -> Self {
        let per_minute = NonZeroU32::new(settings.per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            tries: RateLimiter::keyed(Quota::per_minute(per_minute)),
            codes: RateLimiter::keyed(Quota::per_minute(per_minute)),
            asks: RateLimiter::keyed(Quota::per_minute(per_minute.saturating_mul(ASKS_PER_TRY))),
        }
    }
}

impl SigningIn {
    /// With the limits of the settings.
    pub fn new(hasher: Hasher, settings: &settings::SignIn) -> Self {
        let threads = settings.hashing_threads.max(1) as usize;
        Self {
            hasher: Arc::new(hasher),
            running: Arc::new(Semaphore::new(threads)),
            admitted: Arc::new(Semaphore::new(threads + settings.hashing_queue as usize)),
            rates: ArcSwap::from_pointee(Rates::new(settings)),
        }
    }

    /// Puts another number of tries in force; what was counted within the last minute is forgotten.
    pub fn limit(&self, settings: &settings::SignIn) {
        self.rates.store(Arc::new(Rates::new(settings)));
    }

    /// Counts a try of an account; 429 when there were too many within a minute.
    ///
    /// # Errors
    /// 429.
    pub fn may_try(&self, account: &[u8; 32]) -> Result<(), Problem> {
        self.rates.load().tries.check_key(account).map_err(|_| limited())
    }

    /// The same for codes of a second factor, which are tried by whoever has the password.
    ///
    /// # Errors
    /// 429.
    pub fn may_try_code(&self, user: UserId) -> Result<(), Problem> {
        self.rates.load().codes.check_key(&user).map_err(|_| limited())
    }

    /// Counts a program that asks to be let in, by the address it asks from: many people may share one.
    ///
    /// # Errors
    /// 429.
    pub fn may_ask(&self, address: &str) -> Result<(), Problem> {
        self.rates
            .load()
            .asks
            .check_key(&address.to_owned())
            .map_err(|_| limited())
    }

    /// Drops what is remembered of accounts that nobody tries any more.
    pub fn forget_idle(&self) {
        let rates = self.rates.load();
        rates.tries.retain_recent();
        rates.codes.retain_recent();
        rates.asks.retain_recent();
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// 429 when too many wait.
    pub async fn hash(&self, ambient: &Ambient, password: SecretString) -> Result<String, Problem> {
        let salt = ambient.bytes::<16>();
        self.run(move |hasher| hasher.hash(password.expose_secret(), salt))
            .await
    }

    /// Checks a password against what is stored, or against nothing, which takes as long.
    ///
    /// # Errors
    /// 429 when too many wait.
    pub async fn verify(&self, stored: Option<String>, password: SecretString) -> Result<Verdict, Problem> {
        self.run(move |hasher| hasher.verify(stored.as_deref(), password.expose_secret()))
            .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Hasher) -> T + Send + 'static) -> Result<T, Problem> {
        let Ok(admitted) = self.admitted.clone().try_acquire_owned() else {
            metrics::counter!("exarch_password_hashing_refused_total").increment(1);
            return Err(Problem::too_many(Duration::from_secs(2))
                .detail("Too many people are signing in at this moment: try again in a few seconds."));
        };
        let permit = self.running.clone().acquire_owned().await;
        let permit = permit.map_err(|closed| Problem::internal(&closed))?;
        let hasher = self.hasher.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&hasher);
            // held to the end of the work, also when nobody waits for it any more
            drop((permit, admitted));
            done
        });
        done.await.map_err(|e| Problem::internal(&e))
    }
}

fn limited() -> Problem {
    metrics::counter!("exarch_sign_in_limited_total").increment(1);
    Problem::too_many(Duration::from_secs(10)).detail("Too many tries in a short time: wait a little.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn small() -> SigningIn {
        let hasher = Hasher::with_iterations(b"pepper".to_vec().into(), NonZeroU32::MIN);
        let limits = settings::SignIn {
            hashing_threads: 1,
            hashing_queue: 1,
            per_minute: 2,
            ..settings::SignIn::default()
        };
        SigningIn::new(hasher, &limits)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn over_its_queue_hashing_answers_429_and_works_again_after() {
        let pool = Arc::new(small());
        let (go, wait) = mpsc::channel::<()>();
        let busy = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(move |_| wait.recv().is_ok()).await.is_ok() })
        };
        while pool.running.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.verify(None, "x".to_owned().into()).await.is_ok() })
        };
        while pool.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = pool.verify(None, "x".to_owned().into()).await.unwrap_err();
        assert_eq!(refused.status(), 429);
        go.send(()).unwrap();
        assert!(busy.await.unwrap() && waiting.await.unwrap());
        assert_eq!(pool.verify(None, "x".to_owned().into()).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn each_account_has_tries_of_its_own() {
        let pool = small();
        for _ in 0..2 {
            pool.may_try(&[1; 32]).unwrap();
        }
        assert_eq!(pool.may_try(&[1; 32]).unwrap_err().status(), 429);
        pool.may_try(&[2; 32]).unwrap();
    }
}
