//! Pages of a list: `limit`, `page_token` in; `items`, `next_page_token` out.
use crate::Problem;
use exarch_common_base::page::{DEFAULT_LIMIT, MAX_LIMIT, PageToken};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The page parameters that every list takes; read them with [`crate::List`].
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items per page: 20 unless said, at most 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default)]
    limit: Option<u16>,
    /// The `next_page_token` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    #[serde(default)]
    page_token: Option<String>,
}

/// Which page is asked for, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Items at most: 1 to 100.
    pub limit: u16,
    /// Where the page before ended; nothing for the first page.
    pub after: Option<PageToken>,
}

impl PageQuery {
    pub(crate) fn checked(self) -> Result<Paging, Problem> {
        let refused = |name: &str, reason: String| {
            Problem::bad_request("malformed-query")
                .detail("A parameter of the query cannot be accepted; see errors.")
                .error(name, reason)
        };
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(refused("limit", format!("expected a number from 1 to {MAX_LIMIT}")));
        }
        let after = self.page_token.as_deref().map(PageToken::decode).transpose();
        Ok(Paging {
            limit,
            after: after.map_err(|e| refused("page_token", e.to_string()))?,
        })
    }
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, newest first unless the route says otherwise.
    pub items: Vec<T>,
    /// Give it as `page_token` to get the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

impl<T> Page<T> {
    /// A page and what comes after it.
    pub fn new(items: Vec<T>, next: Option<PageToken>) -> Self {
        Self {
            items,
            next_page_token: next.map(PageToken::encode),
        }
    }

    /// The same page of other things.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            next_page_token: self.next_page_token,
        }
    }
}
