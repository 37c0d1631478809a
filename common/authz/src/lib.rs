//! Who may do what, decided in one place and without I/O.
//!
//! - [`Permission`] is one row of the one table (`permission.rs`): name, scope, kind of access, one sentence. A name enters
//!   the table together with its first route and with the roles that hold it (`role.rs`); `rbac.txt` shows the result.
//! - [`Caller`] is an authenticated caller with what its [`Binding`]s give it in the tenant in force.
//! - [`policy::check`] turns caller and [`Target`] into a [`Permit`], which only the policy can make and which a use case
//!   asks for: an unchecked call does not compile. Its no is a [`Refusal`] with status and story.
//!
//! A no is kept as a [`Record`], which can be asked again; [`who_can`] puts the question the other way round.
//!
//! Missing, unknown, ambiguous or stale is no. A decision allocates nothing and touches no database. The crate decides; it
//! does not authenticate (whoever builds a [`Caller`] has done that) and it does not answer (`common/http` does).
//!
//! Entering a new permission: a line in the table, its name in the roles that hold it, `REGENERATE=1 cargo test --workspace
//! --test rbac`, and a route that needs it.
mod bound_role;
mod caller;
mod decision;
mod permission;
pub mod policy;
mod role;
mod set;
mod tenant_state;
mod who_can;

pub use bound_role::{BoundRole, CustomRole};
pub use caller::{Binding, Caller, CallerBuilder, CallerKind, Clusters, On, Principal};
pub use decision::{Held, HeldRole, Record};
pub use permission::{Access, Action, Permission, Scope, UnknownPermission, UnknownScope, perm};
pub use policy::{Permit, Reason, Refusal, Target};
pub use role::{Role, UnknownRole};
pub use set::PermissionSet;
pub use tenant_state::{StateRefusal, TenantState};
pub use who_can::who_can;
