//! What is the same in every process's `doctor`: settings, the state directory, dates of certificates, and how it is told.
use crate::settings::{SettingsError, Validate};
use exarch_common_base::{Finding, Outcome};
use serde::de::DeserializeOwned;
use std::{fs, io::Write, os::unix::fs::MetadataExt, path::Path};

/// How the findings are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

impl std::str::FromStr for Telling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json".to_owned()),
        }
    }
}

/// The one thing to look at, when it is not all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What keeps tenants apart in the database.
    Rls,
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rls" => Ok(Self::Rls),
            _ => Err("expected rls, or nothing for all".to_owned()),
        }
    }
}

/// A certificate is renewed long before as few days are left.
const DAYS_LEFT: i64 = 7;

/// Loads the settings, or says what is wrong with them, each bad value for itself.
///
/// # Errors
/// The findings.
pub fn settings<T: DeserializeOwned + Validate>(
    loaded: Result<T, SettingsError>,
) -> Result<(T, Finding), Vec<Finding>> {
    match loaded {
        Ok(settings) => Ok((settings, Finding::ok("settings", "every value can be used"))),
        Err(SettingsError::Values(values)) => Err(values
            .into_iter()
            .map(|bad| {
                let origin = bad.origin.clone().unwrap_or_else(|| "the settings file".to_owned());
                Finding::bad(
                    format!("settings.{}", bad.key),
                    "a server does not start with it",
                    bad.to_string(),
                    format!("put it right in {origin}, then run config check"),
                )
            })
            .collect()),
        Err(error) => Err(vec![Finding::bad(
            "settings",
            "there are no settings to start with",
            error.to_string(),
            "name a file of settings, TOML, that this user can read",
        )]),
    }
}

/// A directory that is this process's alone and can be written to.
pub fn private_dir(check: &str, dir: &Path) -> Finding {
    let shown = dir.display();
    let bad =
        |cause: String, remedy: String| Finding::bad(check, format!("{shown} cannot hold the state"), cause, remedy);
    let meta = match fs::metadata(dir) {
        Ok(meta) => meta,
        Err(error) => {
            return bad(
                error.to_string(),
                format!("make the directory {shown}, owned by the service's user, mode 0700"),
            );
        }
    };
    let mode = meta.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return bad(
            format!("it has mode {mode:04o}: others may write into it"),
            format!("run chmod 700 {shown}"),
        );
    }
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    let written = fs::File::create_new(&probe).and_then(|mut file| file.write_all(b"x").and_then(|()| file.sync_all()));
    let removed = fs::remove_file(&probe);
    match written.and(removed) {
        Ok(()) => Finding::ok(check, format!("{shown} can be written")),
        Err(error) => bad(
            error.to_string(),
            format!("run doctor as the service's user; give {shown} to that user, and free space on its disk"),
        ),
    }
}

/// How many days a certificate is still good.
pub fn days_left(check: &str, days: i64, remedy: &str) -> Finding {
    if days > DAYS_LEFT {
        return Finding::ok(check, format!("good for {days} days"));
    }
    let symptom = if days < 0 {
        "its time is over".to_owned()
    } else {
        format!("good for {days} days")
    };
    Finding::bad(check, symptom, "it was not renewed in time", remedy)
}

/// The report, and whether all is well.
///
/// # Errors
/// The report cannot be written down.
pub fn report(findings: &[Finding], telling: Telling) -> anyhow::Result<(String, bool)> {
    let healthy = findings.iter().all(|finding| finding.outcome == Outcome::Ok);
    let text = match telling {
        Telling::Text => {
            let lines = findings.iter().map(|finding| format!("{finding}\n"));
            let end = if healthy {
                "all is well\n"
            } else {
                "something is not well\n"
            };
            lines.chain([end.to_owned()]).collect()
        }
        Telling::Json => {
            let document = serde_json::json!({"healthy": healthy, "findings": findings});
            format!("{}\n", serde_json::to_string_pretty(&document)?)
        }
    };
    Ok((text, healthy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_state_directory_that_others_write_or_that_is_not_there_is_bad() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(private_dir("state", dir.path()).outcome, Outcome::Ok);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left there");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o770)).unwrap();
        let bad = private_dir("state", dir.path());
        assert!(bad.outcome == Outcome::Bad && bad.cause.unwrap().contains("0770"));
        let missing = private_dir("state", &dir.path().join("missing"));
        assert!(missing.outcome == Outcome::Bad && missing.remedy.unwrap().contains("make the directory"));
    }

    #[test]
    fn days_are_counted_and_few_of_them_are_bad() {
        assert_eq!(days_left("c", 8, "r").outcome, Outcome::Ok);
        assert_eq!(days_left("c", 7, "r").outcome, Outcome::Bad);
        assert!(days_left("c", -1, "r").symptom.contains("over"));
    }

    #[test]
    fn one_bad_or_unknown_finding_is_enough() {
        let good = Finding::ok("a", "b");
        assert!(report(std::slice::from_ref(&good), Telling::Text).unwrap().1);
        let (text, healthy) = report(&[good, Finding::unknown("c", "d")], Telling::Json).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(!healthy && document["healthy"] == false);
        assert_eq!(document["findings"][1]["outcome"], "unknown");
    }
}
