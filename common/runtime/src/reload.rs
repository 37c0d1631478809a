//! Settings read again while the process runs.
//!
//! What a process can take over while it runs it does; the rest is told to need a restart, each time again until there was one.
//! Settings that cannot be used change nothing. A file with a secret counts as its setting: other contents are a change.
use crate::settings::{Env, Validate, load};
use anyhow::Context;
use exarch_common_crypto::hash::sha256_hex;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// Every setting by its dotted key.
type Leaves = BTreeMap<String, String>;

/// What a process takes over while it runs.
#[derive(Default)]
pub struct TakeOver(Vec<Part>);

struct Part {
    keys: &'static [&'static str],
    put: Box<dyn FnOnce() + Send>,
}

impl TakeOver {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One thing more: should one of `keys` (or sections) have changed, `put` puts the new values in force; it cannot fail.
    #[must_use]
    pub fn with(mut self, keys: &'static [&'static str], put: impl FnOnce() + Send + 'static) -> Self {
        let put = Box::new(put);
        self.0.push(Part { keys, put });
        self
    }
}

/// What became of settings that were read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// In force now.
    pub changed: Vec<String>,
    /// In force after a restart.
    pub after_restart: Vec<String>,
}

/// Reads the settings of a process again.
pub struct Reloader<T> {
    file: Option<PathBuf>,
    env: Env,
    in_force: Mutex<Leaves>,
    prepare: Box<Prepare<T>>,
}

type Prepare<T> = dyn Fn(&T) -> anyhow::Result<TakeOver> + Send + Sync;

impl<T: DeserializeOwned + Serialize + Validate> Reloader<T> {
    /// For a process that was started with `settings`, from `file` and `env`. `prepare` makes ready what new settings put in
    /// force, and fails as long as nothing has changed yet.
    ///
    /// # Errors
    /// The settings cannot be written down.
    pub fn new(
        settings: &T,
        file: Option<PathBuf>,
        env: Env,
        prepare: impl Fn(&T) -> anyhow::Result<TakeOver> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            file,
            env,
            in_force: Mutex::new(leaves(settings)?),
            prepare: Box::new(prepare),
        })
    }

    /// Reads them again, takes over what can be, and says in the log what that was.
    pub fn reload(&self) {
        match self.try_reload() {
            Ok(Reloaded { changed, after_restart }) => {
                if changed.is_empty() && after_restart.is_empty() {
                    tracing::info!("the settings were read again; nothing has changed");
                }
                if !changed.is_empty() {
                    tracing::info!(changed = changed.join(", "), "the settings were read again");
                }
                if !after_restart.is_empty() {
                    tracing::warn!(
                        keys = after_restart.join(", "),
                        "these settings have changed and need a restart"
                    );
                }
            }
            Err(error) => {
                tracing::error!(
                    why = format!("{error:#}"),
                    "the settings cannot be used; those in force stay"
                );
            }
        }
    }

    /// The same, told to the caller.
    ///
    /// # Errors
    /// The settings cannot be used; nothing has changed.
    pub fn try_reload(&self) -> anyhow::Result<Reloaded> {
        let settings: T = load(self.file.as_deref(), &self.env)?;
        let new = leaves(&settings)?;
        let parts = (self.prepare)(&settings)?.0;
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let mut differing: Vec<String> = in_force
            .keys()
            .chain(new.keys().filter(|key| !in_force.contains_key(*key)))
            .filter(|key| in_force.get(*key) != new.get(*key))
            .cloned()
            .collect();
        let mut outcome = Reloaded::default();
        for Part { keys, put } in parts {
            let (mine, others) = differing
                .into_iter()
                .partition(|key| keys.iter().any(|live| is_in(key, live)));
            differing = others;
            let mine: Vec<String> = mine;
            if !mine.is_empty() {
                put();
            }
            for key in mine {
                match new.get(&key) {
                    Some(value) => in_force.insert(key.clone(), value.clone()),
                    None => in_force.remove(&key),
                };
                outcome.changed.push(key);
            }
        }
        outcome.after_restart = differing;
        outcome.changed.sort();
        outcome.after_restart.sort();
        Ok(outcome)
    }
}

