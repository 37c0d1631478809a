//! Pages of things whose ids are in the order in which they were made.
use exarch_common_base::{
    ClusterId,
    page::{self, PageToken},
};
use exarch_common_http::{Page, Paging};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// The filter of what lies in clusters.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct OfCluster {
    /// What lies in this cluster alone.
    #[param(value_type = Option<String>, pattern = "^clu_[0-9a-f]{32}$")]
    pub cluster_id: Option<ClusterId>,
}

/// Which rows a query reads: those with an id below `before`, the highest `rows` of them.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The id where the page before ended, or above all.
    pub before: Uuid,
    /// One more than fits on the page, to see whether there is another.
    pub rows: i64,
}

impl Window {
    /// For the page that was asked for.
    pub fn of(paging: &Paging) -> Self {
        Self {
            before: paging.after.map_or(Uuid::max(), |PageToken(id)| id),
            rows: i64::from(paging.limit) + 1,
        }
    }
}

/// The page made of the rows of its [`Window`].
pub fn page<T>(rows: Vec<T>, paging: &Paging, id: impl Fn(&T) -> Uuid) -> Page<T> {
    let (items, next) = page::split(rows, paging.limit, id);
    Page::new(items, next)
}
