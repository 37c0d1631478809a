use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::EmbeddedError;

/// Who the server runs as. Postgres refuses to run as root, so root steps down to another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Account {
    /// Who we are.
    Own,
    /// Another, because we are root.
    Other { name: String, uid: u32, gid: u32 },
}

impl Account {
    /// The owner of an existing data directory; else `wanted`; else `postgres`, else `nobody`.
    pub(super) fn choose(wanted: Option<&str>, data: &Path) -> Result<Self, EmbeddedError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Own);
        }
        if let Ok(existing) = fs::metadata(data)
            && existing.uid() != 0
        {
            return Ok(Self::Other {
                name: format!("uid {}", existing.uid()),
                uid: existing.uid(),
                gid: existing.gid(),
            });
        }
        let names = match wanted {
            Some(name) => vec![name],
            None => vec!["postgres", "nobody"],
        };
        let found = names.iter().find_map(|name| match (id("-u", name), id("-g", name)) {
            (Some(uid), Some(gid)) if uid != 0 => Some(Self::Other {
                name: (*name).to_owned(),
                uid,
                gid,
            }),
            _ => None,
        });
        found.ok_or_else(|| EmbeddedError::NoAccount(names.join(" or ")))
    }

    /// A command run by this account, with nothing of our environment but what a program needs.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC");
        command.current_dir("/").stdin(std::process::Stdio::null());
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Makes `dir` exist, this account's and nobody else's to look into. Missing parents are made too, to be passed
    /// through by all. What is already there must be this account's or empty: a directory named by mistake is left alone.
    pub(super) fn own_dir(&self, dir: &Path) -> Result<(), EmbeddedError> {
        let failed = |source| EmbeddedError::Directory {
            path: dir.to_owned(),
            source,
        };
        let missing: Vec<&Path> = dir.ancestors().take_while(|path| !path.exists()).collect();
        for path in missing.iter().rev() {
            fs::DirBuilder::new().mode(0o700).create(path).map_err(failed)?;
            if *path != dir {
                // set apart from the making, so that the umask does not lock the account out
                fs::set_permissions(path, fs::Permissions::from_mode(0o711)).map_err(failed)?;
            }
        }
        let found = fs::symlink_metadata(dir).map_err(failed)?;
        let ours = match self {
            Self::Own => found.uid() == rustix::process::geteuid().as_raw(),
            Self::Other { uid, .. } => {
                found.uid() == *uid || (found.uid() == 0 && fs::read_dir(dir).map_err(failed)?.next().is_none())
            }
        };
        if !found.is_dir() || !ours {
            return Err(failed(io::Error::other("it is there already and is somebody else's")));
        }
        self.give(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)
    }

    /// Makes `path` this account's.
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        if let Self::Other { uid, gid, .. } = self {
            lchown(path, Some(*uid), Some(*gid)).map_err(|source| EmbeddedError::Directory {
                path: path.to_owned(),
                source,
            })?;
        }
        Ok(())
    }

    /// Makes `path` a file of this account with this text, which nobody else reads; answers whether it was another before.
    /// The file is made apart and moved into place, so that a link somebody put there is replaced and not followed.
    pub(super) fn write(&self, path: &Path, text: &str) -> Result<bool, EmbeddedError> {
        let failed = |source| EmbeddedError::Directory {
            path: path.to_owned(),
            source,
        };
        let there = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        if there && fs::read_to_string(path).is_ok_and(|found| found == text) {
            return Ok(false);
        }
        let mut apart = path.as_os_str().to_owned();
        apart.push(".writing");
        let apart = Path::new(&apart);
        match fs::remove_file(apart) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(apart)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        self.give(apart)?;
        fs::rename(apart, path).map_err(failed)?;
        Ok(true)
    }

    /// Refuses a directory this account cannot get to, naming the parent in the way.
    pub(super) async fn reaches(&self, dir: &Path) -> Result<(), EmbeddedError> {
        let Self::Other { name, uid, .. } = self else {
            return Ok(());
        };
        let enters = self
            .command("/bin/sh")
            .args(["-c", "cd -- \"$1\"", "sh"])
            .arg(dir)
            .output()
            .await;
        if enters.is_ok_and(|tried| tried.status.success()) {
            return Ok(());
        }
        let mut parents: Vec<PathBuf> = dir.ancestors().map(Path::to_owned).collect();
        parents.reverse();
        let closed = parents.iter().find(|path| {
            fs::metadata(path).map_or(true, |found| {
                found.uid() != *uid && found.permissions().mode() & 0o001 == 0
            })
        });
        Err(EmbeddedError::Unreachable {
            account: name.clone(),
            parent: closed.cloned().unwrap_or_else(|| dir.to_owned()),
        })
    }
}

fn id(flag: &str, name: &str) -> Option<u32> {
    let told = std::process::Command::new("id")
        .args([flag, "--", name])
        .output()
        .ok()?;
    String::from_utf8_lossy(&told.stdout).trim().parse().ok()
}
