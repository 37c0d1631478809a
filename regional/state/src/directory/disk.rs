//! What this replica keeps on its own disk, so that it can govern after a restart though neither the global nor the
//! database's copy can be had: the last two passports, the highest version ever applied, the newest statement and how
//! old it is. Files are 0600 and replaced whole: written beside, flushed, renamed, and the rename flushed too.
//!
//! Nothing read here is believed: the directory verifies it like anything from the network.
use super::age::AgeOnDisk;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_wire::{passport::Passport, user_token::Version};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Passports kept.
const KEEP: usize = 2;
/// Refused ones kept aside.
const KEEP_REFUSED: usize = 8;
const HIGH: &str = "high-water";
const FRESHNESS: &str = "freshness.json";
const REFUSED: &str = "refused";

/// The state directory of one replica.
#[derive(Clone, Debug)]
pub(super) struct Disk(PathBuf);

/// The newest statement and its age.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Freshness {
    statement: String,
    pub(super) age: AgeOnDisk,
}

impl Freshness {
    pub(super) fn new(statement: &[u8], age: AgeOnDisk) -> Self {
        Self {
            statement: B64.encode(statement),
            age,
        }
    }

    /// The signed bytes.
    pub(super) fn statement(&self) -> Option<Vec<u8>> {
        B64.decode(&self.statement).ok()
    }
}

impl Disk {
    pub(super) fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The passports that can be read, newest name first.
    pub(super) fn passports(&self) -> io::Result<Vec<Passport>> {
        let mut out = Vec::new();
        for (_, path) in self.named_passports()? {
            match fs::read(&path).map(|bytes| Passport::from_bytes(&bytes)) {
                Ok(Some(passport)) => out.push(passport),
                Ok(None) => tracing::error!(path = %path.display(), "a passport on disk cannot be read"),
                Err(error) => tracing::error!(path = %path.display(), %error, "a passport on disk cannot be read"),
            }
        }
        Ok(out)
    }

    /// Keeps a passport, and no more than the last two.
    pub(super) fn keep(&self, version: Version, passport: &Passport) -> io::Result<()> {
        write_whole(&self.0.join(name(version)), &passport.to_bytes())?;
        for (_, path) in self.named_passports()?.into_iter().skip(KEEP) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// The highest version ever applied here. A mark that cannot be read counts as the highest there is: what was applied
    /// is unknown, so nothing is certainly new.
    pub(super) fn high(&self) -> io::Result<Option<Version>> {
        match fs::read_to_string(self.0.join(HIGH)) {
            Ok(text) => Ok(Some(parse(text.trim()).unwrap_or(Version(u64::MAX, u64::MAX)))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(super) fn set_high(&self, version: Version) -> io::Result<()> {
        write_whole(&self.0.join(HIGH), format!("{version}\n").as_bytes())
    }

    pub(super) fn freshness(&self) -> io::Result<Option<Freshness>> {
        match fs::read(self.0.join(FRESHNESS)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(super) fn set_freshness(&self, freshness: &Freshness) -> io::Result<()> {
        let bytes = serde_json::to_vec(freshness).map_err(io::Error::other)?;
        write_whole(&self.0.join(FRESHNESS), &bytes)
    }

    /// Keeps what was refused for whoever looks into it.
    pub(super) fn keep_aside(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let dir = self.0.join(REFUSED);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        write_whole(&dir.join(name), bytes)?;
        let mut all: Vec<_> = fs::read_dir(&dir)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()?;
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.into_iter().skip(KEEP_REFUSED).try_for_each(fs::remove_file)
    }

    fn named_passports(&self) -> io::Result<Vec<(Version, PathBuf)>> {
        let mut out = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let version = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| parse(name.strip_prefix("passport-")?.strip_suffix(".cbor")?));
            out.extend(version.map(|version| (version, path)));
        }
        out.sort_unstable_by(|a, b| b.cmp(a));
        Ok(out)
    }
}

fn name(version: Version) -> String {
    format!("passport-{version}.cbor")
}

fn parse(text: &str) -> Option<Version> {
    let (generation, version) = text.split_once('.')?;
    Some(Version(generation.parse().ok()?, version.parse().ok()?))
}

/// Replaces `path` by `bytes`, wholly or not at all, whatever happens meanwhile.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

    fn passport(tag: u8) -> Passport {
        Passport {
            statement: vec![tag],
            manifest: vec![tag],
            entries: BTreeMap::new(),
            sections: BTreeMap::new(),
        }
    }

    #[test]
    fn the_last_two_passports_stay_and_nobody_else_may_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path());
        for tag in [9, 10, 11] {
            disk.keep(Version(1, u64::from(tag)), &passport(tag)).unwrap();
        }
        assert_eq!(disk.passports().unwrap(), [passport(11), passport(10)]);
        for entry in fs::read_dir(dir.path()).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_writing_that_was_cut_off_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path());
        disk.keep(Version(1, 1), &passport(1)).unwrap();
        fs::write(dir.path().join("passport-1.tmp"), b"half").unwrap();
        fs::write(dir.path().join("passport-1.2.tmp"), b"half").unwrap();
        assert_eq!(disk.passports().unwrap(), [passport(1)]);
    }

    #[test]
    fn a_mark_that_cannot_be_read_lets_nothing_pass() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path());
        assert_eq!(disk.high().unwrap(), None);
        disk.set_high(Version(2, 7)).unwrap();
        assert_eq!(disk.high().unwrap(), Some(Version(2, 7)));
        fs::write(dir.path().join(HIGH), b"2.x").unwrap();
        assert_eq!(disk.high().unwrap(), Some(Version(u64::MAX, u64::MAX)));
    }

    #[test]
    fn only_the_newest_refused_ones_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path());
        for n in 0..12 {
            disk.keep_aside(&format!("{n:04}.cbor"), b"x").unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(dir.path().join(REFUSED))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names.len(), 8);
        assert_eq!(names[0], "0004.cbor");
    }
}
