//! What a volume remembers: whom it believes, and the highest fence that acted on it.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{AgentId, Fence, RegionId, ResourceId};
use exarch_common_crypto::{
    jws::JwsError,
    sign::{Algorithm, PublicKey},
};
use exarch_common_wire::{
    agent::GrantKey,
    grant::{self, Action, Grant, Incarnation},
};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const FORMAT: u32 = 1;

/// What is pinned when a volume is first prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// The region whose grants count.
    pub region: RegionId,
    /// The resource that this volume is.
    pub resource: ResourceId,
    /// Keys that sign grants.
    pub keys: Vec<GrantKey>,
}

/// The highest fence that was let through, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The fence.
    pub fence: Fence,
    /// Its holder.
    pub agent: AgentId,
    /// The holder's process.
    pub incarnation: Incarnation,
}

/// The header of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    format: u32,
    /// What was pinned.
    pub pinned: Pinned,
    /// The highest fence so far.
    pub seen: Option<Seen>,
}

/// Why a volume cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// No header: `exarch-guard init` comes first.
    #[error("{0} has no header; prepare the volume with exarch-guard init")]
    Missing(PathBuf),
    /// A header is there already, with other pins.
    #[error("{0} was prepared before, for another region, resource or set of keys")]
    Pinned(PathBuf),
    /// The header is damaged, or of a later format. Nothing may act on such a volume.
    #[error("{0} is damaged or of a later format")]
    Damaged(PathBuf),
    /// The disk refused.
    #[error("{path}: {cause}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Why a grant does not open the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "refused")]
pub enum Refusal {
    /// Not a grant, or not signed by a pinned key.
    #[error("the grant is not signed by a key that this volume believes")]
    NotAGrant,
    /// For another region or resource.
    #[error("the grant is for another resource")]
    OtherResource,
    /// It does not permit this.
    #[error("the grant does not permit this action")]
    Action,
    /// Somebody was granted the volume since.
    #[error("fence {offered} is below {seen}, the highest that this volume has seen")]
    StaleFence {
        /// What the grant says.
        offered: Fence,
        /// What the volume remembers.
        seen: Fence,
    },
    /// The same fence, held by another agent or another start of it.
    #[error("fence {offered} belongs to another holder")]
    OtherHolder {
        /// What the grant says.
        offered: Fence,
    },
}

/// The answer to a grant.
#[derive(Debug)]
pub enum Admission {
    /// The fence is durable in the header; act.
    Admitted(Box<Grant>),
    /// Refused; `highest` is what the volume remembers.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The highest fence seen.
        highest: Option<Fence>,
    },
}

impl Header {
    /// Judges a grant: pure, no clock. On yes, the header as it must be written before anything is done.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn judge(&self, token: &str, action: Action) -> Result<(Grant, Header), Refusal> {
        let key = |kid: &str| {
            let key = self.pinned.keys.iter().find(|k| k.kid == kid)?;
            PublicKey::from_raw(Algorithm::Es256, &B64.decode(&key.public).ok()?).ok()
        };
        let grant = grant::verify(token, key).map_err(|_: JwsError| Refusal::NotAGrant)?;
        if grant.region != self.pinned.region || grant.resource != self.pinned.resource {
            return Err(Refusal::OtherResource);
        }
        if !grant.actions.contains(&action) {
            return Err(Refusal::Action);
        }
        if let Some(seen) = &self.seen {
            let offered = grant.fence;
            if offered < seen.fence {
                return Err(Refusal::StaleFence {
                    offered,
                    seen: seen.fence,
                });
            }
            if offered == seen.fence && (grant.agent != seen.agent || grant.incarnation != seen.incarnation) {
                return Err(Refusal::OtherHolder { offered });
            }
        }
        let seen = Seen {
            fence: grant.fence,
            agent: grant.agent,
            incarnation: grant.incarnation.clone(),
        };
        Ok((
            grant,
            Header {
                seen: Some(seen),
                ..self.clone()
            },
        ))
    }
}

/// Where the header of a volume lies: inside a directory, beside a file.
pub fn header_path(volume: &Path) -> PathBuf {
    if volume.is_dir() {
        volume.join(".exarch-guard")
    } else {
        let mut name = volume.as_os_str().to_owned();
        name.push(".exarch-guard");
        name.into()
    }
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> HeaderError + '_ {
    move |cause| HeaderError::Disk {
        path: path.to_owned(),
        cause,
    }
}

