//! A process that cannot start says in one line what is wrong and where, also while its database is away: here nothing ever
//! answers at its address.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
use exarch_tests_federation::program;
use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpListener},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(20);
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const GLOBAL: &str = "exarch-global";
const GATEWAY: &str = "exarch-gateway";
const SERVERS: [&str; 2] = [GLOBAL, GATEWAY];

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
            ("master", KEY),
            ("pepper", KEY),
        ] {
            let path = world.path(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::create_dir(world.path("state")).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Settings that are good but for what a test changes: the address of a listener, or a line more.
    fn settings(&self, server: &str, listen: &[(&str, &str)], extra: &str) -> PathBuf {
        let dir = self.dir.path().display();
        let at = |name: &str| {
            let changed = listen.iter().find(|(changed, _)| *changed == name);
            changed.map_or("127.0.0.1:0", |(_, at)| at)
        };
        let [_, inner, _] = listeners(server);
        let (more, renew, keys) = if server == GLOBAL {
            ("", String::new(), format!("pepper_file = \"{dir}/pepper\"\n"))
        } else {
            (
                "names = [\"localhost\"]\nurl = \"https://localhost:9441\"\n",
                format!("renew_url_file = \"{dir}/renew\"\n"),
                format!("[state]\ndir = \"{dir}/state\"\n"),
            )
        };
        let text = format!(
            "[public]\nlisten = \"{}\"\nurl = \"http://localhost:8440\"\n[{inner}]\nlisten = \"{}\"\n{more}\
             [ops]\nlisten = \"{}\"\n[database]\napp_url_file = \"{dir}/app\"\nsweep_url_file = \"{dir}/sweep\"\n{renew}\
             [keys]\nmaster_file = \"{dir}/master\"\n{keys}{extra}",
            at("public"),
            at(inner),
            at("ops"),
        );
        let path = self.path("settings.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

/// The listeners of a server, as its settings name them.
fn listeners(server: &str) -> [&'static str; 3] {
    ["public", if server == GLOBAL { "federation" } else { "agents" }, "ops"]
}

fn command(server: &str, args: &[&str], settings: &Path) -> Command {
    let mut command = Command::new(program(server));
    command.args(args).arg("--config").arg(settings);
    command
}

/// Ended with the process that made it, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn new(mut command: Command) -> Self {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Its end, and what it said; a process that goes on instead of ending is the failure that these tests look for.
    fn ended(mut self, what: &str) -> Output {
        let deadline = Instant::now() + LONG;
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it goes on instead of refusing: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        self.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        let status = self.0.wait().unwrap();
        Output { status, stdout, stderr }
    }
}

fn serve(server: &str, settings: &Path) -> Output {
    Running::new(command(server, &["serve"], settings)).ended(server)
}

/// Refused, in one line of the process's own that holds all of `words`.
fn refused(process: &str, output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it was accepted; expected were {words:?}");
    let line = said.lines().last().unwrap_or_default();
    assert!(line.starts_with(&format!("{process}: ")), "{said:?}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
}

#[test]
fn good_settings_pass_the_check() {
    for server in SERVERS {
        let world = World::new();
        let settings = world.settings(server, &[], "");
        let output = command(server, &["config", "check"], &settings).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn an_unknown_key_or_section_is_named() {
    for server in SERVERS {
        let world = World::new();
        let section = if server == GLOBAL { "probe" } else { "passport" };
        let settings = world.settings(server, &[], &format!("[{section}]\nperiode = \"30s\"\n"));
        refused(server, &serve(server, &settings), &["periode"]);
        let settings = world.settings(server, &[], "[telepathy]\non = true\n");
        refused(server, &serve(server, &settings), &["telepathy"]);
        let settings = world.settings(server, &[], "");
        let mut by_environment = command(server, &["serve"], &settings);
        by_environment.env("EXARCH_PUBLIC__LISTENER", "127.0.0.1:0");
        refused(server, &Running::new(by_environment).ended("start"), &["listener"]);
    }
}

#[test]
fn a_number_out_of_range_is_named_with_its_range() {
    let world = World::new();
    for (server, extra, named) in [
        (GLOBAL, "[tokens]\naccess = \"2h\"\n", "tokens.access"),
        (GATEWAY, "[leases]\nttl = \"1s\"\n", "leases.ttl"),
    ] {
        refused(server, &serve(server, &world.settings(server, &[], extra)), &[named]);
    }
}

#[test]
fn a_secret_that_is_missing_unreadable_or_no_key_is_named() {
    for (server, secrets) in [
        (GLOBAL, &["app", "sweep", "master", "pepper"][..]),
        (GATEWAY, &["app", "sweep", "renew", "master"]),
    ] {
        for secret in secrets {
            let world = World::new();
            let settings = world.settings(server, &[], "");
            let path = world.path(secret);
            let whole = path.to_str().unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            refused(server, &serve(server, &settings), &[whole]);
            fs::remove_file(&path).unwrap();
            refused(server, &serve(server, &settings), &[whole]);
            // What may be there and cannot be read, whoever asks: a folder.
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            refused(server, &serve(server, &settings), &[whole]);
        }
        let world = World::new();
        let settings = world.settings(server, &[], "");
        fs::write(world.path("master"), "AAAA").unwrap();
        refused(server, &serve(server, &settings), &["settings.keys.master_file"]);
        let world = World::new();
        let settings = world.settings(server, &[], "");
        fs::write(world.path("app"), "nonsense://x:canary@y").unwrap();
        let output = serve(server, &settings);
        refused(server, &output, &["app"]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("canary"));
    }
}

#[test]
fn a_port_in_use_is_named_though_the_database_is_away() {
    for server in SERVERS {
        for listener in listeners(server) {
            let world = World::new();
            let taken = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = taken.local_addr().unwrap().to_string();
            let output = serve(server, &world.settings(server, &[(listener, &at)], ""));
            refused(
                server,
                &output,
                &[&format!("settings.{listener}.listen"), &at, "in use"],
            );
        }
    }
}

#[test]
fn plain_http_where_others_reach_it_is_refused_though_the_database_is_away() {
    for server in SERVERS {
        for listener in ["public", "ops"] {
            for at in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
                let world = World::new();
                let output = serve(server, &world.settings(server, &[(listener, at)], ""));
                refused(server, &output, &[&format!("settings.{listener}.listen"), "loopback"]);
            }
        }
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn ask(at: SocketAddr, path: &str) -> Option<reqwest::Response> {
    reqwest::get(format!("http://{at}{path}")).await.ok()
}

#[tokio::test]
async fn while_the_database_is_away_a_server_lives_is_not_ready_and_says_so() {
    exarch_common_crypto::init().unwrap();
    for server in SERVERS {
        let world = World::new();
        let (public, ops) = (free(), free());
        let listen = [("public", &*public.to_string()), ("ops", &*ops.to_string())];
        let mut running = Running::new(command(server, &["serve"], &world.settings(server, &listen, "")));
        let deadline = Instant::now() + LONG;
        while ask(ops, "/livez").await.is_none() {
            assert!(Instant::now() < deadline, "{server} does not answer /livez");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(ask(ops, "/livez").await.unwrap().status(), 200);
        assert_eq!(ask(ops, "/readyz").await.unwrap().status(), 503);
        let answer = ask(public, "/v1/me").await.unwrap();
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
        let text = answer.text().await.unwrap();
        assert!(text.contains("urn:exarch:problem:starting"), "{text}");
        let pid = running.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let deadline = Instant::now() + LONG;
        while running.0.try_wait().unwrap().is_none() {
            assert!(
                Instant::now() < deadline,
                "{server} does not hear SIGTERM while it waits"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(running.0.wait().unwrap().success(), "{server}");
    }
}

#[test]
fn an_agent_without_its_guard_or_without_an_identity_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let agent = |args: &[&str]| {
        let mut command = Command::new(program("exarch-agent"));
        command.args(["run", "--state"]).arg(dir.path()).args(args);
        Running::new(command).ended("start")
    };
    refused(
        "exarch-agent",
        &agent(&["--guard", "/nonexistent/guard"]),
        &["/nonexistent/guard", "--guard"],
    );
    refused("exarch-agent", &agent(&[]), &["no identity", "enrol"]);
    // Beside an agent that stands alone there is no guard either.
    let alone = dir.path().join("exarch-agent");
    fs::hard_link(program("exarch-agent"), &alone)
        .or_else(|_| fs::copy(program("exarch-agent"), &alone).map(drop))
        .unwrap();
    let mut command = Command::new(&alone);
    command.args(["run", "--state"]).arg(dir.path());
    let guard = dir.path().join("exarch-guard");
    refused(
        "exarch-agent",
        &Running::new(command).ended("start"),
        &[guard.to_str().unwrap()],
    );
}

#[test]
fn a_bootstrap_token_that_others_can_read_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "ebt_canary\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let pin = format!("sha256:{}", "0".repeat(64));
    let mut command = Command::new(program("exarch-agent"));
    command.args([
        "enrol",
        "--gateway",
        "https://127.0.0.1:1",
        "--ca-pin",
        &pin,
        "--token-file",
    ]);
    command.arg(&token).arg("--state").arg(dir.path().join("state"));
    let output = Running::new(command).ended("enrol");
    refused(
        "exarch-agent",
        &output,
        &["--token-file", token.to_str().unwrap(), "chmod 600"],
    );
    assert!(!String::from_utf8_lossy(&output.stderr).contains("canary"));
}

#[test]
fn a_box_without_one_of_its_programs_names_it_and_starts_nothing() {
    for missing in [GLOBAL, GATEWAY, "exarch-agent", "exarch-guard", "exarch"] {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for name in [GLOBAL, GATEWAY, "exarch-agent", "exarch-guard", "exarch"] {
            if name != missing {
                symlink(program(name), bin.join(name)).unwrap();
            }
        }
        let state = dir.path().join("state");
        let mut command = Command::new(program("exarch-box"));
        command
            .args(["up", "--detach", "--port-base", "11000", "--dir"])
            .arg(&state);
        command.arg("--bin").arg(&bin);
        let output = Running::new(command).ended("start");
        refused(
            "exarch-box",
            &output,
            &[bin.join(missing).to_str().unwrap(), "is missing"],
        );
        assert!(!state.exists());
    }
}

#[test]
fn no_secret_is_shown_by_config_show() {
    for (server, section) in [(GLOBAL, "[tokens]"), (GATEWAY, "[leases]")] {
        let world = World::new();
        let settings = world.settings(server, &[], "");
        let output = command(server, &["config", "show", "--effective"], &settings)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains(section), "{said}");
        assert!(!said.contains("AAECAwQF") && !said.contains(":x@"), "{said}");
    }
}

#[test]
fn a_missing_settings_file_is_named() {
    for server in SERVERS {
        let output = serve(server, Path::new("/nonexistent/settings.toml"));
        refused(server, &output, &["/nonexistent/settings.toml"]);
    }
}
