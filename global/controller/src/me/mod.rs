//! The signed-in person's own affairs.
mod read;
mod switch;

use crate::app::App;
use exarch_common_http::Api;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    switch::routes(read::routes(api))
}
