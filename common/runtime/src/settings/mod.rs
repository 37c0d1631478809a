//! Settings: one TOML file, each key of which `EXARCH_SECTION__KEY` can override, read into a structure and checked
//! before anything starts. Every error names the key and where its value came from.
//!
//! The environment is an argument: a test passes its own map.
mod check;
pub mod duration;
mod secret;
mod sections;
mod tree;

pub use check::{Check, Validate};
pub use secret::{SecretFile, SecretFileError};
pub use sections::{Log, Stop};

use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};
use tree::Node;

/// Environment variables.
pub type Env = BTreeMap<String, String>;

const PREFIX: &str = "EXARCH_";

/// The environment of this process; variables that are no text are left out.
pub fn process_env() -> Env {
    std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect()
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the settings file {} cannot be read: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("the settings file {}, line {line}: {reason}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In one clause.
        reason: String,
    },
    /// Values that cannot be used, all of them.
    #[error("{}", Lines(.0))]
    Values(Vec<BadValue>),
}

/// One value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// Dotted, as `probe.period`.
    pub key: String,
    /// The file or the variable that it came from; nothing for a value that nobody gave.
    pub origin: Option<String>,
    /// Reads on after the key: "5s is outside 10s..10m".
    pub reason: String,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settings.{} {}", self.key, self.reason)?;
        match &self.origin {
            Some(origin) => write!(f, " (from {origin})"),
            None => Ok(()),
        }
    }
}

struct Lines<'a>(&'a [BadValue]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, bad) in self.0.iter().enumerate() {
            write!(f, "{}{bad}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// Reads `file` (none: only defaults and environment) and the overrides in `env`, and checks the result.
pub fn load<T: DeserializeOwned + Validate>(file: Option<&Path>, env: &Env) -> Result<T, SettingsError> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
            path: path.to_owned(),
            source,
        })?,
        None => String::new(),
    };
    let shown = file.unwrap_or(Path::new("(none)"));
    let table: toml::Table = toml::from_str(&text).map_err(|e| SettingsError::Syntax {
        path: shown.to_owned(),
        line: e.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count()),
        reason: e.message().to_owned(),
    })?;
    let mut origins = Origins {
        file: file.map(|f| f.display().to_string()),
        variables: BTreeMap::new(),
    };
    let mut root = Node::from_table(table);
    for (variable, value) in env {
        let Some(key) = key_of(variable) else { continue };
        root.set(&key, value.clone());
        origins.variables.insert(key.join("."), variable.clone());
    }
    let settings: T = serde_path_to_error::deserialize(root).map_err(|e| {
        let path = e.path().to_string();
        let (key, reason) = explain(if path == "." { "" } else { &path }, &e.inner().to_string());
        SettingsError::Values(vec![origins.bad(key, reason)])
    })?;
    let mut check = Check::default();
    settings.validate(&mut check);
    let bad: Vec<_> = check
        .found
        .into_iter()
        .map(|(key, why)| origins.bad(key, why))
        .collect();
    if bad.is_empty() {
        Ok(settings)
    } else {
        Err(SettingsError::Values(bad))
    }
}

/// `EXARCH_PROBE__PERIOD` is `probe.period`. Without a double underscore a variable is not a setting.
fn key_of(variable: &str) -> Option<Vec<String>> {
    let rest = variable.strip_prefix(PREFIX)?;
    let parts: Vec<_> = rest.split("__").map(str::to_ascii_lowercase).collect();
    (parts.len() > 1).then_some(parts)
}

struct Origins {
    file: Option<String>,
    variables: BTreeMap<String, String>,
}

impl Origins {
    fn bad(&self, key: String, reason: String) -> BadValue {
        let origin = self.variables.get(&key).or(self.file.as_ref()).cloned();
        BadValue { key, origin, reason }
    }
}

/// Puts the name of an unknown or missing key where it belongs: into the key. A wrong value is not repeated; it may be a
/// secret.
fn explain(path: &str, message: &str) -> (String, String) {
    let quoted = |prefix: &str| {
        let (name, rest) = message.strip_prefix(prefix)?.split_once('`')?;
        let is_last = path == name || path.ends_with(&format!(".{name}"));
        let key = if is_last || path.is_empty() { "" } else { path };
        let key = match (is_last, key.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => name.to_owned(),
            (false, false) => format!("{key}.{name}"),
        };
        Some((key, rest.trim_start_matches(", ").to_owned()))
    };
    if let Some((key, rest)) = quoted("unknown field `") {
        let hint = if rest.is_empty() {
            String::new()
        } else {
            format!("; {rest}")
        };
        return (key, format!("is not a setting{hint}"));
    }
    if let Some((key, _)) = quoted("missing field `") {
        return (key, "is required and is not set".to_owned());
    }
    let reason = match message.split_once(", expected ") {
        Some((wrong, expected)) if wrong.starts_with("invalid ") => format!("must be {expected}"),
        _ => format!("cannot be used: {message}"),
    };
    (path.to_owned(), reason)
}

/// All settings in force, as TOML, secrets masked: for `config show --effective`.
pub fn show_effective(settings: &impl Serialize) -> Result<String, toml::ser::Error> {
    let mut value = toml::Value::try_from(settings)?;
    mask("", &mut value);
    toml::to_string_pretty(&value)
}

const MASK: &str = "(masked)";

/// Secrets are files by their type; this is for the value that someone put where none belongs.
fn mask(key: &str, value: &mut toml::Value) {
    match value {
        toml::Value::Table(table) => table.iter_mut().for_each(|(key, value)| mask(key, value)),
        toml::Value::Array(items) => items.iter_mut().for_each(|item| mask(key, item)),
        toml::Value::String(text) => {
            let secret = ["password", "secret", "token", "passphrase", "pepper"]
                .iter()
                .any(|word| key.ends_with(word));
            if secret {
                MASK.clone_into(text);
            } else if let Some((before, password, after)) = password_in(text) {
                *text = text.replacen(
                    &format!("{before}:{password}@{after}"),
                    &format!("{before}:{MASK}@{after}"),
                    1,
                );
            }
        }
        _ => {}
    }
}

/// Splits `scheme://user:password@host/…` around the password.
fn password_in(text: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = text.split_once("://")?;
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (user, host) = rest[..authority_end].rsplit_once('@')?;
    let (user, password) = user.split_once(':')?;
    Some((user, password, host))
}

#[cfg(test)]
mod tests;
