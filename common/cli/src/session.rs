//! Tokens: the global's pair, renewed in time and once, and one token for each region, exchanged silently and kept.
use crate::{
    Failure,
    api::Api,
    by_key::ByKey,
    failure::Exit,
    profile::{Locked, Profile, Region, Session, Store, TenantRef, Token},
};
use exarch_common_base::{Ambient, ExposeSecret, SecretString, Slug};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;

/// A token is renewed so long before its end: it has to last for the call.
const MARGIN: time::Duration = time::Duration::seconds(30);
/// A region's token is exchanged again so long before its end.
const REGION_MARGIN: time::Duration = time::Duration::seconds(60);

/// The person's tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    store: Store,
    ambient: Ambient,
    timeout: Option<Duration>,
    key: Option<ByKey>,
}

/// A server, and what the person should know about how it was reached.
#[derive(Debug)]
pub struct Reached {
    /// The server, with credentials.
    pub api: Api,
    /// A remark.
    pub remark: Option<String>,
}

/// The pair of tokens as the global gives it.
#[derive(Debug, Deserialize)]
pub struct Pair {
    access_token: SecretString,
    refresh_token: SecretString,
    expires_in: i64,
}

#[derive(Deserialize)]
struct Exchanged {
    access_token: SecretString,
    expires_in: i64,
    region: RegionAt,
    #[serde(default)]
    region_state: Option<String>,
}

#[derive(Deserialize)]
struct RegionAt {
    url: String,
}

/// Reads an answer that has to have certain fields; others do not matter.
pub fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    // What serde says of an answer could hold a token; that it does not fit is enough.
    serde_json::from_value(answer)
        .map_err(|_| Failure::Failed("The answer of the global has not the form expected.".into()))
}

fn signed_out() -> Failure {
    Failure::Denied("Nobody is signed in: run `exarch login`.".into())
}

impl Pair {
    fn access(&self, now: OffsetDateTime) -> Token {
        Token {
            token: self.access_token.clone(),
            expires_at: now + time::Duration::seconds(self.expires_in),
        }
    }

    /// A session that begins with this pair.
    pub fn begin(self, user: String, tenant: Option<TenantRef>, now: OffsetDateTime) -> Session {
        Session {
            user,
            tenant,
            since: now,
            access: self.access(now),
            refresh_token: Some(self.refresh_token),
            regions: Default::default(),
        }
    }
}

impl Tokens {
    /// Those of one profile.
    pub fn new(store: Store, ambient: Ambient, timeout: Option<Duration>) -> Self {
        Self {
            store,
            ambient,
            timeout,
            key: None,
        }
    }

