//! The federation listener: how regions join, call and are called.
use exarch_common_runtime::Nudge;

/// What the listener, the probes and the pushes of one process share. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Federation {
    /// Wakes the pushes of passports.
    pub pushes: Nudge,
}