/// The lock lies in a file of its own: the header is replaced whole, and a lock on a replaced file guards nothing.
fn lock(header: &Path) -> Result<File, HeaderError> {
    let path = header.with_extension("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(disk(&path))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|e| disk(&path)(e.into()))?;
    Ok(file)
}

fn load(path: &Path) -> Result<Header, HeaderError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(HeaderError::Missing(path.to_owned())),
        Err(e) => return Err(disk(path)(e)),
    };
    let header: Header = serde_json::from_slice(&bytes).map_err(|_| HeaderError::Damaged(path.to_owned()))?;
    if header.format == FORMAT {
        Ok(header)
    } else {
        Err(HeaderError::Damaged(path.to_owned()))
    }
}

/// Replaces the header so that after a power cut either the old or the new one is there, whole.
fn store(path: &Path, header: &Header) -> Result<(), HeaderError> {
    let next = path.with_extension("next");
    let bytes = serde_json::to_vec_pretty(header).expect("a header is a plain structure");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&next)
        .map_err(disk(&next))?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .map_err(disk(&next))?;
    fs::rename(&next, path).map_err(disk(path))?;
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(disk(folder))
}

/// Prepares a volume. Preparing it again with the same pins changes nothing.
///
/// # Errors
/// [`HeaderError::Pinned`] with other pins; [`HeaderError::Damaged`]; the disk.
pub fn init(volume: &Path, pinned: Pinned) -> Result<(), HeaderError> {
    let path = header_path(volume);
    let _lock = lock(&path)?;
    match load(&path) {
        Ok(header) if header.pinned == pinned => Ok(()),
        Ok(_) => Err(HeaderError::Pinned(path)),
        Err(HeaderError::Missing(_)) => store(
            &path,
            &Header {
                format: FORMAT,
                pinned,
                seen: None,
            },
        ),
        Err(e) => Err(e),
    }
}

/// Reads a header, for reports.
///
/// # Errors
/// [`HeaderError`].
pub fn read(volume: &Path) -> Result<Header, HeaderError> {
    load(&header_path(volume))
}

