use std::path::{Path, PathBuf};

use super::EmbeddedError;

/// The oldest server the schema works on.
const OLDEST: u32 = 15;

/// A directory with `initdb`, `pg_ctl` and `postgres` of one major version.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    dir: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    /// Looks where distributions put them; `major` asks for one version, because a data directory belongs to one.
    /// Without it the newest wins.
    pub(super) fn find(given: Option<&Path>, major: Option<u32>) -> Result<Self, EmbeddedError> {
        let places = match given {
            Some(dir) => vec![dir.to_owned()],
            None => places(),
        };
        let mut found: Vec<Binaries> = places.into_iter().filter_map(Self::at).collect();
        found.retain(|b| b.major >= OLDEST && major.is_none_or(|wanted| wanted == b.major));
        // the first of the same version stays first: what PATH names goes before what merely lies there
        found.sort_by_key(|b| std::cmp::Reverse(b.major));
        found.into_iter().next().ok_or(EmbeddedError::NoBinaries {
            wanted: major.unwrap_or(OLDEST),
            exactly: major.is_some(),
        })
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.dir.join(program)
    }

    fn at(dir: PathBuf) -> Option<Self> {
        // PATH may hold a link into the real directory, where the other programs are
        let dir = std::fs::canonicalize(dir.join("postgres")).ok()?.parent()?.to_owned();
        if !["initdb", "pg_ctl", "postgres"]
            .iter()
            .all(|program| dir.join(program).is_file())
        {
            return None;
        }
        let told = std::process::Command::new(dir.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        // "postgres (PostgreSQL) 15.18 (Debian …)", "… 18beta1"
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let number = told
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        Some(Self {
            dir,
            major: digits.parse().ok()?,
        })
    }
}

fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    if let Ok(told) = std::process::Command::new("pg_config").arg("--bindir").output() {
        places.push(PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()));
    }
    for (root, start, end) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/local", "pgsql", "bin"),
    ] {
        let Ok(entries) = std::fs::read_dir(root) else { continue };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(start) {
                places.push(entry.path().join(end));
            }
        }
    }
    places
}
