//! Checks of values that were read: ranges, secrets, addresses. All that is wrong is found at once.
use super::{SecretFile, duration::human, password_in};
use std::{fmt::Display, ops::RangeInclusive, time::Duration};

/// Settings that know what they accept.
pub trait Validate {
    /// Reports to `check` every value that cannot be used; sections go through [`Check::section`].
    fn validate(&self, check: &mut Check);
}

/// Collects what is wrong, under full keys.
#[derive(Debug, Default)]
pub struct Check {
    prefix: Vec<&'static str>,
    pub(super) found: Vec<(String, String)>,
}

impl Check {
    /// Checks a section; its keys are below `name`.
    pub fn section(&mut self, name: &'static str, section: &impl Validate) {
        self.prefix.push(name);
        section.validate(self);
        self.prefix.pop();
    }

    /// Reports `key`; `reason` reads on after it.
    pub fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        let mut full: Vec<&str> = self.prefix.clone();
        full.push(key);
        self.found.push((full.join("."), reason.into()));
    }

    /// A number within its range.
    pub fn range<T: PartialOrd + Display>(&mut self, key: &str, value: T, range: RangeInclusive<T>) {
        if !range.contains(&value) {
            self.refuse(key, format!("= {value} is outside {}..{}", range.start(), range.end()));
        }
    }

    /// A duration within its range.
    pub fn duration(&mut self, key: &str, value: Duration, range: RangeInclusive<Duration>) {
        if !range.contains(&value) {
            let (low, high) = (human(*range.start()), human(*range.end()));
            self.refuse(key, format!("= {} is outside {low}..{high}", human(value)));
        }
    }

    /// A secret that can be read now.
    pub fn secret(&mut self, key: &str, file: &SecretFile) {
        if let Err(e) = file.read() {
            self.refuse(key, format!("cannot be used: {e}"));
        }
    }

    /// An address without a password in it: those belong into files.
    pub fn no_password(&mut self, key: &str, url: &str) {
        if password_in(url).is_some() {
            self.refuse(key, "holds a password; put it into a file and name the file");
        }
    }

    /// The address of a database, without a login: that is in the files with secrets.
    pub fn database(&mut self, key: &str, url: &str) {
        let place = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"));
        if place.is_none_or(|place| place.is_empty() || place.starts_with('/') || place.contains('@')) {
            self.refuse(
                key,
                "must be postgres://host:port/database; login and password are those of the other files",
            );
        }
    }
}
