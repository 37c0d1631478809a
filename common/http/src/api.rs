//! The table of routes. Each entry says who may call it; there is no way to add one without saying so.
use crate::{
    Problem,
    json::read_body,
    problem::{PROBLEM_JSON, ProblemDocument},
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{Method, StatusCode, request::Parts},
    middleware::{Next, from_fn},
    response::IntoResponse,
};
use exarch_common_authz::Permission;
use serde_json::Value;
use std::{collections::BTreeSet, fmt, future::Future, pin::Pin, sync::Arc};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder,
        extensions::ExtensionsBuilder,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Anyone, without credentials.
    Public,
    /// A signed-in caller, for what is their own.
    SelfOnly,
    /// An agent of this region, on its own connection.
    Agent,
    /// The other side of the federation, on its own connection. The body is read before the gate; see [`PeerBody`].
    Peer,
    /// A caller who holds the permission at the target's scope.
    Needs(Permission),
}

impl RouteKind {
    /// `public`, `self`, `agent`, `peer` or `needs`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::SelfOnly => "self",
            Self::Agent => "agent",
            Self::Peer => "peer",
            Self::Needs(_) => "needs",
        }
    }

    /// The permission that is needed, if the route needs one.
    pub const fn permission(self) -> Option<Permission> {
        match self {
            Self::Needs(permission) => Some(permission),
            Self::Public | Self::SelfOnly | Self::Agent | Self::Peer => None,
        }
    }
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.permission() {
            Some(permission) => f.write_str(permission.name()),
            None => f.write_str(self.as_str()),
        }
    }
}

/// Authenticates each request and admits it or not. It puts the authenticated caller into the request's extensions, where
/// the handler's extractor finds it.
pub trait Gate: Clone + Send + Sync + 'static {
    /// Called for every request of a route, [`RouteKind::Public`] ones too, before its body is decoded.
    fn admit(&self, kind: RouteKind, parts: &mut Parts) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// The body of a [`RouteKind::Peer`] request, in its extensions: the service token is bound to its hash.
#[derive(Clone, Debug)]
pub struct PeerBody(pub Bytes);

type Admission<'a> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>;

/// [`Gate`] without its type, so that a room's table of routes does not have to name it.
trait DynGate: Send + Sync {
    fn admit_dyn<'a>(&'a self, kind: RouteKind, parts: &'a mut Parts) -> Admission<'a>;
}

impl<G: Gate> DynGate for G {
    fn admit_dyn<'a>(&'a self, kind: RouteKind, parts: &'a mut Parts) -> Admission<'a> {
        Box::pin(self.admit(kind, parts))
    }
}

/// One row of the table of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// The method.
    pub method: Method,
    /// The template, as `/v1/leases/{id}`.
    pub path: String,
    /// Who may call it.
    pub kind: RouteKind,
}

/// Collects routes with their kinds and descriptions.
pub struct Api<S> {
    router: OpenApiRouter<S>,
    gate: Arc<dyn DynGate>,
    table: Vec<RouteEntry>,
    seen: BTreeSet<(String, String)>,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// An empty table; `doc` holds title and description, `gate` stands before every route.
    pub fn new(mut doc: OpenApi, gate: impl Gate) -> Self {
        let components = doc.components.get_or_insert_default();
        components
            .schemas
            .insert(ProblemDocument::name().into_owned(), ProblemDocument::schema());
        let mut schemas = Vec::new();
        ProblemDocument::schemas(&mut schemas);
        components.schemas.extend(schemas);
        components.security_schemes.insert(
            BEARER.to_owned(),
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()).into(),
        );
        Self {
            router: OpenApiRouter::with_openapi(doc),
            gate: Arc::new(gate),
            table: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Adds what `utoipa_axum::routes!` made: `.route(RouteKind::Public, routes!(discovery))`.
    ///
    /// # Panics
    /// When the method and path are in the table already: two rooms claim one route, and nothing should start.
    #[must_use]
    pub fn route(mut self, kind: RouteKind, (schemas, mut paths, methods): UtoipaMethodRouter<S>) -> Self {
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                assert!(
                    self.seen.insert((path.clone(), method.to_string())),
                    "two routes for {method} {path}"
                );
                describe(operation, kind);
                self.table.push(RouteEntry {
                    method,
                    path: path.clone(),
                    kind,
                });
            }
        }
        let gate = self.gate.clone();
        let gated = methods.route_layer(from_fn(move |request, next| admit(gate.clone(), kind, request, next)));
        self.router = self.router.routes((schemas, paths, gated));
        self
    }

    /// Lets a room add its routes: `api.room(leases::routes)`.
    #[must_use]
    pub fn room(self, routes: impl FnOnce(Self) -> Self) -> Self {
        routes(self)
    }

    /// All routes so far.
    pub fn table(&self) -> &[RouteEntry] {
        &self.table
    }

    /// The router, its description and its table.
    pub fn split(self) -> (Router<S>, OpenApi, Vec<RouteEntry>) {
        let (router, doc) = self.router.split_for_parts();
        (router, doc, self.table)
    }
}

