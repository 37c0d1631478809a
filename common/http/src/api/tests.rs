use super::*;
use crate::{Json, List, Path, problem::PROBLEM_JSON};
use axum::{
    Extension,
    extract::State,
    http::{StatusCode, header},
};
use exarch_common_authz::Action as _;
use exarch_common_authz::perm;
use exarch_common_base::RegionId;
use serde::{Deserialize, Serialize};
use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};
use tower::ServiceExt;
use utoipa_axum::routes;

#[derive(Clone)]
struct App(Arc<AtomicU32>);

type Asked = (RouteKind, Option<Bytes>);

/// Admits who names the kind of the route in the header, and writes down what it was asked.
#[derive(Clone, Default)]
struct ByHeader(Arc<Mutex<Vec<Asked>>>);

#[derive(Clone)]
struct Who(String);

impl Gate for ByHeader {
    async fn admit(&self, kind: RouteKind, parts: &mut Parts) -> Result<(), Problem> {
        let body = parts.extensions.get::<PeerBody>().map(|b| b.0.clone());
        self.0.lock().unwrap().push((kind, body));
        let Some(shown) = parts.headers.get("x-kind") else {
            return match kind {
                RouteKind::Public => Ok(()),
                _ => Err(Problem::unauthorized("unauthenticated")),
            };
        };
        if shown.as_bytes() == kind.to_string().as_bytes() {
            parts.extensions.insert(Who("the caller".into()));
            return Ok(());
        }
        Err(Problem::forbidden("permission-denied"))
    }
}

#[derive(Serialize, Deserialize, ToSchema)]
struct Named {
    name: String,
}

#[utoipa::path(get, path = "/v1/open", responses((status = 200)))]
async fn open() -> &'static str {
    "open"
}

#[utoipa::path(get, path = "/v1/regions", params(crate::PageQuery), responses((status = 200, body = crate::Page<Named>)))]
async fn list(List { page, .. }: List) -> Json<crate::Page<Named>> {
    let name = page.limit.to_string();
    Json(crate::Page::new(vec![Named { name }], None))
}

#[utoipa::path(post, path = "/v1/regions", request_body = Named,
    responses((status = 201, body = Named), (status = 409, description = "region-name-taken: choose another name")))]
async fn create(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Json(input): Json<Named>,
) -> (StatusCode, Json<Named>) {
    app.0.fetch_add(1, Ordering::SeqCst);
    let name = format!("{} by {}", input.name, who.0);
    (StatusCode::CREATED, Json(Named { name }))
}

#[utoipa::path(get, path = "/v1/regions/{id}", responses((status = 200)))]
async fn read(Path(id): Path<RegionId>) -> String {
    id.to_string()
}

#[utoipa::path(post, path = "/federation/v1/poll", request_body = String, responses((status = 200)))]
async fn poll(body: String) -> String {
    body.len().to_string()
}

const LIST: RouteKind = RouteKind::Needs(perm::region::List::PERMISSION);

fn rooms(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(open))
        .route(LIST, routes!(list))
        .route(RouteKind::SelfOnly, routes!(create))
        .route(RouteKind::Agent, routes!(read))
        .route(RouteKind::Peer, routes!(poll))
}

fn doc() -> OpenApi {
    OpenApi::default()
}

struct Served {
    gate: ByHeader,
    made: Arc<AtomicU32>,
    router: Router,
}

fn serve() -> Served {
    let gate = ByHeader::default();
    let made = Arc::new(AtomicU32::new(0));
    let (router, _, _) = Api::new(doc(), gate.clone()).room(rooms).split();
    Served {
        gate,
        router: router.with_state(App(made.clone())),
        made,
    }
}

