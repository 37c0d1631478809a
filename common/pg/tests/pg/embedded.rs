use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use exarch_common_base::{Ambient, ExposeSecret};
use exarch_common_pg::Login;
use exarch_common_pg::embedded::{Cluster, ClusterSpec, EmbeddedError, Life, Passwords, StopMode};
use exarch_common_testkit::db::{free_port, throwaway_cluster, throwaway_spec};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Waits for what another process does; fails the test when it does not.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn remember(cluster: &Cluster) {
    let mut conn = cluster.superuser_conn("exarch").await.unwrap();
    sqlx::raw_sql("CREATE TABLE public.kept (n int); INSERT INTO public.kept VALUES (7)")
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
}

async fn remembered(cluster: &Cluster) -> i32 {
    let mut conn = cluster.superuser_conn("exarch").await.unwrap();
    sqlx::query_scalar("SELECT n FROM public.kept")
        .fetch_one(&mut conn)
        .await
        .unwrap()
}

#[tokio::test]
async fn ensuring_a_running_cluster_leaves_it_running() {
    let spec = throwaway_spec();
    let first = Cluster::ensure(&spec).await.unwrap();
    remember(&first).await;
    let pid = first.pid().unwrap();
    let second = Cluster::ensure(&spec).await.unwrap();
    assert_eq!(second.pid(), Some(pid));
    for login in Login::ALL {
        let mut conn = PgConnection::connect_with(&second.options_of(login, "exarch"))
            .await
            .unwrap();
        let me: String = sqlx::query_scalar("SELECT session_user::text")
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(me, login.name());
        PgConnection::connect(second.url_of(login).expose_secret())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_durable_cluster_outlives_its_starter_keeps_what_was_committed_and_stops_when_told() {
    let dir = tempfile::tempdir().unwrap();
    // the account the server runs as must be able to pass
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let spec = ClusterSpec::new(
        dir.path().join("a/b/pg"),
        free_port(),
        "exarch",
        Passwords::generate(&Ambient::system()),
    );
    let cluster = Cluster::ensure(&spec).await.unwrap();
    remember(&cluster).await;
    let pid = cluster.pid().unwrap();
    drop(cluster);
    let cluster = Cluster::ensure(&spec).await.unwrap();
    assert_eq!(cluster.pid(), Some(pid), "it went on without its starter");
    let mut conn = cluster.superuser_conn("exarch").await.unwrap();
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
    ] {
        let set: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(set, value, "{setting}");
    }
    conn.close().await.unwrap();
    kill(pid);
    let cluster = Cluster::ensure(&spec).await.unwrap();
    assert_ne!(cluster.pid(), Some(pid));
    assert_eq!(remembered(&cluster).await, 7);
    cluster.stop(StopMode::Fast).await.unwrap();
    assert_eq!(cluster.pid(), None);
    cluster.stop(StopMode::Fast).await.unwrap();
}

#[tokio::test]
async fn a_killed_server_is_started_again_whoever_bears_its_number_now() {
    let spec = throwaway_spec();
    let cluster = Cluster::ensure(&spec).await.unwrap();
    remember(&cluster).await;
    kill(cluster.pid().unwrap());
    let cluster = Cluster::ensure(&spec).await.unwrap();
    assert_eq!(remembered(&cluster).await, 7);
    cluster.stop(StopMode::Immediate).await.unwrap();
    // a pid file that names a live process of the same account: another cluster's server
    let other = throwaway_cluster().await.unwrap();
    let file = spec.state_dir.join("data/postmaster.pid");
    fs::write(
        &file,
        format!(
            "{}\n{}\n1\n{}\n",
            other.pid().unwrap(),
            spec.state_dir.join("data").display(),
            spec.port
        ),
    )
    .unwrap();
    assert_eq!(cluster.pid(), None);
    let cluster = Cluster::ensure(&spec).await.unwrap();
    assert_eq!(remembered(&cluster).await, 7);
    assert!(other.pid().is_some_and(|pid| Some(pid) != cluster.pid()));
}

#[tokio::test]
async fn a_data_directory_that_was_never_finished_is_made_again() {
    let spec = throwaway_spec();
    let unfinished = spec.state_dir.join("data.new/base");
    // as a first start that was killed leaves it
    let cluster = Cluster::ensure(&spec).await.unwrap();
    cluster.stop(StopMode::Fast).await.unwrap();
    fs::rename(spec.state_dir.join("data"), spec.state_dir.join("data.new")).unwrap();
    assert!(unfinished.exists());
    fs::remove_file(spec.state_dir.join("data.new/PG_VERSION")).unwrap();
    Cluster::ensure(&spec).await.unwrap();
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn a_port_in_use_is_named_and_another_port_can_be_taken_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut spec = throwaway_spec();
    spec.port = listener.local_addr().unwrap().port();
    let refused = Cluster::ensure(&spec).await.err().unwrap();
    assert!(
        matches!(refused, EmbeddedError::PortInUse(port) if port == spec.port),
        "{refused:?}"
    );
    spec.port = free_port();
    let _first = Cluster::ensure(&spec).await.unwrap();
    // a running one moves when it is asked to
    spec.port = free_port();
    let moved = Cluster::ensure(&spec).await.unwrap();
    PgConnection::connect(moved.app_url().expose_secret()).await.unwrap();
}

#[tokio::test]
async fn another_superuser_password_is_refused_and_the_logins_follow_theirs() {
    let mut spec = throwaway_spec();
    let cluster = Cluster::ensure(&spec).await.unwrap();
    let before = cluster.app_url();
    spec.passwords.app = "it's \"new\" %/@:".to_owned().into();
    let cluster = Cluster::ensure(&spec).await.unwrap();
    PgConnection::connect(cluster.app_url().expose_secret()).await.unwrap();
    assert!(PgConnection::connect(before.expose_secret()).await.is_err());
    spec.passwords.superuser = "another".to_owned().into();
    assert!(matches!(Cluster::ensure(&spec).await, Err(EmbeddedError::Password(_))));
}

#[tokio::test]
async fn a_state_directory_too_long_for_a_socket_gets_a_short_one() {
    let mut spec = throwaway_spec();
    spec.state_dir = spec.state_dir.join("x".repeat(120));
    let cluster = Cluster::ensure(&spec).await.unwrap();
    assert!(!cluster.socket_dir().starts_with(&spec.state_dir));
    assert!(cluster.socket_dir().join(format!(".s.PGSQL.{}", spec.port)).exists());
    cluster.stop(StopMode::Fast).await.unwrap();
    fs::remove_dir_all(cluster.socket_dir()).unwrap();
    fs::remove_dir_all(spec.state_dir.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_directory_of_somebody_else_and_a_wrong_database_name_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
    let mut spec = throwaway_spec();
    if rustix::process::geteuid().is_root() {
        spec.state_dir = dir.path().to_owned();
        assert!(matches!(
            Cluster::ensure(&spec).await,
            Err(EmbeddedError::Directory { .. })
        ));
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        spec.state_dir = closed.join("pg");
        let refused = Cluster::ensure(&spec).await.err().unwrap();
        assert!(
            matches!(&refused, EmbeddedError::Unreachable { parent, .. } if *parent == closed),
            "{refused:?}"
        );
    }
    for name in ["", "a b", "x;drop", "Upper", "1st", "a\"b"] {
        spec.database = name.to_owned();
        assert!(
            matches!(Cluster::ensure(&spec).await, Err(EmbeddedError::DatabaseName(_))),
            "{name}"
        );
    }
}

#[tokio::test]
async fn no_password_stands_in_a_log_a_setting_or_a_command_line() {
    let spec = throwaway_spec();
    let cluster = Cluster::ensure(&spec).await.unwrap();
    let passwords: Vec<&str> = Login::ALL
        .iter()
        .map(|login| spec.passwords.of(*login).expose_secret())
        .collect();
    let mut looked_at = 0;
    for file in [
        "postgres.log",
        "initdb.log",
        "data/exarch.conf",
        "data/postgresql.conf",
        "data/pg_hba.conf",
    ] {
        let text = fs::read_to_string(spec.state_dir.join(file)).unwrap();
        looked_at += 1;
        assert!(passwords.iter().all(|password| !text.contains(password)), "{file}");
    }
    assert_eq!(looked_at, 5);
    assert!(!spec.state_dir.join("superuser.new").exists());
    let line = fs::read_to_string(format!("/proc/{}/cmdline", cluster.pid().unwrap())).unwrap();
    assert!(passwords.iter().all(|password| !line.contains(password)));
}

/// Not a test: the process that the next one kills.
#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn a_process_with_a_throwaway_cluster() {
    let cluster = throwaway_cluster().await.unwrap();
    println!(
        "\ncluster {} {}",
        cluster.pid().unwrap(),
        cluster.spec().state_dir.display()
    );
    std::future::pending::<()>().await;
}

#[test]
fn a_throwaway_cluster_goes_with_its_process_even_when_that_is_killed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "embedded::a_process_with_a_throwaway_cluster",
            "--ignored",
            "--nocapture",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines
        .map(Result::unwrap)
        .find(|line| line.starts_with("cluster "))
        .expect("the child's cluster");
    let mut words = told.split_whitespace().skip(1);
    let (pid, dir) = (words.next().unwrap(), Path::new(words.next().unwrap()));
    assert!(dir.join("data").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    until("the server ends", || fs::read_link(format!("/proc/{pid}/exe")).is_err());
    until("its directory is removed", || !dir.exists());
}

#[tokio::test]
async fn a_cluster_bound_to_its_process_keeps_its_data() {
    let mut spec = throwaway_spec();
    spec.life = Life::WithProcess;
    let cluster = Cluster::ensure(&spec).await.unwrap();
    let pid = cluster.pid().unwrap();
    drop(cluster);
    assert!(fs::read_link(format!("/proc/{pid}/exe")).is_err());
    assert!(spec.state_dir.join("data").exists());
    fs::remove_dir_all(&spec.state_dir).unwrap();
}
