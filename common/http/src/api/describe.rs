//! What every route's description says without its author: who may call it, the problems it shares with others of its kind,
//! and the headers that its manner brings with it.
use super::{Manner, RouteKind};
use crate::{
    conditions::{IF_MATCH, KEY, TAGS},
    problem::{PROBLEM_JSON, ProblemDocument},
    repeats::Repeat,
};
use axum::http::{Method, StatusCode};
use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Type,
        extensions::ExtensionsBuilder,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem},
        security::SecurityRequirement,
    },
};

pub(super) const BEARER: &str = "bearer";

pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
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
pub(super) fn describe(method: &Method, operation: &mut Operation, kind: RouteKind, manner: Manner) {
    let mut extensions = ExtensionsBuilder::new().add("x-exarch-kind", kind.as_str());
    if let Some(permission) = kind.permission() {
        extensions = extensions.add("x-exarch-permission", permission.name());
    }
    if let Manner::Creates(repeat) = manner {
        extensions = extensions.add("x-exarch-repeat", repeat.as_str());
        creates(operation, repeat);
    }
    if let Manner::Lists(_) = manner {
        lists(operation);
    }
    if method == Method::PATCH {
        header(
            operation,
            IF_MATCH,
            TAGS,
            Required::True,
            "The ETag of the version that is changed",
        );
    }
    if is_conditional(operation) {
        say(operation, 412, "It was changed meanwhile: read it again");
        say(operation, 428, "If-Match is missing");
    }
    operation.extensions.get_or_insert_default().merge(extensions.build());
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
        common.extend([408, 413, 415, 422]);
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

fn problem() -> utoipa::openapi::Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ProblemDocument::name())))
        .build()
}

/// Whether it is refused without `If-Match`: every PATCH is, and whatever asks for it among its parameters.
fn is_conditional(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name == IF_MATCH && parameter.required == Required::True,
        RefOr::Ref(_) => false,
    })
}

/// The same list as a stream.
fn lists(operation: &mut Operation) {
    let events = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "The page as it changes: `page` (the page), `added`, `changed` and `removed` (an item), `end` (a problem). Who \
             comes back gets a new page.",
        ))
        .build();
    if let Some(RefOr::T(page)) = operation.responses.responses.get_mut("200") {
        let events = ContentBuilder::new().schema(Some(events)).build();
        page.content.insert("text/event-stream".to_owned(), events.into());
    }
}

fn creates(operation: &mut Operation, repeat: Repeat) {
    header(
        operation,
        "Idempotency-Key",
        KEY,
        Required::False,
        match repeat {
            Repeat::Same => {
                "Makes the request safe to repeat: for 24 hours the same key and body get the same answer and have no \
                 effect again"
            }
            Repeat::Secret => {
                "Makes the request safe to repeat: for 24 hours the same key and body have no effect again; the secret \
                 is not shown again"
            }
        },
    );
    let under_way = "the first request with this Idempotency-Key is under way";
    say(
        operation,
        409,
        &match repeat {
            Repeat::Same => format!("Or {under_way}"),
            Repeat::Secret => format!("Or {under_way}, or has shown its secret already: `id` names what it made"),
        },
    );
    say(operation, 422, "Or the Idempotency-Key came with another body before");
}

/// Adds a request header to the description.
fn header(operation: &mut Operation, name: &str, pattern: &str, required: Required, description: &str) {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .build();
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(description))
        .schema(Some(text))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
}

/// Adds a sentence to what a status means here.
fn say(operation: &mut Operation, status: u16, what: &str) {
    let responses = &mut operation.responses.responses;
    let said = responses.entry(status.to_string());
    let said = said.or_insert_with(|| RefOr::T(ResponseBuilder::new().build()));
    if let RefOr::T(response) = said {
        if response.description.is_empty() {
            what.trim_start_matches("Or ").clone_into(&mut response.description);
            if let Some(first) = response.description.get_mut(..1) {
                first.make_ascii_uppercase();
            }
        } else {
            response.description = format!("{}. {what}", response.description);
        }
    }
}
