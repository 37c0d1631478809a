//! The units of systemd, as they are shipped: each is checked, and its line is run with its environment and its secrets.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
use exarch_tests_federation::program;
use std::{
    fs,
    io::{Write, stderr},
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(30);
const UNITS: [&str; 3] = ["exarch-global", "exarch-gateway", "exarch-agent"];

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/systemd")
}

/// The lines of a unit, without their sections: no key of ours occurs in two.
struct Unit(Vec<(String, String)>);

impl Unit {
    fn read(name: &str) -> Self {
        let text = fs::read_to_string(shipped().join(format!("{name}.service"))).unwrap();
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
        Self(
            lines
                .map(|line| {
                    let (key, value) = line.split_once('=').expect("a line of a unit is a key and a value");
                    (key.to_owned(), value.to_owned())
                })
                .collect(),
        )
    }

    fn all(&self, key: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, key: &str) -> &str {
        match self.all(key)[..] {
            [one] => one,
            ref other => panic!("{key} is there {} times", other.len()),
        }
    }

    fn seconds(&self, key: &str) -> u64 {
        self.one(key).parse().expect("seconds")
    }
}

#[test]
fn every_unit_is_shut_as_far_as_its_work_allows() {
    for name in UNITS {
        let unit = Unit::read(name);
        for (key, value) in [
            ("Type", "notify"),
            ("NotifyAccess", "main"),
            ("ExecReload", "/bin/kill -HUP $MAINPID"),
            ("User", name),
            ("UMask", "0077"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("ProtectHome", "yes"),
            ("PrivateTmp", "yes"),
            ("CapabilityBoundingSet", ""),
            ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
            ("LimitCORE", "0"),
        ] {
            assert_eq!(unit.one(key), value, "{name}: {key}");
        }
        assert!(unit.seconds("WatchdogSec") >= 10, "{name}");
        // No secret stands in a unit, and none in the environment: only where it lies.
        for line in unit.all("Environment") {
            assert!(line.contains("=%d/") || line.contains("=%S/"), "{name}: {line}");
        }
    }
}

#[test]
fn a_unit_waits_for_its_process_longer_than_that_takes_to_stop() {
    for (name, longest) in [("exarch-global", 11), ("exarch-gateway", 11), ("exarch-agent", 20)] {
        let wait = Unit::read(name).seconds("TimeoutStopSec");
        assert!(wait > longest + 5, "{name} is killed after {wait} s");
    }
    assert_eq!(Unit::read("exarch-agent").one("KillMode"), "mixed");
}

#[test]
fn systemd_itself_finds_nothing_wrong_with_the_units() {
    let has = Command::new("systemd-analyze").arg("--version").output();
    if !has.is_ok_and(|output| output.status.success()) {
        let _ = writeln!(
            stderr(),
            "NOT CHECKED: the units by systemd, while there is no systemd-analyze on this machine"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in UNITS {
        let text = fs::read_to_string(shipped().join(format!("{name}.service"))).unwrap();
        // Where the programs are now, since systemd looks whether they are there.
        let here = text.replace(&format!("/usr/bin/{name}"), program(name).to_str().unwrap());
        assert_ne!(here, text);
        let path = dir.path().join(format!("{name}.service"));
        fs::write(&path, here).unwrap();
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
        assert!(output.status.success() && ours.is_empty(), "{name}: {said}");
    }
}

struct Started {
    child: Child,
    manager: UnixDatagram,
    said: PathBuf,
    _dir: tempfile::TempDir,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Started {
    /// What a service manager makes of the unit, on ports that are free and with a database that is away.
    fn new(name: &str) -> Self {
        let unit = Unit::read(name);
        let dir = tempfile::tempdir().unwrap();
        let at = |below: &str| dir.path().join(below);
        for folder in [
            "credentials",
            "state",
            "state/exarch-gateway",
            "state/exarch-agent",
            "etc",
        ] {
            fs::create_dir(at(folder)).unwrap();
        }
        for line in unit.all("LoadCredential") {
            let (id, source) = line.split_once(':').unwrap();
            assert!(source.starts_with("/etc/exarch/secrets/"), "{line}");
            let secret = match id {
                "master" | "pepper" => "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned(),
                url => format!(
                    "postgres://exarch_{}:x@127.0.0.1:1/exarch",
                    url.trim_end_matches("-url")
                ),
            };
            fs::write(at("credentials").join(id), secret).unwrap();
            // As systemd makes them: an access list for the service's user, whose mask shows as the group's.
            fs::set_permissions(at("credentials").join(id), fs::Permissions::from_mode(0o440)).unwrap();
        }
        let line: Vec<&str> = unit.one("ExecStart").split(' ').collect();
        assert_eq!(line[0], format!("/usr/bin/{name}"));
        let mut command = Command::new(program(name));
        for arg in &line[1..] {
            let settings = arg.strip_prefix("/etc/exarch/");
            match settings {
                Some(file) => command.arg(shipped().join(file)),
                None => command.arg(arg),
            };
        }
        command.env_clear().env("CREDENTIALS_DIRECTORY", at("credentials"));
        for set in unit.all("Environment") {
            let (variable, value) = set.split_once('=').unwrap();
            let value = value
                .replace("%d", at("credentials").to_str().unwrap())
                .replace("%S", at("state").to_str().unwrap());
            command.env(variable, value);
        }
        let listeners: &[&str] = match name {
            "exarch-global" => &["PUBLIC", "FEDERATION", "OPS"],
            "exarch-gateway" => &["PUBLIC", "AGENTS", "OPS"],
            _ => &[],
        };
        for listener in listeners {
            command.env(format!("EXARCH_{listener}__LISTEN"), "127.0.0.1:0");
        }
        let manager = UnixDatagram::bind(at("notify")).unwrap();
        manager.set_read_timeout(Some(LONG)).unwrap();
        // Sooner than the unit asks for, so that a test need not wait as long.
        command
            .env("NOTIFY_SOCKET", at("notify"))
            .env("WATCHDOG_USEC", "200000");
        let said = at("log");
        let log = fs::File::create(&said).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            manager,
            said,
            _dir: dir,
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Waits until the service manager hears this.
    fn hears(&self, expected: &str) -> String {
        let mut buffer = [0; 512];
        loop {
            let n = self.manager.recv(&mut buffer);
            let n = n.unwrap_or_else(|_| panic!("the service manager did not hear {expected}: {}", self.said()));
            let heard = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if heard.contains(expected) {
                return heard;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn ended(&mut self) -> bool {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn the_line_of_a_servers_unit_starts_it_with_secrets_handed_over_and_the_manager_is_told() {
    for name in ["exarch-global", "exarch-gateway"] {
        let mut started = Started::new(name);
        started.hears("STATUS=waiting for the database");
        started.hears("WATCHDOG=1");
        started.signal("-TERM");
        started.hears("STOPPING=1");
        assert!(started.ended(), "{name}: {}", started.said());
    }
}

#[test]
fn the_line_of_the_agents_unit_starts_it_as_far_as_an_identity() {
    let mut started = Started::new("exarch-agent");
    assert!(!started.ended());
    let said = started.said();
    assert!(
        said.lines().last().unwrap_or_default().contains("enrol first"),
        "{said}"
    );
}
