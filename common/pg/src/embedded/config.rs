use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::Durability;

/// The longest a socket's path may be, with the name Postgres gives it.
const SOCKET_PATH_AT_MOST: usize = 107;

/// Who may sign in from where: everybody with a password, from this machine alone.
pub(super) const HBA: &str = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// Our settings, read after the ones `initdb` wrote.
pub(super) fn settings(port: u16, sockets: &Path, durability: Durability) -> String {
    let mut text = String::from("# written anew at each start: changes here are lost\n");
    let sockets = sockets.to_string_lossy().replace('\'', "''");
    let _ = write!(
        text,
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{sockets}'\n\
         unix_socket_permissions = 0700\npassword_encryption = 'scram-sha-256'\nmax_connections = 120\n\
         work_mem = '4MB'\nmaintenance_work_mem = '32MB'\neffective_cache_size = '256MB'\njit = off\n\
         timezone = 'UTC'\nlog_timezone = 'UTC'\nlog_line_prefix = '%m [%p] %q%u@%d '\nlog_checkpoints = off\n\
         logging_collector = off\nlog_destination = 'stderr'\n"
    );
    text.push_str(match durability {
        Durability::Durable => {
            "fsync = on\nsynchronous_commit = on\nfull_page_writes = on\nshared_buffers = '64MB'\n\
             max_wal_size = '256MB'\nmin_wal_size = '64MB'\n"
        }
        Durability::ForTests => {
            // synchronous all the same: what was committed is at least the system's when the server is killed
            "fsync = off\nsynchronous_commit = on\nfull_page_writes = off\nshared_buffers = '32MB'\n\
             max_wal_size = '128MB'\nmin_wal_size = '32MB'\n"
        }
    });
    text
}

/// Where the socket goes: beside the data, or, where that path is too long for a socket, in a short one of its own.
pub(super) fn socket_dir(state: &Path) -> PathBuf {
    let beside = state.join("run");
    if beside.as_os_str().len() + "/.s.PGSQL.65535".len() <= SOCKET_PATH_AT_MOST {
        return beside;
    }
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    PathBuf::from(format!("/tmp/exarch-pg-{:016x}", hasher.finish()))
}