/// The description as it is served and committed: the same text for the same table, always.
pub fn openapi_json(doc: &OpenApi) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(doc)?;
    settle(&mut value);
    serde_json::to_string_pretty(&value).map(|text| text + "\n")
}

/// Extensions are kept in a hash map: their order would differ from run to run.
fn settle(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let (mut extensions, rest): (Vec<_>, Vec<_>) = std::mem::take(map)
                .into_iter()
                .partition(|(key, _)| key.starts_with("x-"));
            extensions.sort_by(|a, b| a.0.cmp(&b.0));
            map.extend(rest.into_iter().chain(extensions));
            map.values_mut().for_each(settle);
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        _ => {}
    }
}

async fn admit(gate: Arc<dyn DynGate>, kind: RouteKind, request: Request, next: Next) -> axum::response::Response {
    let (mut parts, mut body) = request.into_parts();
    if kind == RouteKind::Peer {
        match read_body(body).await {
            Ok(bytes) => {
                parts.extensions.insert(PeerBody(bytes.clone()));
                body = Body::from(bytes);
            }
            Err(problem) => return problem.into_response(),
        }
    }
    match gate.admit_dyn(kind, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

const BEARER: &str = "bearer";

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::OPTIONS, &mut item.options),
        (Method::HEAD, &mut item.head),
        (Method::PATCH, &mut item.patch),
        (Method::TRACE, &mut item.trace),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_mut().map(|o| (method, o)))
}

/// Writes the kind into the description, and the problems that every route of the kind can answer with.
fn describe(operation: &mut Operation, kind: RouteKind) {
    let mut extensions = ExtensionsBuilder::new().add("x-exarch-kind", kind.as_str());
    if let Some(permission) = kind.permission() {
        extensions = extensions.add("x-exarch-permission", permission.name());
    }
    operation.extensions.get_or_insert_default().merge(extensions.build());
    let problem = || {
        ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(ProblemDocument::name())))
            .build()
    };
    // A route's own problems are written as status and sentence; the form is always the same.
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && (status.starts_with('4') || status.starts_with('5'))
            && response.content.is_empty()
        {
            response.content.insert(PROBLEM_JSON.to_owned(), problem().into());
        }
    }
    let mut common = vec![400, 429, 500, 503];
    match kind {
        RouteKind::Public => operation.security = Some(Vec::new()),
        RouteKind::SelfOnly | RouteKind::Agent | RouteKind::Peer | RouteKind::Needs(_) => {
            common.extend([401, 403, 404]);
            operation
                .security
                .get_or_insert_with(|| vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
        }
    }
    if operation.request_body.is_some() {
        common.extend([413, 415, 422]);
    }
    for status in common {
        let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
        operation
            .responses
            .responses
            .entry(status.to_string())
            .or_insert_with(|| {
                ResponseBuilder::new()
                    .description(reason.unwrap_or("Problem"))
                    .content(PROBLEM_JSON, problem())
                    .build()
                    .into()
            });
    }
}

#[cfg(test)]
mod tests;
