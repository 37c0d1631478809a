//! Streams over a list that is none of a database's: what wakes them here is the period alone.
use super::*;
use crate::{
    Api, Gate, Json, Page,
    serve::{Connections, PlainListener, ServeOptions, serve_plain},
};
use axum::{
    Router,
    extract::State,
    http::{Method, header::ACCEPT},
};
use exarch_common_pg::{PoolSettings, Schema};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the list answers at each look.
type Answers = Arc<Mutex<Box<dyn FnMut() -> Result<Vec<Value>, Problem> + Send>>>;

#[derive(Clone)]
struct Open(Watches);

impl Gate for Open {
    async fn admit(&self, _: RouteKind, _: &mut Parts) -> Result<(), Problem> {
        Ok(())
    }

    fn watches(&self) -> Option<Watches> {
        Some(self.0.clone())
    }
}

#[utoipa::path(get, path = "/v1/things", params(crate::PageQuery), responses((status = 200, body = Page<String>)))]
async fn things(State(answers): State<Answers>) -> Result<Json<Page<Value>>, Problem> {
    let items = (answers.lock().unwrap())()?;
    Ok(Json(Page::new(items, None)))
}

fn quick() -> WatchLimits {
    WatchLimits {
        period: Duration::from_millis(10),
        gap: Duration::from_millis(1),
        ..WatchLimits::default()
    }
}

/// A list with these limits; nothing listens at the address of its database.
fn list(limits: WatchLimits, answer: impl FnMut() -> Result<Vec<Value>, Problem> + Send + 'static) -> Router {
    let nowhere = PoolSettings::from_url(Schema::Global, &"postgres://nobody@127.0.0.1:1/none".to_owned().into());
    let wakeups = Arc::new(Wakeups::listen(&nowhere.unwrap(), &["things"]));
    let watches = Watches::new(wakeups, &["things"], limits);
    let api = Api::new(OpenApi::default(), Open(watches));
    let api = api.lists(RouteKind::SelfOnly, &["things"], routes!(things));
    let answers: Answers = Arc::new(Mutex::new(Box::new(answer)));
    api.split().0.with_state(answers)
}

fn request() -> Request {
    let request = Request::builder().method(Method::GET).uri("/v1/things");
    request.header(ACCEPT, "text/event-stream").body(Body::empty()).unwrap()
}

/// All events of a stream until its end, as `name: data`.
async fn whole(router: Router) -> Vec<String> {
    let mut body = router.oneshot(request()).await.unwrap().into_body().into_data_stream();
    let mut text = String::new();
    let reading = async {
        while let Some(more) = body.next().await {
            text.push_str(std::str::from_utf8(&more.unwrap()).unwrap());
        }
    };
    timeout(PATIENCE, reading).await.expect("the stream ends");
    let field = |block: &str, name: &str| block.lines().find_map(|l| l.strip_prefix(name)).map(str::to_owned);
    let blocks = text.split("\n\n");
    blocks
        .filter_map(|block| Some(format!("{}: {}", field(block, "event: ")?, field(block, "data: ")?)))
        .collect()
}

#[tokio::test]
async fn a_stream_ends_when_its_time_is_over_and_says_so() {
    let life = Duration::from_millis(100);
    let events = whole(list(WatchLimits { life, ..quick() }, || Ok(Vec::new()))).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0], r#"page: {"items":[]}"#);
    assert!(
        events[1].starts_with("end: ") && events[1].contains("watch-over"),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_look_that_fails_is_made_again_and_a_refusal_ends_the_stream() {
    let mut looks = 0;
    let router = list(quick(), move || {
        looks += 1;
        match looks {
            1 => Ok(Vec::new()),
            2 => Err(Problem::unavailable("database-unavailable", RETRY)),
            3 => Ok(vec![json!({"id": "a"})]),
            _ => Err(Problem::forbidden("permission-denied")),
        }
    });
    let events = whole(router).await;
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[1], r#"added: {"id":"a"}"#);
    assert!(
        events[2].starts_with("end: ") && events[2].contains("permission-denied"),
        "{events:?}"
    );
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_makes_room_for_others() {
    let limits = WatchLimits {
        patience: Duration::from_millis(200),
        total: 1,
        ..quick()
    };
    // more at each look than sockets hold
    let mut looks = 0;
    let router = list(limits, move || {
        looks += 1;
        Ok(vec![
            json!({"id": "a", "look": looks, "text": "x".repeat(8 * 1024 * 1024)}),
        ])
    });
    let listener = PlainListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let connections = Connections::new();
    let serving = serve_plain(
        listener,
        router.clone(),
        ServeOptions::default(),
        connections.clone(),
        stop.clone(),
    );
    let serving = tokio::spawn(serving);
    let mut idle = TcpStream::connect(at).await.unwrap();
    idle.write_all(b"GET /v1/things HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let gone = async {
        while connections.open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the connection is ended");
    let admitted = router.oneshot(request()).await.unwrap();
    assert_eq!(admitted.status(), 200);
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
#[should_panic(expected = "a channel that was named to listen()")]
async fn a_list_that_names_a_channel_nobody_listens_on_does_not_start() {
    let nowhere = PoolSettings::from_url(Schema::Global, &"postgres://nobody@127.0.0.1:1/none".to_owned().into());
    let wakeups = Arc::new(Wakeups::listen(&nowhere.unwrap(), &["things"]));
    let watches = Watches::new(wakeups, &["things"], WatchLimits::default());
    let api: Api<Answers> = Api::new(OpenApi::default(), Open(watches));
    let _ = api.lists(RouteKind::SelfOnly, &["other"], routes!(things));
}
