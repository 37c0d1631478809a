//! A server that cannot start says in one line what is wrong and where.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The binaries stand beside the folder of the tests.
fn binary(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let path = exe.ancestors().nth(2).unwrap().join(name);
    assert!(
        path.is_file(),
        "{} is missing; build first: cargo build --workspace --bins",
        path.display()
    );
    path
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for (name, text) in [
            ("app", "postgres://exarch_app:x@127.0.0.1:1/exarch"),
            ("sweep", "postgres://exarch_sweep:x@127.0.0.1:1/exarch"),
            ("renew", "postgres://exarch_renew:x@127.0.0.1:1/exarch"),
            ("master", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("pepper", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ] {
            let path = world.path(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Settings that are good but for what a test changes.
    fn settings(&self, public: &str, extra: &str) -> PathBuf {
        let dir = self.dir.path().display();
        let text = format!(
            "[public]\nlisten = \"{public}\"\nurl = \"http://localhost:8440\"\n\
             [federation]\nlisten = \"127.0.0.1:0\"\n[ops]\nlisten = \"127.0.0.1:0\"\n\
             [database]\napp_url_file = \"{dir}/app\"\nsweep_url_file = \"{dir}/sweep\"\n\
             [keys]\nmaster_file = \"{dir}/master\"\npepper_file = \"{dir}/pepper\"\n{extra}"
        );
        let path = self.path("settings.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

fn global(command: &[&str], settings: &Path) -> Output {
    Command::new(binary("exarch-global"))
        .args(command)
        .arg("--config")
        .arg(settings)
        .output()
        .unwrap()
}

/// Refused, in one line that holds all of `words`.
fn refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it was accepted");
    let line = said.lines().last().unwrap_or_default();
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
    assert!(line.starts_with("exarch-global: "), "{line:?}");
}

#[test]
fn good_settings_pass_the_check() {
    let world = World::new();
    let output = global(&["config", "check"], &world.settings("127.0.0.1:0", ""));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_unknown_key_is_named() {
    let world = World::new();
    let output = global(
        &["serve"],
        &world.settings("127.0.0.1:0", "[probe]\nperiode = \"30s\"\n"),
    );
    refused(&output, &["periode"]);
}

#[test]
fn a_number_out_of_range_is_named_with_its_range() {
    let world = World::new();
    let output = global(
        &["serve"],
        &world.settings("127.0.0.1:0", "[tokens]\naccess = \"2h\"\n"),
    );
    refused(&output, &["tokens.access"]);
}

#[test]
fn a_missing_secret_is_named_with_its_path() {
    let world = World::new();
    let settings = world.settings("127.0.0.1:0", "");
    fs::remove_file(world.path("pepper")).unwrap();
    refused(&global(&["serve"], &settings), &["pepper"]);
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let world = World::new();
    let settings = world.settings("127.0.0.1:0", "");
    fs::set_permissions(world.path("master"), fs::Permissions::from_mode(0o644)).unwrap();
    refused(&global(&["serve"], &settings), &["master"]);
}

#[test]
fn no_secret_is_shown_by_config_show() {
    let world = World::new();
    let output = global(&["config", "show", "--effective"], &world.settings("127.0.0.1:0", ""));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("[tokens]"), "{said}");
    assert!(!said.contains("AAAAAAAA") && !said.contains("exarch_app:x"), "{said}");
}

#[test]
fn a_missing_settings_file_is_named() {
    refused(
        &global(&["serve"], Path::new("/nonexistent/settings.toml")),
        &["/nonexistent/settings.toml"],
    );
}
