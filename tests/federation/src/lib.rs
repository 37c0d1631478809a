//! End to end: real processes, real databases, the public API. The tests are in `tests/`, what they share is here.
//!
//! - `start`: what cannot start says so at once, in one line, with or without a database.
//! - `hostile`: one box, and everything bad that can be sent to it, also by two thousand sockets at once; at last its databases
//!   are stopped under load.
//! - `matrix`: who may do what, where, in which state of the tenant: every route at real servers, against the golden table.
//! - `units`: what is shipped for systemd, run as it stands there.
//! - `replicas`: two processes of the global and of each gateway, and what is lost when one of them is.
//! - `life`: signals, settings read again, a replica that loses its database; at last every secret of the box is looked for
//!   in all that its processes wrote down, said and were started with.
//! - `clock`: a region whose clock goes on by 45 days while the global is stopped.
//! - `boxes`: boxes come and go, beside each other, and leave nothing.
//!
//! Some refusals need what only a crate's own test can make: a clock that is moved, a gateway that lies. They are held there, on
//! real TLS and real Postgres, and are not copied here:
//!
//! | what | held by |
//! | --- | --- |
//! | service token with another body, path, query, method, direction, connection, pair or time; used twice | `global/controller/src/federation/tests/service_token.rs`, `regional/gateway/src/federation/tests.rs` (`a_wrong_service_token_…`) |
//! | an answer that the global did not sign | `regional/gateway/src/federation/tests.rs` (`an_answer_that_the_global_did_not_sign_…`) |
//! | passport: a flipped byte, another signature, another region, a lower version, a missing section | `regional/gateway/src/fake_global/tests.rs` (`what_does_not_hold_…`, `another_passport_of_the_same_number_…`) |
//! | join: wrong curve, bad self-signature, a second gateway, a flood | `global/controller/src/federation/tests/join.rs` |
//! | enrolment: wrong curve, CA = true, extra names, name taken | `regional/gateway/src/agents/tests/enrolment.rs` |
//! | agent: copied identity, another's certificate, a dead session token | `regional/gateway/src/agents/tests/sessions.rs` |
//! | a token that dies with its time, tiers of a passport by its age | `regional/gateway/src/sessions/tests.rs` |
//! | a database that breaks off at each call of a sign-in, refresh, join, enrolment, session, grant, renewal, release | `breaks.rs` in `tests/public/tests`, `global/controller/src/federation/tests`, `regional/gateway/src/agents/tests`, `regional/gateway/src/leases/tests` |
//! | TLS 1.2, plaintext, foreign certificates | `common/http/src/serve/tests.rs`, `global/controller/src/federation/tests/tunnel.rs` |
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "in a test a panic is the report"
)]
mod federation;
pub mod http;
pub mod peers;
pub mod suite;

pub use federation::{ADA, EU, Federation, GRACE, OWNER, US, free_base};
pub use http::{Answer, Client};

use std::path::PathBuf;

/// One of our programs: they stand beside the folder of the tests.
///
/// # Panics
/// It was not built.
pub fn program(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("a process knows its program");
    let path = exe.ancestors().nth(2).expect("tests lie two levels down").join(name);
    assert!(
        path.is_file(),
        "{} is missing; build first: cargo build --workspace --bins",
        path.display()
    );
    path
}