async fn call(router: &Router, method: &str, path: &str, kind: Option<&str>, body: &str) -> (u16, String) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(kind) = kind {
        request = request.header("x-kind", kind);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn every_route_asks_the_gate_with_its_own_kind() {
    let s = serve();
    assert_eq!(call(&s.router, "GET", "/v1/open", None, "").await.0, 200);
    for (method, path, kind) in [
        ("GET", "/v1/regions", "region.list"),
        ("HEAD", "/v1/regions", "region.list"),
        ("POST", "/v1/regions", "self"),
        ("GET", "/v1/regions/reg_00000000000000000000000000000001", "agent"),
        ("POST", "/federation/v1/poll", "peer"),
    ] {
        let body = r#"{"name":"north"}"#;
        assert_eq!(
            call(&s.router, method, path, None, body).await.0,
            401,
            "{method} {path}"
        );
        assert_eq!(
            call(&s.router, method, path, Some("other"), body).await.0,
            403,
            "{method} {path}"
        );
        let (status, _) = call(&s.router, method, path, Some(kind), body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status}");
    }
}

#[tokio::test]
async fn the_gate_comes_before_the_body_and_hands_the_caller_on() {
    let s = serve();
    assert_eq!(call(&s.router, "POST", "/v1/regions", None, "no json").await.0, 401);
    assert_eq!(
        call(&s.router, "POST", "/v1/regions", Some("self"), "no json").await.0,
        400
    );
    assert_eq!(s.made.load(Ordering::SeqCst), 0);
    let (status, body) = call(&s.router, "POST", "/v1/regions", Some("self"), r#"{"name":"north"}"#).await;
    assert_eq!((status, &*body), (201, r#"{"name":"north by the caller"}"#));
}

#[tokio::test]
async fn the_gate_sees_the_body_of_a_peer_and_the_handler_still_has_it() {
    let s = serve();
    let (status, body) = call(&s.router, "POST", "/federation/v1/poll", Some("peer"), "12345").await;
    assert_eq!((status, &*body), (200, "5"));
    let asked = s.gate.0.lock().unwrap();
    assert_eq!(
        asked.last().unwrap(),
        &(RouteKind::Peer, Some(Bytes::from_static(b"12345")))
    );
}

#[tokio::test]
async fn a_method_the_path_does_not_take_is_405_without_asking_who_it_is() {
    let s = serve();
    assert_eq!(call(&s.router, "DELETE", "/v1/regions", None, "").await.0, 405);
    assert!(s.gate.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_path_that_names_nothing_is_404_and_says_what_was_expected() {
    let s = serve();
    for path in ["/v1/regions/agt_00000000000000000000000000000001", "/v1/regions/x"] {
        let (status, body) = call(&s.router, "GET", path, Some("agent"), "").await;
        assert_eq!(status, 404, "{path}");
        assert!(body.contains("reg_"), "{body}");
    }
    assert_eq!(
        call(&s.router, "GET", "/v1/regions/%ff", Some("agent"), "").await.0,
        400
    );
}

#[test]
fn the_table_lists_every_route_with_its_kind() {
    let (_, _, table) = Api::new(doc(), ByHeader::default()).room(rooms).split();
    let rows: Vec<_> = table
        .iter()
        .map(|r| format!("{} {} {}", r.method, r.path, r.kind))
        .collect();
    assert_eq!(
        rows,
        [
            "GET /v1/open public",
            "GET /v1/regions region.list",
            "POST /v1/regions self",
            "GET /v1/regions/{id} agent",
            "POST /federation/v1/poll peer",
        ]
    );
}

#[test]
#[should_panic(expected = "two routes for GET /v1/open")]
fn a_route_that_occurs_twice_does_not_start() {
    let _ = Api::new(doc(), ByHeader::default())
        .room(rooms)
        .route(RouteKind::SelfOnly, routes!(open));
}

mod another {
    #[derive(serde::Serialize, utoipa::ToSchema)]
    pub(super) struct Named {
        pub(super) number: u32,
    }

    #[utoipa::path(get, path = "/v1/others", responses((status = 200, body = Named)))]
    pub(super) async fn others() -> crate::Json<Named> {
        crate::Json(Named { number: 1 })
    }
}

#[test]
#[should_panic(expected = "two different bodies are called Named")]
fn two_types_of_one_name_are_not_described_as_each_other() {
    let _ = Api::new(doc(), ByHeader::default())
        .room(rooms)
        .route(RouteKind::SelfOnly, routes!(another::others));
}

#[test]
fn the_description_says_who_may_call_and_which_problems_come() {
    let describe = || Api::new(doc(), ByHeader::default()).room(rooms).split().1;
    let text = openapi_json(&describe()).unwrap();
    for _ in 0..8 {
        assert_eq!(
            openapi_json(&describe()).unwrap(),
            text,
            "the same table gives the same text"
        );
    }
    let doc: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(doc["openapi"], "3.1.0");
    let list = &doc["paths"]["/v1/regions"]["get"];
    assert_eq!(
        (&list["x-exarch-kind"], &list["x-exarch-permission"]),
        (&"needs".into(), &"region.list".into())
    );
    assert_eq!(doc["paths"]["/v1/open"]["get"]["security"], serde_json::json!([]));
    assert!(doc["paths"]["/v1/open"]["get"]["responses"].get("401").is_none());
    let create = &doc["paths"]["/v1/regions"]["post"]["responses"];
    for status in [
        "400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "503",
    ] {
        let schema = &create[status]["content"][PROBLEM_JSON]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/Problem", "{status}");
    }
    assert_eq!(create["409"]["description"], "region-name-taken: choose another name");
    for schema in ["Problem", "FieldError", "Named"] {
        assert!(doc["components"]["schemas"].get(schema).is_some(), "{schema}");
    }
}
