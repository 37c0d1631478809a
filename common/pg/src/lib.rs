//! The one door to Postgres.
//!
//! Each login of the database has a pool of its own ([`AppPool`], [`SweepPool`], [`RenewPool`], [`OperatorPool`];
//! [`OwnerPool`] for migrations), and no pool gives out a plain connection: a tenant's rows are reached by [`TenantTx`],
//! what belongs to no tenant or to all of them by [`SystemTx`]. The boundary between tenants is row-level security in
//! the database; this crate makes sure that a transaction has the right context or none, that none is left behind on a
//! connection, and that no server runs with a login row-level security does not bind. [`rls`] reads the catalogue and
//! names every object that breaks a rule; [`embedded`] keeps a whole cluster in a directory.
//!
//! Rooms write their SQL in `store.rs` on `tx.conn()`. Nothing else opens a transaction. What is read most often is read without
//! one, by [`read_once`]: a single statement that carries its context.
pub mod decisions;
pub mod doctor;
pub mod embedded;
mod error;
pub mod idempotency;
mod login;
pub mod migrate;
mod pools;
mod read;
pub mod rls;
mod tx;
pub mod wakeups;

pub use error::{ConflictKind, DbError, OnConstraint};
pub use login::{Login, Schema, UnfitLogin};
pub use migrate::Migrations;
pub use pools::{
    App, AppPool, Operator, OperatorPool, Owner, OwnerPool, PoolSettings, Renew, RenewPool, Role, RolePool, Serving,
    Statement, Sweep, SweepPool,
};
pub use read::{Entering, read_once};
pub use tx::{Clusters, InTenant, SystemTx, TenantContext, TenantTx, Transaction, rls_transaction};
pub use wakeups::{Wakeup, Wakeups};

/// Creates the five logins and sets up the database one is connected to; run by a superuser, any number of times. Sets no
/// passwords.
pub const ROLES_SQL: &str = include_str!("roles.sql");
