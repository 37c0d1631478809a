//! Grants whose answers are late, from a gateway that takes its time.
use super::*;
use axum::{Router, extract::State, routing::post};
use exarch_common_base::ManualClock;
use exarch_common_http::{
    Json,
    client::{ApiClient, ClientTls},
    serve::{Connections, PlainListener, ServeOptions, serve_plain},
};
use exarch_common_wire::agent::GrantVerdict;
use std::collections::VecDeque;
use time::macros::datetime;

const TTL: Duration = Duration::from_secs(30);

/// What a request finds, and what it leaves.
struct Gateway {
    clock: ManualClock,
    resource: ResourceId,
    lease: LeaseId,
    /// How long each grant is under way, and its fence.
    grants: Mutex<VecDeque<(Duration, u64)>>,
    renewal: Mutex<Verdict>,
    asked: Mutex<Vec<(&'static str, Fence)>>,
    /// Called before a grant is answered, as if another task had come in between.
    between: Mutex<Option<Box<dyn Fn() + Send>>>,
}

type Shared = Arc<Gateway>;

async fn grant(State(gateway): State<Shared>) -> Json<Granted> {
    let (delay, generation) = gateway.grants.lock().unwrap().pop_front().unwrap();
    gateway.clock.advance(delay);
    if let Some(between) = gateway.between.lock().unwrap().take() {
        between();
    }
    Json(Granted {
        verdict: GrantVerdict::Granted,
        lease: gateway.lease,
        grant: "signed".into(),
        fence: Fence::new(1, generation),
        seq: 1,
        ttl_ms: TTL.as_millis() as u64,
    })
}

fn note(gateway: &Gateway, what: &'static str, body: &HeldBatch) {
    let fences = body.leases.iter().map(|held| (what, held.fence));
    gateway.asked.lock().unwrap().extend(fences);
}

async fn renew(State(gateway): State<Shared>, Json(body): Json<HeldBatch>) -> Json<Verdicts> {
    note(&gateway, "renew", &body);
    let verdicts = vec![*gateway.renewal.lock().unwrap(); body.leases.len()];
    Json(Verdicts { verdicts })
}

async fn release(State(gateway): State<Shared>, Json(body): Json<HeldBatch>) -> Json<Verdicts> {
    note(&gateway, "release", &body);
    let verdicts = vec![Verdict::Released; body.leases.len()];
    Json(Verdicts { verdicts })
}

struct Scene {
    gateway: Shared,
    keeper: Keeper,
    _stop: tokio_util::sync::DropGuard,
}

impl Scene {
    async fn new(grants: &[(u64, u64)]) -> Self {
        exarch_common_crypto::init().unwrap();
        let (ambient, clock) = Ambient::manual(datetime!(2026-01-01 12:00 UTC), 1);
        let grants = grants.iter().map(|&(delay, fence)| (Duration::from_secs(delay), fence));
        let gateway = Arc::new(Gateway {
            clock,
            resource: ambient.id(),
            lease: ambient.id(),
            grants: Mutex::new(grants.collect()),
            renewal: Mutex::new(Verdict::Renewed),
            asked: Mutex::default(),
            between: Mutex::default(),
        });
        let router = Router::new()
            .route("/agent/v1/leases", post(grant))
            .route("/agent/v1/leases/renew", post(renew))
            .route("/agent/v1/leases/release", post(release))
            .with_state(gateway.clone());
        let listener = PlainListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let options = ServeOptions::default();
        tokio::spawn(serve_plain(listener, router, options, Connections::new(), stop.clone()));
        let link = Link::of(ApiClient::new(&base, ClientTls::System).unwrap());
        Self {
            gateway,
            keeper: Keeper::new(ambient, link),
            _stop: stop.drop_guard(),
        }
    }

    async fn acquire(&self) -> Result<Acquired, LeaseError> {
        let actions = vec![Action::Start];
        self.keeper.acquire(self.gateway.resource, actions, TTL).await
    }