fn is_in(key: &str, section: &str) -> bool {
    key.strip_prefix(section)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn leaves(settings: &impl Serialize) -> anyhow::Result<Leaves> {
    let tree = toml::Value::try_from(settings).context("the settings cannot be written down")?;
    let mut found = Leaves::new();
    collect("", &tree, &mut found);
    Ok(found)
}

fn collect(key: &str, value: &toml::Value, found: &mut Leaves) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                collect(&key, value, found);
            }
        }
        // By its convention a key that ends so names a file with a secret, of which only the digest is kept here.
        toml::Value::String(path) if key.ends_with("_file") => {
            let digest = std::fs::read(path).map(|bytes| sha256_hex(&bytes)).unwrap_or_default();
            found.insert(key.to_owned(), format!("{path} {digest}"));
        }
        other => {
            found.insert(key.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Check, Log, SecretFile};
    use serde::Deserialize;
    use std::{
        fs,
        os::unix::fs::PermissionsExt,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
    };

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        port: u16,
        password_file: SecretFile,
        #[serde(default)]
        log: Log,
    }

    impl Validate for Settings {
        fn validate(&self, check: &mut Check) {
            check.range("port", self.port, 1..=9);
            check.secret("password_file", &self.password_file);
            check.section("log", &self.log);
        }
    }

    struct World {
        dir: tempfile::TempDir,
        puts: Arc<AtomicU32>,
    }

    impl World {
        fn write(&self, name: &str, text: &str) {
            let path = self.dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }

        fn settings(&self, port: u16, log: &str) {
            let secret = self.dir.path().join("secret");
            self.write(
                "settings.toml",
                &format!(
                    "port = {port}\npassword_file = {:?}\n[log]\n{log}\n",
                    secret.display().to_string()
                ),
            );
        }

        fn reloader(&self) -> Reloader<Settings> {
            let file = self.dir.path().join("settings.toml");
            let settings: Settings = load(Some(&file), &Env::new()).unwrap();
            let puts = self.puts.clone();
            Reloader::new(&settings, Some(file), Env::new(), move |new: &Settings| {
                anyhow::ensure!(new.log.filter != "trace", "not this one");
                let puts = puts.clone();
                Ok(TakeOver::new().with(&["log", "password_file"], move || {
                    puts.fetch_add(1, Ordering::SeqCst);
                }))
            })
            .unwrap()
        }

        fn put(&self) -> u32 {
            self.puts.load(Ordering::SeqCst)
        }
    }

    fn world() -> World {
        let world = World {
            dir: tempfile::tempdir().unwrap(),
            puts: Arc::default(),
        };
        world.write("secret", "one");
        world.settings(1, "");
        world
    }

    fn keys(found: &[&str]) -> Vec<String> {
        found.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn what_can_be_is_taken_over_and_the_rest_needs_a_restart_until_there_was_one() {
        let world = world();
        let reloader = world.reloader();
        assert_eq!(reloader.try_reload().unwrap(), Reloaded::default());
        world.settings(2, "filter = \"debug\"");
        let first = reloader.try_reload().unwrap();
        assert_eq!(first.changed, keys(&["log.filter"]));
        assert_eq!(first.after_restart, keys(&["port"]));
        let second = reloader.try_reload().unwrap();
        assert_eq!(second.changed, keys(&[]));
        assert_eq!(second.after_restart, keys(&["port"]));
    }

    #[test]
    fn other_contents_of_a_secret_file_are_a_change_of_its_setting() {
        let world = world();
        let reloader = world.reloader();
        world.write("secret", "two");
        assert_eq!(reloader.try_reload().unwrap().changed, keys(&["password_file"]));
        assert_eq!(reloader.try_reload().unwrap().changed, keys(&[]));
    }

    #[test]
    fn what_has_not_changed_is_left_alone() {
        let world = world();
        let reloader = world.reloader();
        world.settings(2, "");
        reloader.try_reload().unwrap();
        assert_eq!(world.put(), 0);
    }

    #[test]
    fn settings_that_cannot_be_used_change_nothing() {
        let world = world();
        let reloader = world.reloader();
        for (port, log) in [
            (12, "filter = \"debug\""),
            (1, "filter = \"=,\""),
            (1, "fitler = \"x\""),
            (1, "filter = \"trace\""),
        ] {
            world.settings(port, log);
            assert!(reloader.try_reload().is_err(), "{port} {log}");
        }
        fs::write(world.dir.path().join("settings.toml"), "port = ").unwrap();
        assert!(reloader.try_reload().is_err());
        assert_eq!(world.put(), 0);
        world.settings(1, "filter = \"debug\"");
        assert_eq!(reloader.try_reload().unwrap().changed, keys(&["log.filter"]));
        assert_eq!(world.put(), 1);
    }
}
