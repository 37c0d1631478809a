//! Why something was refused, and who may do a thing. A refusal is kept as it was decided ([`exarch_common_authz::Record`]), by
//! the room `audit`, which writes it in batches; here it is read, put to the policy again and explained. What a refusal does not
//! tell, its explanation does not tell to the one who was refused either.
mod get;
mod people;
mod store;
mod who_can;

use crate::app::App;
use exarch_common_http::Api;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    who_can::routes(get::routes(api))
}
