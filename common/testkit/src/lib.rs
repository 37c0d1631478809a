//! What tests and `./dev` stand on: databases to throw away, and a whole federation in a box.
pub mod cut;
pub mod db;
pub mod federation;
pub mod pgbouncer;
