//! The state directory. Everything in it is written whole or not at all, readable by its owner alone.
use exarch_common_base::{AgentId, ClusterId, RegionId, ResourceId, TenantId};
use exarch_common_crypto::sign::{Algorithm, SigningKey};
use exarch_common_wire::agent::{Enrolled, GrantKey, OpenSession};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const KEY: &str = "key.p8";
/// Of an agent that is being enrolled again.
const NEXT_KEY: &str = "key-next.p8";
/// An enrolment that waits for a person.
const WAITING: &str = "waiting.json";
/// An enrolment that was answered and is not laid out whole.
const ENROLLED: &str = "enrolled.json";
const IDENTITY: &str = "identity.json";
const CHAIN: &str = "chain";
const PENDING: &str = "session-request.json";

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk refused.
    #[error("{path}: {cause}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file is there and cannot be read as what it should be.
    #[error("{0} is damaged; enrol this host again under the same name")]
    Damaged(PathBuf),
    /// Another process works with the directory. Two agents of one identity look like a theft, and are treated as one.
    #[error("another exarch-agent is running with {0}")]
    InUse(PathBuf),
    /// The directory holds no identity.
    #[error("{0} holds no identity; enrol first: exarch-agent enrol --state {0}")]
    NotEnrolled(PathBuf),
    /// The directory holds an identity already.
    #[error("{0} holds the identity of {1} already; to enrol it again with another key: --again")]
    Enrolled(PathBuf, AgentId),
}

/// What enrolment gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The gateway's listener for agents, `https://host:port`.
    pub gateway: String,
    /// Those of its other replicas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_gateways: Vec<String>,
    /// The region.
    pub region: RegionId,
    /// Whose agent this is.
    pub tenant: TenantId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Certificate, DER in base64url.
    pub certificate: String,
    /// The region's agent authority, DER in base64url.
    pub agent_ca: String,
    /// Keys that sign grants.
    pub grant_keys: Vec<GrantKey>,
}

impl Identity {
    /// From the gateway's answer.
    pub fn new(gateway: String, other_gateways: Vec<String>, enrolled: &Enrolled) -> Self {
        Self {
            gateway,
            other_gateways,
            region: enrolled.region,
            tenant: enrolled.tenant,
            cluster: enrolled.cluster,
            agent: enrolled.agent,
            name: enrolled.name.clone(),
            certificate: enrolled.certificate.clone(),
            agent_ca: enrolled.agent_ca.clone(),
            grant_keys: enrolled.grant_keys.clone(),
        }
    }
}

/// An enrolment that waits for a person's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The gateway's listener for agents.
    pub gateway: String,
    /// Those of its other replicas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_gateways: Vec<String>,
    /// Fingerprint of its authority.
    pub pin: String,
    /// The agent that is to be.
    pub agent: AgentId,
}

/// What an answered enrolment leaves behind; on disk as a whole before its parts are.
#[derive(Serialize, Deserialize)]
struct Laid {
    identity: Identity,
    chain: String,
    /// The key is the next one.
    another_key: bool,
}

/// An open state directory; the lock on it is held as long as this lives.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
    _lock: File,
}

