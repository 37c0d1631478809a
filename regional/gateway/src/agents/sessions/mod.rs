//! An agent's sessions: two factors on every call, the certificate of the connection and a token bound to it.
//!
//! A session is opened by a signature over a challenge and the next link of a chain. The chain tells a copied identity: a
//! link is spent once, and whoever comes with other bytes for a spent one has the same state as somebody before.
mod authenticate;
mod challenge;
mod open;
mod store;
mod token;

pub(super) use authenticate::{Certified, Memory, agent_of};
pub use authenticate::{authenticate, in_time};
pub(super) use challenge::session_challenge;
pub(super) use open::open_session;
pub(super) use store::begin_chain;

// what `routes!` makes of a handler's name
pub(super) use challenge::__path_session_challenge;
pub(super) use open::__path_open_session;