    /// With a key in the place of whatever the profile holds, which is left alone.
    #[must_use]
    pub fn by_key(mut self, key: ByKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Whether a key is used.
    pub fn is_by_key(&self) -> bool {
        self.key.is_some()
    }

    /// The region of a regional key.
    pub fn region_of_key(&self) -> Result<Option<Api>, Failure> {
        match &self.key {
            Some(ByKey::InRegion(url, secret)) => Ok(Some(self.anonymous(url)?.bearer(secret.clone()))),
            _ => Ok(None),
        }
    }

    /// Where they are kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A server without credentials.
    pub fn anonymous(&self, url: &str) -> Result<Api, Failure> {
        Api::new(url, self.timeout)
    }

    /// The global, signed in.
    pub async fn global(&self) -> Result<Api, Failure> {
        match &self.key {
            Some(ByKey::AtGlobal(url, secret)) => return Ok(self.anonymous(url)?.bearer(secret.clone())),
            Some(ByKey::InRegion(..)) => {
                return Err(Failure::Usage("A regional key is known in its region alone.".into()));
            }
            None => {}
        }
        let (global, session) = self.fresh().await?;
        Ok(self.anonymous(&global)?.bearer(session.access.token))
    }

    /// The session as it is kept, whatever became of its tokens.
    pub fn session(&self) -> Result<Session, Failure> {
        if self.key.is_some() {
            return Err(Failure::Usage("An API key has no sign-in: this is for people.".into()));
        }
        self.store.load()?.session.ok_or_else(signed_out)
    }

    async fn fresh(&self) -> Result<(String, Session), Failure> {
        let profile = self.store.load()?;
        if let Some(global) = &profile.global
            && let Some(session) = &profile.session
            && self.is_good(&session.access, MARGIN)
        {
            return Ok((global.clone(), session.clone()));
        }
        self.fresh_under(&self.store.lock().await?).await
    }

    /// The session with an access token that lasts for a call; whoever held the lock before may have renewed it.
    ///
    /// # Errors
    /// Nobody is signed in, the session has ended, or the global is not reached.
    pub async fn fresh_under(&self, locked: &Locked) -> Result<(String, Session), Failure> {
        let mut profile = locked.load()?;
        let Profile {
            global: Some(global),
            session: Some(session),
            ..
        } = &mut profile
        else {
            return Err(signed_out());
        };
        let global = global.clone();
        if !self.is_good(&session.access, MARGIN) {
            let now = self.ambient.now();
            let token = locked.refresh_token(session).await?;
            let body = json!({ "refresh_token": token.expose_secret() });
            let renewed = self.anonymous(&global)?.post("/v1/auth/refresh", &body).await;
            let pair: Pair = read(renewed.map_err(ended)?)?;
            session.access = pair.access(now);
            session.refresh_token = Some(pair.refresh_token);
            // Kept before anything is done with it: the token before it is spent.
            locked.save_session(&mut profile).await?;
        }
        Ok((global, profile.session.ok_or_else(signed_out)?))
    }

    fn is_good(&self, token: &Token, margin: time::Duration) -> bool {
        token.expires_at - margin > self.ambient.now()
    }

    /// A region, entered with a token that is exchanged when the one at hand nears its end. Without the global the one at
    /// hand serves to its end.
    ///
    /// # Errors
    /// Not signed in, not entitled, or neither the global nor a token that lasts.
    pub async fn region(&self, slug: &Slug) -> Result<Reached, Failure> {
        if let Some(api) = self.region_of_key()? {
            return Ok(Reached { api, remark: None });
        }
        if self.key.is_some() {
            let answer: Exchanged = read(entered(&self.global().await?, slug).await?)?;
            let api = self.anonymous(&answer.region.url)?.bearer(answer.access_token);
            return Ok(Reached { api, remark: None });
        }
        let session = self.session()?;
        let known = session.regions.get(slug);
        if let Some(region) = known.filter(|region| self.is_good(&region.token, REGION_MARGIN)) {
            return self.enter(region, None);
        }
        match self.exchange(slug).await {
            Ok((region, state)) => {
                let remark = state
                    .filter(|state| state != "healthy")
                    .map(|state| format!("The region {slug} is {state}."));
                self.enter(&region, remark)
            }
            Err(failure) if failure.exit() == Exit::Unreachable => {
                let Some(region) = known.filter(|region| self.is_good(&region.token, time::Duration::ZERO)) else {
                    return Err(failure);
                };
                let until = region.token.expires_at - self.ambient.now();
                let remark = format!(
                    "Going on with the token at hand, which is good for {} more: {failure}",
                    crate::times::seconds(until.whole_seconds().unsigned_abs())
                );
                self.enter(region, Some(remark))
            }
            Err(failure) => Err(failure),
        }
    }

    fn enter(&self, region: &Region, remark: Option<String>) -> Result<Reached, Failure> {
        let api = self.anonymous(&region.url)?.bearer(region.token.token.clone());
        Ok(Reached { api, remark })
    }

    async fn exchange(&self, slug: &Slug) -> Result<(Region, Option<String>), Failure> {
        let (global, session) = self.fresh().await?;
        let now = self.ambient.now();
        let api = self.anonymous(&global)?.bearer(session.access.token);
        let answer: Exchanged = read(entered(&api, slug).await?)?;
        let region = Region {
            url: answer.region.url,
            token: Token {
                token: answer.access_token,
                expires_at: now + time::Duration::seconds(answer.expires_in),
            },
        };
        let locked = self.store.lock().await?;
        let mut profile = locked.load()?;
        // Meanwhile another command may have signed in or switched the tenant: this token is not of that session.
        if let Some(current) = profile
            .session
            .as_mut()
            .filter(|current| current.since == session.since)
        {
            current.regions.insert(slug.clone(), region.clone());
            locked.save(&profile)?;
        }
        Ok((region, answer.region_state))
    }
}

/// Asks for a token for a region; where the region is about to learn of the tenant, a little later again.
async fn entered(api: &Api, slug: &Slug) -> Result<Value, Failure> {
    const TRIES: usize = 5;
    let path = format!("/v1/regions/{slug}/token");
    for _ in 1..TRIES {
        match api.act(&path).await {
            Err(failure)
                if failure
                    .problem()
                    .is_some_and(|problem| problem.slug() == "passport-pending") =>
            {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            outcome => return outcome,
        }
    }
    api.act(&path).await
}

/// A refused refresh is the end of the session.
fn ended(failure: Failure) -> Failure {
    match failure.exit() {
        Exit::Denied => Failure::Denied("The session has ended: run `exarch login`.".into()),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
    use exarch_common_base::ManualClock;
    use std::sync::{Arc, Mutex};
    use time::macros::datetime;

    const START: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

    /// A global that takes each refresh token once and never again, and exchanges.
    #[derive(Clone, Default)]
    struct Global(Arc<Mutex<Counts>>);

    #[derive(Default)]
    struct Counts {
        number: u32,
        refreshes: u32,
        reused: u32,
        exchanges: u32,
    }

    async fn refresh(State(global): State<Global>, Json(body): Json<Value>) -> axum::response::Response {
        let mut counts = global.0.lock().unwrap();
        if body["refresh_token"] != format!("exr_{}", counts.number) {
            counts.reused += 1;
            return StatusCode::UNAUTHORIZED.into_response();
        }
        counts.number += 1;
        counts.refreshes += 1;
        let n = counts.number;
        Json(json!({"access_token": format!("at_{n}"), "refresh_token": format!("exr_{n}"), "expires_in": 900}))
            .into_response()
    }

    async fn exchange(State(global): State<Global>) -> Json<Value> {
        let mut counts = global.0.lock().unwrap();
        counts.exchanges += 1;
        Json(
            json!({"access_token": format!("rt_{}", counts.exchanges), "expires_in": 900, "region_state": "degraded",
                    "region": {"slug": "eu-north", "url": "http://127.0.0.1:9"}}),
        )
    }

    struct World {
        _root: tempfile::TempDir,
        global: Global,
        tokens: Tokens,
        clock: ManualClock,
        server: tokio::task::JoinHandle<()>,
    }

    async fn world() -> World {
        exarch_common_crypto::init().unwrap();
        let global = Global::default();
        let router = Router::new()
            .route("/v1/auth/refresh", post(refresh))
            .route("/v1/regions/{slug}/token", post(exchange))
            .with_state(global.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path().join("exarch"), "default".parse().unwrap());
        let (ambient, clock) = Ambient::manual(START, 1);
        let pair = Pair {
            access_token: "at_0".into(),
            refresh_token: "exr_0".into(),
            expires_in: 900,
        };
        let profile = Profile {
            global: Some(url),
            email: None,
            session: Some(pair.begin("usr_1".into(), None, START)),
        };
        store.lock().await.unwrap().save(&profile).unwrap();
        World {
            tokens: Tokens::new(store, ambient, None),
            _root: root,
            global,
            clock,
            server,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_commands_at_one_time_one_spends_the_refresh_token() {
        let world = world().await;
        world.clock.advance(Duration::from_secs(880));
        let many: Vec<_> = (0..16)
            .map(|_| {
                let tokens = world.tokens.clone();
                tokio::spawn(async move { tokens.fresh().await.unwrap().1.access.token.expose_secret().to_owned() })
            })
            .collect();
        for one in many {
            assert_eq!(one.await.unwrap(), "at_1");
        }
        let counts = world.global.0.lock().unwrap();
        assert_eq!((counts.refreshes, counts.reused), (1, 0));
        drop(counts);
        assert_eq!(
            world.tokens.session().unwrap().refresh_token.unwrap().expose_secret(),
            "exr_1"
        );
    }

    #[tokio::test]
    async fn a_token_that_lasts_is_not_renewed_and_one_that_nears_its_end_is() {
        let world = world().await;
        world.tokens.fresh().await.unwrap();
        assert_eq!(world.global.0.lock().unwrap().refreshes, 0);
        world.clock.advance(Duration::from_secs(870));
        world.tokens.fresh().await.unwrap();
        assert_eq!(world.global.0.lock().unwrap().refreshes, 1);
    }

    #[tokio::test]
    async fn a_refused_refresh_is_the_end_of_the_session() {
        let world = world().await;
        world.global.0.lock().unwrap().number = 9;
        world.clock.advance(Duration::from_secs(880));
        let refused = world.tokens.fresh().await.unwrap_err();
        assert_eq!(refused.exit(), Exit::Denied);
        assert!(refused.to_string().contains("exarch login"));
    }

    #[tokio::test]
    async fn a_region_is_entered_with_the_token_at_hand_until_it_nears_its_end() {
        let world = world().await;
        let slug: Slug = "eu-north".parse().unwrap();
        let first = world.tokens.region(&slug).await.unwrap();
        assert_eq!(first.remark.as_deref(), Some("The region eu-north is degraded."));
        world.clock.advance(Duration::from_secs(839));
        assert!(world.tokens.region(&slug).await.unwrap().remark.is_none());
        assert_eq!(world.global.0.lock().unwrap().exchanges, 1);
        world.clock.advance(Duration::from_secs(1));
        world.tokens.region(&slug).await.unwrap();
        assert_eq!(world.global.0.lock().unwrap().exchanges, 2);
    }

    #[tokio::test]
    async fn without_the_global_the_token_at_hand_serves_to_its_end_and_no_longer() {
        let world = world().await;
        let slug: Slug = "eu-north".parse().unwrap();
        world.tokens.region(&slug).await.unwrap();
        world.server.abort();
        let _ = world.server.await;
        world.clock.advance(Duration::from_secs(890));
        let reached = world.tokens.region(&slug).await.unwrap();
        assert!(reached.remark.unwrap().contains("good for 10s more"));
        world.clock.advance(Duration::from_secs(10));
        assert_eq!(world.tokens.region(&slug).await.unwrap_err().exit(), Exit::Unreachable);
    }

    #[tokio::test]
    async fn a_region_token_of_an_earlier_session_is_not_kept_for_the_next() {
        let world = world().await;
        let locked = world.tokens.store.lock().await.unwrap();
        let slug: Slug = "eu-north".parse().unwrap();
        let tokens = world.tokens.clone();
        let exchanging = tokio::spawn(async move { tokens.exchange(&slug).await.unwrap() });
        // It has its answer and waits for the lock that we hold.
        while world.global.0.lock().unwrap().exchanges == 0 {
            tokio::task::yield_now().await;
        }
        let mut profile = locked.load().unwrap();
        profile.session.as_mut().unwrap().since += time::Duration::SECOND;
        locked.save(&profile).unwrap();
        drop(locked);
        exchanging.await.unwrap();
        assert!(world.tokens.session().unwrap().regions.is_empty());
    }
}
