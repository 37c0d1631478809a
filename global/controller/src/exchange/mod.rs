//! Entering a region: which ones a person may enter, and the token with which they do.
//!
//! Two things are needed: the tenant's entitlement to the region, and a membership that reaches it. Whoever lacks one of
//! them hears that there is no such region. A token is good in one region alone, names the version of the tenant's section
//! at this moment, and outlives neither the session nor the entitlement.
mod entrant;
mod entry;
mod my_regions;
mod routes;
mod store;
#[cfg(test)]
mod tests;
mod token;

pub use routes::routes;
