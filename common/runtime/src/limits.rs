//! What the system allows a process.
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of files and sockets that this process may have open to the most that it may raise it to: the usual
/// first limit, 1,024, is for programs that could not handle more. A server calls it at its start; one that runs others'
/// programs does not, for they would inherit it.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
