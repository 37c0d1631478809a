//! What tests stand on: databases to throw away.
pub mod db;
