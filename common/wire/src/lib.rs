//! What travels between processes: names, tokens, passports, health, agents' messages, versions.
//!
//! Both sides meet here and nowhere else. A message between our own processes tolerates members that it does not know
//! (the other side may be one version ahead); what people send is read strictly elsewhere.
pub mod agent;
pub mod api_key;
pub mod audit;
pub mod federation;
pub mod grant;
pub mod health;
pub mod key_token;
pub mod names;
pub mod passport;
pub mod service;
pub mod tombstone;
pub mod user_token;

/// The protocol that this version speaks; it understands the one before as well.
pub const PROTOCOL: u32 = 1;
/// The oldest protocol understood.
pub const PROTOCOL_MIN: u32 = 1;
