//! Answers about one thing that has versions.
use crate::{Json, Problem, conditions::etag};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// 200 with the thing and the `ETag` of its version.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    /// Rises with each change.
    pub version: u64,
    /// The thing.
    pub body: T,
}

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        ([(header::ETAG, etag(self.version))], Json(self.body)).into_response()
    }
}

/// 201 with the new thing, its `ETag` and where it is from now on.
#[derive(Clone, Debug)]
pub struct Created<T> {
    /// Its path, as `/v1/clusters/clu_…`.
    pub location: String,
    /// Its first version.
    pub version: u64,
    /// The thing.
    pub body: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let location = match HeaderValue::try_from(self.location) {
            Ok(location) => location,
            Err(e) => return Problem::internal(&e).into_response(),
        };
        let headers = [(header::LOCATION, location), (header::ETAG, etag(self.version))];
        (StatusCode::CREATED, headers, Json(self.body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_thing_says_where_it_is_and_which_version() {
        let response = Created {
            location: "/v1/clusters/clu_1".to_owned(),
            version: 1,
            body: "x",
        }
        .into_response();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()[header::LOCATION], "/v1/clusters/clu_1");
        assert_eq!(response.headers()[header::ETAG], "\"1\"");
        let response = Versioned { version: 7, body: "x" }.into_response();
        assert_eq!(response.headers()[header::ETAG], "\"7\"");
    }
}
