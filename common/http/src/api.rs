//! The table of routes. Each entry says who may call it; there is no way to add one without saying so.
mod describe;

use self::describe::{BEARER, describe, operations};
use crate::{
    Problem,
    in_force::InForce,
    json::read_body,
    problem::ProblemDocument,
    repeats::{self, Answers, Repeat},
    sse,
    watch::{self, Asked, Watches},
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{Method, request::Parts},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use exarch_common_authz::Permission;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        OpenApi, RefOr, Schema,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
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

    /// Where the answers of creating routes are kept; a gate before such routes has it, and tells of each request that it
    /// admits who asks ([`repeats::Asking`]).
    fn answers(&self) -> Option<Answers> {
        None
    }

    /// Where lists are watched; a gate before lists has it.
    fn watches(&self) -> Option<Watches> {
        None
    }
}

/// The body of a [`RouteKind::Peer`] request, in its extensions: the service token is bound to its hash.
#[derive(Clone, Debug)]
pub struct PeerBody(pub Bytes);

pub(crate) type Admission<'a> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>;

/// [`Gate`] without its type, so that a room's table of routes does not have to name it.
pub(crate) trait DynGate: Send + Sync {
    fn admit_dyn<'a>(&'a self, kind: RouteKind, parts: &'a mut Parts) -> Admission<'a>;
    fn answers_dyn(&self) -> Option<Answers>;
    fn watches_dyn(&self) -> Option<Watches>;
}

impl<G: Gate> DynGate for G {
    fn admit_dyn<'a>(&'a self, kind: RouteKind, parts: &'a mut Parts) -> Admission<'a> {
        Box::pin(self.admit(kind, parts))
    }

    fn answers_dyn(&self) -> Option<Answers> {
        self.answers()
    }

    fn watches_dyn(&self) -> Option<Watches> {
        self.watches()
    }
}

/// What a route does beside calling its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Plain,
    Creates(Repeat),
    Lists(&'static [&'static str]),
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
    schemas: BTreeMap<String, RefOr<Schema>>,
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
        let schemas = components.schemas.clone().into_iter().collect();
        Self {
            router: OpenApiRouter::with_openapi(doc),
            gate: Arc::new(gate),
            table: Vec::new(),
            seen: BTreeSet::new(),
            schemas,
        }
    }

    /// Adds what `utoipa_axum::routes!` made: `.route(RouteKind::Public, routes!(discovery))`.
    ///
    /// # Panics
    /// When the method and path are in the table already: two rooms claim one route, and nothing should start. Likewise when
    /// two types are described under one name: one would silently stand for the other.
    #[must_use]
    pub fn route(self, kind: RouteKind, routes: UtoipaMethodRouter<S>) -> Self {
        self.add(kind, Manner::Plain, routes)
    }

    /// Adds a route that makes something: its handler commits by [`repeats::Once`], and a repeat under the same
    /// `Idempotency-Key` is answered as `repeat` says.
    ///
    /// # Panics
    /// As [`Api::route`].
    #[must_use]
    pub fn creates(self, kind: RouteKind, repeat: Repeat, routes: UtoipaMethodRouter<S>) -> Self {
        self.add(kind, Manner::Creates(repeat), routes)
    }

    /// Adds a list: it can be watched ([`crate::watch`]), and looks again at a notification on one of `channels`, which tell
    /// of changes of what it shows.
    ///
    /// # Panics
    /// As [`Api::route`], or when nobody listens on a channel.
    #[must_use]
    pub fn lists(self, kind: RouteKind, channels: &'static [&'static str], routes: UtoipaMethodRouter<S>) -> Self {
        if let Some(watches) = self.gate.watches_dyn() {
            watches.expect(channels);
        }
        self.add(kind, Manner::Lists(channels), routes)
    }

    fn add(mut self, kind: RouteKind, manner: Manner, (schemas, mut paths, methods): UtoipaMethodRouter<S>) -> Self {
        for (name, schema) in &schemas {
            let known = self.schemas.entry(name.clone()).or_insert_with(|| schema.clone());
            assert!(
                known == schema,
                "two different bodies are called {name} in the description"
            );
        }
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                assert!(
                    self.seen.insert((path.clone(), method.to_string())),
                    "two routes for {method} {path}"
                );
                describe(&method, operation, kind, manner);
                self.table.push(RouteEntry {
                    method,
                    path: path.clone(),
                    kind,
                });
            }
        }
        let gate = self.gate.clone();
        let gated = methods.route_layer(from_fn(move |request, next| {
            admit(gate.clone(), kind, manner, request, next)
        }));
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

async fn admit(gate: Arc<dyn DynGate>, kind: RouteKind, manner: Manner, request: Request, next: Next) -> Response {
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
    if let Manner::Lists(channels) = manner
        && parts.method == Method::GET
        && sse::wants_events(&parts.headers)
    {
        let watches = gate.watches_dyn();
        let asked = Asked {
            gate,
            kind,
            parts,
            next,
        };
        return watch::open(watches, channels, asked).await;
    }
    let admitted = gate.admit_dyn(kind, &mut parts).await;
    let in_force = InForce::of(&parts.extensions);
    let request = Request::from_parts(parts, body);
    let response = match (admitted, manner) {
        (Err(problem), _) => problem.into_response(),
        (Ok(()), Manner::Plain | Manner::Lists(_)) => next.run(request).await,
        (Ok(()), Manner::Creates(repeat)) => repeats::once(gate.answers_dyn(), repeat, request, next).await,
    };
    InForce::tell(in_force, response)
}

#[cfg(test)]
mod tests;