impl State {
    /// Opens, or makes, a state directory (0700) for this process alone.
    ///
    /// # Errors
    /// [`StateError::InUse`], or the disk.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let disk = |path: &Path, cause: io::Error| StateError::Disk {
            path: path.to_owned(),
            cause,
        };
        for folder in [dir.to_owned(), dir.join("grants")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(|e| disk(&folder, e))?;
        }
        let path = dir.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| disk(&path, e))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| StateError::InUse(dir.to_owned()))?;
        let state = Self {
            dir: dir.to_owned(),
            _lock: lock,
        };
        state.lay_out()?;
        Ok(state)
    }

    /// The key of this host, made at the first call.
    ///
    /// # Errors
    /// The disk, or a damaged file.
    pub fn key(&self) -> Result<SigningKey, StateError> {
        self.key_in(KEY)
    }

    /// The key that takes its place when this host is enrolled again, made at the first call.
    ///
    /// # Errors
    /// The disk, or a damaged file.
    pub fn next_key(&self) -> Result<SigningKey, StateError> {
        self.key_in(NEXT_KEY)
    }

    fn key_in(&self, name: &str) -> Result<SigningKey, StateError> {
        let path = self.dir.join(name);
        match self.bytes(name)? {
            Some(der) => {
                let der = Zeroizing::new(der);
                SigningKey::from_pkcs8(Algorithm::Es384, &der).map_err(|_| StateError::Damaged(path))
            }
            None => {
                let key = SigningKey::generate(Algorithm::Es384).map_err(|e| StateError::Disk {
                    path: path.clone(),
                    cause: io::Error::other(e),
                })?;
                self.write(name, key.pkcs8())?;
                Ok(key)
            }
        }
    }

    /// The identity.
    ///
    /// # Errors
    /// [`StateError::NotEnrolled`], [`StateError::Damaged`], or the disk.
    pub fn identity(&self) -> Result<Identity, StateError> {
        self.json(IDENTITY)?
            .ok_or_else(|| StateError::NotEnrolled(self.dir.clone()))
    }

    /// Refuses a directory that holds an identity.
    ///
    /// # Errors
    /// [`StateError::Enrolled`], [`StateError::Damaged`], or the disk.
    pub fn must_be_new(&self) -> Result<(), StateError> {
        match self.json::<Identity>(IDENTITY)? {
            Some(identity) => Err(StateError::Enrolled(self.dir.clone(), identity.agent)),
            None => Ok(()),
        }
    }

    /// Keeps what enrolment gave: all of it, or after a crash in the middle the rest at the next start. With `another_key`
    /// the next key is the key from now on.
    ///
    /// # Errors
    /// The disk.
    pub fn keep(&self, identity: &Identity, chain: &str, another_key: bool) -> Result<(), StateError> {
        let laid = Laid {
            identity: identity.clone(),
            chain: chain.to_owned(),
            another_key,
        };
        self.write(ENROLLED, &json(&laid))?;
        self.lay_out()
    }

    /// Lays out an answered enrolment; each step may be done twice.
    fn lay_out(&self) -> Result<(), StateError> {
        let Some(laid) = self.json::<Laid>(ENROLLED)? else {
            return Ok(());
        };
        if laid.another_key
            && let Some(key) = self.bytes(NEXT_KEY)?
        {
            self.write(KEY, &Zeroizing::new(key))?;
        }
        self.remove(PENDING)?;
        self.write(CHAIN, laid.chain.as_bytes())?;
        self.write(IDENTITY, &json(&laid.identity))?;
        self.remove(WAITING)?;
        if laid.another_key {
            self.remove(NEXT_KEY)?;
        }
        self.remove(ENROLLED)
    }

    /// Keeps that an enrolment waits, so that a restart goes on waiting.
    ///
    /// # Errors
    /// The disk.
    pub fn keep_waiting(&self, waiting: &Waiting) -> Result<(), StateError> {
        self.write(WAITING, &json(waiting))
    }

    /// The enrolment that waits, if there is one.
    ///
    /// # Errors
    /// The disk, or a damaged file.
    pub fn waiting(&self) -> Result<Option<Waiting>, StateError> {
        self.json(WAITING)
    }

    /// Forgets it: it was refused.
    ///
    /// # Errors
    /// The disk.
    pub fn forget_waiting(&self) -> Result<(), StateError> {
        self.remove(WAITING)
    }

    /// Keeps a renewed certificate; from now on every start shows it.
    ///
    /// # Errors
    /// The disk; the one before stays.
    pub fn keep_certificate(&self, identity: &Identity) -> Result<(), StateError> {
        self.write(IDENTITY, &json(identity))
    }

    /// The chain value last received.
    ///
    /// # Errors
    /// The disk, or no chain.
    pub fn chain(&self) -> Result<String, StateError> {
        let damaged = || StateError::Damaged(self.dir.join(CHAIN));
        self.bytes(CHAIN)?
            .and_then(|b| String::from_utf8(b).ok())
            .ok_or_else(damaged)
    }

    /// Keeps the next chain value; the request that brought it is done.
    ///
    /// # Errors
    /// The disk.
    pub fn advance(&self, chain: &str) -> Result<(), StateError> {
        self.write(CHAIN, chain.as_bytes())?;
        self.forget_session_request()
    }

    /// Keeps a session request before it is sent: after a lost answer the same bytes must go out again.
    ///
    /// # Errors
    /// The disk.
    pub fn keep_session_request(&self, request: &OpenSession) -> Result<(), StateError> {
        self.write(PENDING, &json(request))
    }

    /// The session request whose answer was never received.
    ///
    /// # Errors
    /// The disk, or a damaged file.
    pub fn session_request(&self) -> Result<Option<OpenSession>, StateError> {
        self.json(PENDING)
    }

    /// Forgets it.
    ///
    /// # Errors
    /// The disk.
    pub fn forget_session_request(&self) -> Result<(), StateError> {
        self.remove(PENDING)
    }

    fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(StateError::Disk { path, cause }),
        }
    }

    /// Writes a grant where the guard reads it.
    ///
    /// # Errors
    /// The disk.
    pub fn keep_grant(&self, resource: ResourceId, grant: &str) -> Result<PathBuf, StateError> {
        let name = format!("grants/{resource}.grant");
        self.write(&name, grant.as_bytes())?;
        Ok(self.dir.join(name))
    }

    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(StateError::Disk { path, cause }),
        }
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let bytes = self.bytes(name)?;
        let read = |b: Vec<u8>| serde_json::from_slice(&b).map_err(|_| StateError::Damaged(self.dir.join(name)));
        bytes.map(read).transpose()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.dir.join(name);
        let next = path.with_extension("next");
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&next)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            File::open(path.parent().unwrap_or(&self.dir))?.sync_all()
        };
        write().map_err(|cause| StateError::Disk {
            path: path.clone(),
            cause,
        })
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain structures serialize to JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::Ambient;
    use exarch_common_wire::grant::Incarnation;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn two_processes_do_not_share_one_identity() {
        let dir = tempfile::tempdir().unwrap();
        let first = State::open(dir.path()).unwrap();
        assert!(matches!(State::open(dir.path()), Err(StateError::InUse(_))));
        drop(first);
        assert!(State::open(dir.path()).is_ok());
    }

    #[test]
    fn the_key_is_made_once_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        let key = state.key().unwrap().public();
        assert_eq!(state.key().unwrap().public(), key);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join(KEY)), 0o600);
        fs::write(dir.path().join(KEY), b"x").unwrap();
        assert!(matches!(state.key(), Err(StateError::Damaged(_))));
    }

    fn identity(certificate: &str) -> Identity {
        let ambient = Ambient::system();
        Identity {
            gateway: "https://localhost:1".into(),
            other_gateways: Vec::new(),
            region: ambient.id(),
            tenant: ambient.id(),
            cluster: ambient.id(),
            agent: ambient.id(),
            name: "edge-1".into(),
            certificate: certificate.into(),
            agent_ca: String::new(),
            grant_keys: Vec::new(),
        }
    }

    #[test]
    fn an_enrolment_that_was_answered_is_laid_out_whole_whatever_file_the_crash_came_before() {
        for steps in 0..6 {
            let dir = tempfile::tempdir().unwrap();
            let state = State::open(dir.path()).unwrap();
            state.key().unwrap();
            state.keep(&identity("old"), "9", false).unwrap();
            let next = state.next_key().unwrap().public();
            let laid = Laid {
                identity: identity("new"),
                chain: "1".into(),
                another_key: true,
            };
            state.write(ENROLLED, &json(&laid)).unwrap();
            // as far as it came, in the order of `lay_out`
            let next_der = state.bytes(NEXT_KEY).unwrap().unwrap();
            let done: [&dyn Fn() -> Result<(), StateError>; 6] = [
                &|| Ok(()),
                &|| state.write(KEY, &next_der),
                &|| state.write(CHAIN, b"1"),
                &|| state.write(IDENTITY, &json(&laid.identity)),
                &|| state.remove(NEXT_KEY),
                &|| state.remove(ENROLLED),
            ];
            for step in &done[..=steps] {
                step().unwrap();
            }
            drop(state);
            let state = State::open(dir.path()).unwrap();
            assert_eq!(state.key().unwrap().public(), next, "{steps}");
            assert_eq!(state.chain().unwrap(), "1", "{steps}");
            assert_eq!(state.identity().unwrap(), laid.identity, "{steps}");
        }
    }

    #[test]
    fn an_attempt_to_enrol_again_that_came_to_nothing_leaves_the_key_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        let key = state.key().unwrap().public();
        state.keep(&identity("old"), "9", false).unwrap();
        assert_ne!(state.next_key().unwrap().public(), key);
        drop(state);
        let state = State::open(dir.path()).unwrap();
        assert_eq!(state.key().unwrap().public(), key);
    }

    #[test]
    fn a_session_request_is_kept_until_its_answer_is() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        assert!(matches!(state.identity(), Err(StateError::NotEnrolled(_))));
        let request = OpenSession {
            challenge: "c".into(),
            chain: "one".into(),
            incarnation: Incarnation::new(Ambient::system().bytes()),
            request_id: "r".into(),
            signature: "s".into(),
        };
        state.keep_session_request(&request).unwrap();
        assert_eq!(state.session_request().unwrap().unwrap().request_id, "r");
        state.advance("two").unwrap();
        assert!(state.session_request().unwrap().is_none());
        assert_eq!(state.chain().unwrap(), "two");
    }
}
