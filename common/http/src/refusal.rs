//! How the noes of other crates become answers.
use crate::Problem;
use axum::http::StatusCode;
use exarch_common_authz::{Reason, Refusal, StateRefusal};

/// The caller learns the sentence and the status. Whoever records the decision adds its id with [`Problem::decision`].
impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let slug = match refusal.reason() {
            Reason::Unknown => "unauthenticated",
            Reason::OtherTenant | Reason::OtherCluster | Reason::State(StateRefusal::Deleted) => "not-found",
            Reason::WrongScope | Reason::NotHeld => "permission-denied",
            Reason::State(StateRefusal::Billing | StateRefusal::Incident) => "tenant-suspended",
            Reason::State(StateRefusal::Deleting) => "tenant-deleting",
        };
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
        Problem::named(status, slug).detail(refusal.to_string())
    }
}

/// Conflicts are the room's own to name, by the constraint; here one that nobody named is a fault of ours.
#[cfg(feature = "pg")]
impl From<exarch_common_pg::DbError> for Problem {
    fn from(error: exarch_common_pg::DbError) -> Self {
        use exarch_common_pg::DbError;
        use std::time::Duration;
        match &error {
            DbError::Unavailable(cause) => {
                tracing::warn!(%cause, "the database is not available");
                Problem::unavailable("database-unavailable", Duration::from_secs(1))
                    .detail("The database cannot be reached at the moment; try again shortly.")
            }
            DbError::Serialization(_) => Problem::unavailable("try-again", Duration::from_secs(1))
                .detail("Another change came in between; repeat the request."),
            DbError::Conflict { .. } | DbError::Unfit(_) | DbError::Url | DbError::Other(_) => {
                Problem::internal(&error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_authz::{Action as _, Target, perm};

    #[test]
    fn a_refusal_keeps_its_status_and_tells_its_sentence() {
        let refusal = Refusal::unknown(perm::region::List::PERMISSION, Target::System);
        let problem = Problem::from(&refusal);
        assert_eq!((problem.status().as_u16(), problem.slug()), (401, "unauthenticated"));
        assert_eq!(problem.to_string(), refusal.to_string());
    }

    #[cfg(feature = "pg")]
    #[test]
    fn a_fault_of_ours_in_the_database_is_500() {
        assert_eq!(Problem::from(exarch_common_pg::DbError::Url).status(), 500);
    }
}
