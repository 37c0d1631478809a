//! The files of the project, read once.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// One text file of the project.
#[derive(Debug, Clone)]
pub struct File {
    /// From the root, with slashes.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl File {
    /// A file that exists only in a test.
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Whether its name ends with `.` and `extension`.
    pub fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// The project.
#[derive(Debug)]
pub struct Repository {
    /// Where it is.
    pub root: PathBuf,
    /// Its text files, sorted by path; neither ignored nor built ones.
    pub files: Vec<File>,
}

impl Repository {
    /// Reads the project this crate belongs to.
    pub fn open() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .expect("this crate lies two folders below the root")
            .to_owned();
        let mut paths = tracked(&root).unwrap_or_else(|| walked(&root));
        paths.sort();
        let read = |path: String| {
            // Files deleted but not yet committed are still listed; binary ones have no words.
            let text = fs::read_to_string(root.join(&path)).ok()?;
            Some(File { path, text })
        };
        let files = paths.into_iter().filter_map(read).collect();
        Self { root, files }
    }

    /// The Rust sources.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is("rs"))
    }

    /// One file by its path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// What git knows or would add.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let out = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let listed = String::from_utf8(out.stdout).ok()?;
    let paths: Vec<String> = listed.split_terminator('\0').map(str::to_owned).collect();
    (out.status.success() && !paths.is_empty()).then_some(paths)
}

/// Without git: every file outside the folders that builds make.
fn walked(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !matches!(
                    entry.file_name().to_str(),
                    Some(".git" | "target" | "node_modules" | "dist") | None
                ) {
                    folders.push(path);
                }
            } else if let Some(path) = path.strip_prefix(root).ok().and_then(Path::to_str) {
                found.push(path.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_git_the_same_sources_are_seen() {
        let repository = Repository::open();
        let walked = walked(&repository.root);
        assert!(repository.rust().count() > 20);
        for file in repository.rust() {
            assert!(walked.contains(&file.path), "{}", file.path);
        }
    }
}