    fn asked(&self) -> Vec<(&'static str, u64)> {
        let asked = self.gateway.asked.lock().unwrap();
        asked.iter().map(|(what, fence)| (*what, fence.generation)).collect()
    }
}

#[tokio::test]
async fn a_grant_that_is_in_time_is_kept_and_nothing_else_is_asked() {
    let scene = Scene::new(&[(1, 7)]).await;
    let lease = scene.acquire().await.unwrap();
    assert_eq!((lease.fence, scene.asked()), (Fence::new(1, 7), vec![]));
}

#[tokio::test]
async fn a_grant_after_its_deadline_is_used_only_after_a_renewal() {
    let scene = Scene::new(&[(31, 7)]).await;
    let lease = scene.acquire().await.unwrap();
    assert_eq!(scene.asked(), [("renew", 7)]);
    let Event::Good(hold) = *lease.events.borrow() else {
        panic!()
    };
    assert!(
        hold.may_begin(scene.keeper.ambient.boot(), Duration::ZERO),
        "a whole stretch"
    );
}

#[tokio::test]
async fn a_late_grant_that_is_not_renewed_is_given_back_and_leaves_nothing() {
    for verdict in [Verdict::Lost, Verdict::Revoking, Verdict::Unknown] {
        let scene = Scene::new(&[(31, 7)]).await;
        *scene.gateway.renewal.lock().unwrap() = verdict;
        assert!(matches!(scene.acquire().await, Err(LeaseError::Late)));
        assert_eq!(scene.asked(), [("renew", 7), ("release", 7)]);
        assert!(scene.keeper.kept().is_empty());
    }
}

/// The same request twice: the first answer comes after the second, when its own stretch is over. What runs under the
/// fence goes on.
#[tokio::test]
async fn a_late_grant_of_a_fence_with_a_live_deadline_releases_nothing() {
    let scene = Scene::new(&[(40, 7)]).await;
    let (keeper, resource, lease) = (scene.keeper.clone(), scene.gateway.resource, scene.gateway.lease);
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    *scene.gateway.between.lock().unwrap() = Some(Box::new(move || {
        let held = Held {
            lease,
            resource,
            fence: Fence::new(1, 7),
        };
        let hold = Hold::new(keeper.ambient.boot(), TTL);
        *keep.lock().unwrap() = Some(keeper.keep(held, "signed".into(), hold));
    }));
    assert!(matches!(scene.acquire().await, Err(LeaseError::Late)));
    assert_eq!(scene.asked(), []);
    let live = kept.lock().unwrap().take().unwrap();
    assert!(matches!(*live.events.borrow(), Event::Good(_)));
    assert!(scene.keeper.kept().contains_key(&scene.gateway.resource));
}

#[tokio::test]
async fn an_answer_for_a_fence_that_was_given_back_meanwhile_is_ignored() {
    for delay in [1, 31] {
        let scene = Scene::new(&[(0, 7), (delay, 7), (0, 8)]).await;
        scene.acquire().await.unwrap();
        // while the second request is under way the lease ends
        let (keeper, resource) = (scene.keeper.clone(), scene.gateway.resource);
        *scene.gateway.between.lock().unwrap() = Some(Box::new(move || {
            keeper.forget(resource).unwrap();
        }));
        assert!(matches!(scene.acquire().await, Err(LeaseError::Late)), "{delay}");
        assert_eq!(scene.asked(), [], "{delay}");
        assert!(scene.keeper.kept().is_empty());
        // the next grant is a new one
        assert_eq!(scene.acquire().await.unwrap().fence, Fence::new(1, 8));
    }
}

#[tokio::test]
async fn a_fence_that_was_lost_to_the_deadline_may_be_granted_again_to_whoever_asks_again() {
    let scene = Scene::new(&[(0, 7), (0, 7)]).await;
    scene.acquire().await.unwrap();
    scene.keeper.forget(scene.gateway.resource).unwrap();
    scene.gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.acquire().await.unwrap().fence, Fence::new(1, 7));
}