/// Judges a grant under the volume's lock and, on yes, makes its fence durable before returning.
///
/// # Errors
/// The header cannot be read or written: nothing may act.
pub fn admit(volume: &Path, token: &str, action: Action) -> Result<Admission, HeaderError> {
    let path = header_path(volume);
    let _lock = lock(&path)?;
    let header = load(&path)?;
    match header.judge(token, action) {
        Ok((grant, next)) => {
            if next != header {
                store(&path, &next)?;
            }
            Ok(Admission::Admitted(Box::new(grant)))
        }
        Err(refusal) => Ok(Admission::Refused {
            refusal,
            highest: header.seen.map(|s| s.fence),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::Ambient;
    use exarch_common_crypto::sign::SigningKey;
    use proptest::prelude::*;

    struct World {
        key: SigningKey,
        volume: tempfile::TempDir,
        base: Grant,
    }

    impl World {
        fn new() -> Self {
            let ambient = Ambient::system();
            let base = Grant {
                region: ambient.id(),
                tenant: ambient.id(),
                lease: ambient.id(),
                resource: ambient.id(),
                agent: ambient.id(),
                incarnation: Incarnation::new([1; 16]),
                actions: vec![Action::Start],
                fence: Fence::new(1, 5),
                nonce: "n".into(),
                ttl_ms: 30_000,
            };
            let world = Self {
                key: SigningKey::generate(Algorithm::Es256).unwrap(),
                volume: tempfile::tempdir().unwrap(),
                base,
            };
            init(world.volume.path(), world.pinned()).unwrap();
            world
        }

        fn pinned(&self) -> Pinned {
            let public = B64.encode(self.key.public().raw());
            let keys = vec![GrantKey {
                kid: "g1".into(),
                public,
            }];
            Pinned {
                region: self.base.region,
                resource: self.base.resource,
                keys,
            }
        }

        fn offer(&self, change: impl FnOnce(&mut Grant)) -> Admission {
            let mut grant = self.base.clone();
            change(&mut grant);
            let token = grant::sign(&self.key, "g1", &grant).unwrap();
            admit(self.volume.path(), &token, Action::Start).unwrap()
        }

        fn refusal(&self, change: impl FnOnce(&mut Grant)) -> Refusal {
            match self.offer(change) {
                Admission::Refused { refusal, .. } => refusal,
                Admission::Admitted(grant) => panic!("admitted {grant:?}"),
            }
        }
    }

    #[test]
    fn a_returned_holder_with_its_old_fence_is_refused() {
        let world = World::new();
        assert!(matches!(world.offer(|_| ()), Admission::Admitted(_)));
        let other = Ambient::system().id();
        let newer = |g: &mut Grant| {
            g.fence = Fence::new(1, 6);
            g.agent = other;
        };
        assert!(matches!(world.offer(newer), Admission::Admitted(_)));
        let stale = Refusal::StaleFence {
            offered: Fence::new(1, 5),
            seen: Fence::new(1, 6),
        };
        assert_eq!(world.refusal(|_| ()), stale);
        assert_eq!(read(world.volume.path()).unwrap().seen.unwrap().fence, Fence::new(1, 6));
    }

    #[test]
    fn an_equal_fence_passes_for_the_same_holder_only() {
        let world = World::new();
        assert!(matches!(world.offer(|_| ()), Admission::Admitted(_)));
        assert!(matches!(world.offer(|_| ()), Admission::Admitted(_)));
        let offered = Fence::new(1, 5);
        assert_eq!(
            world.refusal(|g| g.agent = Ambient::system().id()),
            Refusal::OtherHolder { offered }
        );
        assert_eq!(
            world.refusal(|g| g.incarnation = Incarnation::new([2; 16])),
            Refusal::OtherHolder { offered }
        );
    }

    #[test]
    fn grants_for_elsewhere_and_by_strangers_are_refused() {
        let world = World::new();
        assert_eq!(
            world.refusal(|g| g.resource = Ambient::system().id()),
            Refusal::OtherResource
        );
        assert_eq!(
            world.refusal(|g| g.region = Ambient::system().id()),
            Refusal::OtherResource
        );
        assert_eq!(world.refusal(|g| g.actions = vec![Action::Attach]), Refusal::Action);
        let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
        let token = grant::sign(&stranger, "g1", &world.base).unwrap();
        let answer = admit(world.volume.path(), &token, Action::Start).unwrap();
        assert!(matches!(
            answer,
            Admission::Refused {
                refusal: Refusal::NotAGrant,
                ..
            }
        ));
        assert_eq!(read(world.volume.path()).unwrap().seen, None);
    }

    #[test]
    fn a_volume_is_prepared_once_for_one_resource() {
        let world = World::new();
        init(world.volume.path(), world.pinned()).unwrap();
        let other = Pinned {
            resource: Ambient::system().id(),
            ..world.pinned()
        };
        assert!(matches!(init(world.volume.path(), other), Err(HeaderError::Pinned(_))));
    }

    #[test]
    fn a_damaged_or_missing_header_lets_nobody_act() {
        let world = World::new();
        let token = grant::sign(&world.key, "g1", &world.base).unwrap();
        let path = header_path(world.volume.path());
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(
            admit(world.volume.path(), &token, Action::Start),
            Err(HeaderError::Damaged(_))
        ));
        assert!(matches!(
            init(world.volume.path(), world.pinned()),
            Err(HeaderError::Damaged(_))
        ));
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            admit(world.volume.path(), &token, Action::Start),
            Err(HeaderError::Missing(_))
        ));
    }

    #[test]
    fn fifty_holders_at_once_leave_the_highest_fence() {
        let world = World::new();
        std::thread::scope(|scope| {
            for generation in 1..=50 {
                let world = &world;
                scope.spawn(move || {
                    let _ = world.offer(|g| {
                        g.fence = Fence::new(2, generation);
                        g.agent = Ambient::system().id();
                    });
                });
            }
        });
        assert_eq!(
            read(world.volume.path()).unwrap().seen.unwrap().fence,
            Fence::new(2, 50)
        );
    }

    proptest! {
        #[test]
        fn admitted_fences_never_fall(offers in proptest::collection::vec((0u64..3, 0u64..6, 0u8..2), 1..30)) {
            let world = World::new();
            let mut header = read(world.volume.path()).unwrap();
            let mut highest = None;
            for (epoch, generation, who) in offers {
                let fence = Fence::new(epoch, generation);
                let grant = Grant { fence, incarnation: Incarnation::new([who; 16]), ..world.base.clone() };
                let token = grant::sign(&world.key, "g1", &grant).unwrap();
                if let Ok((_, next)) = header.judge(&token, Action::Start) {
                    prop_assert!(Some(fence) >= highest);
                    highest = Some(fence);
                    header = next;
                }
            }
        }
    }
}
