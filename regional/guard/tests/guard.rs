//! The guard as its users see it: a process at a volume.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{AgentId, Ambient, Clock, Fence, SystemClock};
use exarch_common_crypto::sign::{Algorithm, SigningKey};
use exarch_common_wire::grant::{self, Action, Grant, Incarnation};
use std::{
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

const GUARD: &str = env!("CARGO_BIN_EXE_exarch-guard");

struct World {
    dir: tempfile::TempDir,
    key: SigningKey,
    base: Grant,
}

impl World {
    fn new() -> Self {
        let ambient = Ambient::system();
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let base = Grant {
            region: ambient.id(),
            tenant: ambient.id(),
            lease: ambient.id(),
            resource: ambient.id(),
            agent: ambient.id(),
            incarnation: Incarnation::new(ambient.bytes()),
            actions: vec![Action::Start],
            fence: Fence::new(1, 1),
            nonce: "n".into(),
            ttl_ms: 5000,
        };
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            key,
            base,
        };
        std::fs::write(world.volume(), b"data").unwrap();
        let init = Command::new(GUARD)
            .args(["init", "--volume"])
            .arg(world.volume())
            .args([
                "--region",
                &world.base.region.to_string(),
                "--resource",
                &world.base.resource.to_string(),
            ])
            .args(["--grant-key", &format!("g1:{}", B64.encode(world.key.public().raw()))])
            .status()
            .unwrap();
        assert!(init.success());
        world
    }

    fn volume(&self) -> PathBuf {
        self.dir.path().join("ledger.img")
    }

    fn grant(&self, generation: u64, agent: AgentId) -> PathBuf {
        let grant = Grant {
            fence: Fence::new(1, generation),
            agent,
            ..self.base.clone()
        };
        let path = self.dir.path().join(format!("{generation}.grant"));
        std::fs::write(&path, grant::sign(&self.key, "g1", &grant).unwrap()).unwrap();
        path
    }

    fn run(&self, grant: &PathBuf, life: Duration, script: &str) -> Child {
        Command::new(GUARD)
            .args(["run", "--volume"])
            .arg(self.volume())
            .arg("--grant")
            .arg(grant)
            .args(["--deadline-boottime", &(SystemClock.boot() + life).nanos().to_string()])
            .args(["--grace-ms", "300", "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Waits until the command has said its first line: then it runs.
fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim().to_owned()
}

fn wait(mut child: Child) -> (ExitStatus, String) {
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (child.wait().unwrap(), stderr)
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_command_ends_with_its_own_code_and_its_output() {
    let world = World::new();
    let mut child = world.run(
        &world.grant(1, world.base.agent),
        Duration::from_secs(20),
        "echo hello; exit 7",
    );
    assert_eq!(first_line(&mut child), "hello");
    assert_eq!(wait(child).0.code(), Some(7));
}

#[test]
fn at_the_deadline_the_whole_group_is_dead() {
    let world = World::new();
    // A grandchild in the background, which the shell leaves behind, and which ignores SIGTERM.
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; sleep 600' & echo $!; wait";
    let mut child = world.run(&world.grant(1, world.base.agent), Duration::from_millis(400), script);
    let grandchild = first_line(&mut child);
    let (status, stderr) = wait(child);
    assert_eq!(status.code(), Some(4), "{stderr}");
    assert!(!alive(&grandchild));
}

#[test]
fn what_a_finished_command_leaves_behind_is_ended_too() {
    let world = World::new();
    let mut child = world.run(
        &world.grant(1, world.base.agent),
        Duration::from_secs(20),
        "sleep 600 >&- 2>&- & echo $!",
    );
    let left = first_line(&mut child);
    assert_eq!(wait(child).0.code(), Some(0));
    assert!(!alive(&left));
}

#[test]
fn a_renewal_moves_the_deadline_on_and_never_back() {
    let world = World::new();
    let mut child = world.run(
        &world.grant(1, world.base.agent),
        Duration::from_millis(600),
        "echo on; sleep 1.2; exit 5",
    );
    assert_eq!(first_line(&mut child), "on");
    let later = (SystemClock.boot() + Duration::from_secs(30)).nanos();
    let control = child.stdin.as_mut().unwrap();
    writeln!(control, "deadline {later}\ndeadline 1\nnonsense").unwrap();
    assert_eq!(wait(child).0.code(), Some(5));
}

#[test]
fn when_the_agent_is_gone_the_deadline_comes() {
    let world = World::new();
    let mut child = world.run(
        &world.grant(1, world.base.agent),
        Duration::from_millis(500),
        "echo on; exec sleep 600",
    );
    assert_eq!(first_line(&mut child), "on");
    drop(child.stdin.take());
    assert_eq!(wait(child).0.code(), Some(4));
}

#[test]
fn stop_is_gentle_first() {
    let world = World::new();
    let script = "trap 'echo bye; exit 0' TERM; echo on; while :; do sleep 0.05; done";
    let mut child = world.run(&world.grant(1, world.base.agent), Duration::from_secs(20), script);
    assert_eq!(first_line(&mut child), "on");
    writeln!(child.stdin.as_mut().unwrap(), "stop").unwrap();
    assert_eq!(first_line(&mut child), "bye");
    assert_eq!(wait(child).0.code(), Some(0));
}

#[test]
fn a_command_dies_with_its_guard() {
    let world = World::new();
    let mut child = world.run(
        &world.grant(1, world.base.agent),
        Duration::from_secs(20),
        "echo $$; exec sleep 600",
    );
    let command = first_line(&mut child);
    assert!(alive(&command));
    child.kill().unwrap();
    child.wait().unwrap();
    let until = SystemClock.boot() + Duration::from_secs(5);
    while alive(&command) {
        assert!(SystemClock.boot() < until, "the command outlived its guard");
        std::thread::yield_now();
    }
}

#[test]
fn the_old_holder_is_refused_and_nothing_of_it_runs() {
    let world = World::new();
    let (old, other) = (world.grant(1, world.base.agent), Ambient::system().id());
    assert!(wait(world.run(&old, Duration::from_secs(20), "true")).0.success());
    assert!(
        wait(world.run(&world.grant(2, other), Duration::from_secs(20), "true"))
            .0
            .success()
    );
    let marker = world.dir.path().join("ran");
    let (status, stderr) = wait(world.run(&old, Duration::from_secs(20), &format!("touch {}", marker.display())));
    assert_eq!(status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_str(stderr.trim()).unwrap();
    assert_eq!(report["refused"], "stale-fence");
    assert_eq!(report["highest"], "1.2");
    assert!(!marker.exists());
}

#[test]
fn after_the_deadline_nothing_is_started() {
    let world = World::new();
    let marker = world.dir.path().join("ran");
    let script = format!("touch {}", marker.display());
    let (status, _) = wait(world.run(&world.grant(1, world.base.agent), Duration::ZERO, &script));
    assert_eq!(status.code(), Some(4));
    assert!(!marker.exists());
}
