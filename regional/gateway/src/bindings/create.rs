//! `POST /v1/bindings`.
use super::{Binding, binding::Stored, role, store};
use crate::{
    app::App,
    audit, clusters,
    directory::TenantEntry,
    gate::{UserCaller, unauthenticated},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::{ClusterId, MembershipId, UserId};
use exarch_common_http::{
    Json, Problem,
    repeats::{Kept, Once},
};
use exarch_common_pg::{OnConstraint, TenantTx};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A new binding.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBinding {
    /// In which cluster.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    cluster_id: ClusterId,
    /// To whom: somebody of the tenant who may enter this region.
    #[schema(value_type = String, pattern = "^usr_[0-9a-f]{32}$")]
    user_id: UserId,
    /// The name of a role of cluster scope: `cluster-admin`, `cluster-operator`, or one of the tenant's own.
    role: String,
    /// When it ends by itself.
    #[serde(default, with = "time::serde::rfc3339::option")]
    until: Option<OffsetDateTime>,
}

/// Give somebody a role in one cluster, whose other clusters then do not exist for them unless they hold a role there too. You
/// must hold what the role holds.
#[utoipa::path(post, path = "/v1/bindings", tag = "bindings", request_body = NewBinding, responses(
    (status = 201, body = Binding),
    (status = 403, description = "`role-not-held`"),
    (status = 409, description = "`binding-exists`")))]
pub(super) async fn create_binding(
    State(app): State<App>,
    caller: UserCaller,
    once: Once,
    Json(input): Json<NewBinding>,
) -> Result<Kept, Problem> {
    let permit = caller.check::<perm::role::Assign>(Target::Tenant(caller.tenant_id()))?;
    let now = app.ambient.now();
    // Held for the whole request: what is checked is what is answered.
    let index = app.directory.current().clone();
    let tenant = index.as_ref().and_then(|index| index.tenant(caller.tenant_id()));
    let tenant = tenant.ok_or_else(unauthenticated)?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    clusters::hold(&mut tx, input.cluster_id).await?;
    let membership = checked(tenant, &caller, &input, now)?;
    let binding = Stored {
        id: app.ambient.id(),
        cluster: input.cluster_id,
        user: input.user_id,
        membership,
        role: input.role,
        until: input.until,
        created_by: caller.principal().to_string(),
        created_at: now,
    };
    store::insert(&mut tx, &binding)
        .await
        .on_constraint("binding_key", || {
            Problem::conflict("binding-exists").detail("This person has the role in this cluster already.")
        })?;
    let entry = audit::entry(&caller, &permit, "binding", binding.id).after(json!({
        "user": binding.user, "cluster_id": binding.cluster, "role": binding.role,
        "until": binding.until.map(OffsetDateTime::unix_timestamp),
    }));
    audit::record(&mut tx, &entry).await?;
    let id = binding.id;
    let answer = (StatusCode::CREATED, Json(binding.out(tenant, now)));
    let kept = once.commit(tx, id, answer).await?;
    // Others see it within a quarter second; who asked sees it here at once, or then.
    if let Err(cause) = app.bindings.look(&app.app_pool, &app.sweep_pool).await {
        tracing::debug!(%cause, "the new binding is not in force here yet");
    }
    Ok(kept)
}

/// Whether this may be given to this person by the caller; the membership that it rests on.
fn checked(
    tenant: &TenantEntry,
    caller: &UserCaller,
    input: &NewBinding,
    now: OffsetDateTime,
) -> Result<MembershipId, Problem> {
    let refused = |pointer: &str, reason: &str| {
        Problem::unprocessable("invalid-binding")
            .detail("A value of the binding cannot be accepted; see errors.")
            .error(pointer, reason)
    };
    if input.until.is_some_and(|until| until <= now) {
        return Err(refused("/until", "is not in the future"));
    }
    let role = role(tenant, &input.role).ok_or_else(|| refused("/role", "is no role of cluster scope"))?;
    if !role.permissions().is_subset(caller.in_cluster(input.cluster_id)) {
        return Err(Problem::forbidden("role-not-held").detail(format!(
            "The role {} holds more than you do in this cluster.",
            role.name()
        )));
    }
    let nobody = || refused("/user_id", "is nobody of your tenant who may enter this region");
    let person = tenant.users.get(&input.user_id).filter(|user| user.active);
    person.ok_or_else(nobody)?;
    let memberships = tenant.memberships.get(&input.user_id).map_or(&[][..], Vec::as_slice);
    let membership = memberships
        .iter()
        .find(|membership| membership.break_glass.is_none() && membership.holds(now));
    membership.and_then(|membership| membership.id).ok_or_else(nobody)
}
