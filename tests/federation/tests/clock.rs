//! 45 days later, as far as the clocks on the wall tell, with the global stopped: longer than the certificates of regions and of
//! agents last, the service secrets and everything that a passport is good for. The processes live on meanwhile, and nobody helps
//! them afterwards.
//!
//! The clock is moved by libfaketime, which stands before the C library's in each server, each agent and each Postgres. What
//! decides here, CLOCK_BOOTTIME, is asked of the kernel and goes on as it is: so a host behaves whose clock is set.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
use exarch_common_base::Ambient;
use exarch_tests_federation::{ADA, Client, EU, Federation, US, program, suite, tests};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Write, stdout},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(90);
/// Where distributions put it; the one for programs with threads.
const FOLDERS: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib64/faketime",
    "/usr/local/lib/faketime",
];
const LIBRARY: &str = "libfaketimeMT.so.1";

fn main() -> ExitCode {
    let library = FOLDERS.iter().map(|folder| Path::new(folder).join(LIBRARY));
    let (Some(library), Some(postgres)) = (library.into_iter().find(|path| path.is_file()), postgres()) else {
        let _ = writeln!(
            stdout(),
            "NOT CHECKED: what 45 days do to a region, while there is no libfaketime"
        );
        return ExitCode::SUCCESS;
    };
    suite::main_of(
        tests![a_region_that_was_alone_for_45_days_comes_back_unaided],
        |federation| {
            wrap(federation, &library, &postgres);
        },
    )
}

/// The newest server programs of the distribution.
fn postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let newest = versions.max_by_key(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()))?;
    Some(newest.path().join("bin"))
}

/// Puts the moved clock before the programs of the box: each is a script that begins the real one with it. The box itself and
/// the test keep the real clock.
fn wrap(federation: &mut Federation, library: &Path, postgres: &Path) {
    let programs = federation.dir.join("programs");
    let databases = federation.dir.join("postgres-programs");
    move_clock(&federation.dir, "+0");
    let moved = format!(
        "LD_PRELOAD={} FAKETIME_TIMESTAMP_FILE={} FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1",
        library.display(),
        clock(&federation.dir).display()
    );
    for name in [
        "exarch-global",
        "exarch-gateway",
        "exarch-agent",
        "exarch-guard",
        "exarch",
    ] {
        let real = program(name);
        let before = if name.starts_with("exarch-g") || name == "exarch-agent" {
            &moved
        } else {
            ""
        };
        // A guard, and the command that it runs, get the clock of the agent that starts them.
        let before = if name == "exarch-guard" { "" } else { before };
        script(
            &programs.join(name),
            &format!("{before} exec {} \"$@\"", real.display()),
        );
    }
    for name in ["initdb", "pg_ctl", "postgres"] {
        let real = postgres.join(name);
        let line = match name {
            "postgres" => format!("{moved} exec {} \"$@\"", real.display()),
            "pg_ctl" => format!(
                "exec {} -p {} \"$@\"",
                real.display(),
                databases.join("postgres").display()
            ),
            _ => format!("exec {} \"$@\"", real.display()),
        };
        script(&databases.join(name), &line);
    }
    let path = format!("{}:{}", databases.display(), std::env::var("PATH").unwrap_or_default());
    // for as long as the program runs
    federation.env = Box::leak(Box::new([("PATH", String::leak(path) as &str)]));
    federation.programs = Some(programs);
}

fn script(path: &Path, line: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn clock(dir: &Path) -> PathBuf {
    dir.join("clock")
}

/// In force within a second, for all who have the clock.
fn move_clock(dir: &Path, by: &str) {
    let next = dir.join("clock.next");
    fs::write(&next, by).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o644)).unwrap();
    fs::rename(&next, clock(dir)).unwrap();
}

async fn tier(federation: &Federation, slug: &str) -> Value {
    let seen = federation.region(slug).try_get("/v1/continuity").await;
    seen.map_or(Value::Null, |answer| answer.ok()["passport"]["tier"].clone())
}

/// How often the leases of a region were renewed.
async fn renewals(federation: &Federation, slug: &str) -> i64 {
    let mut db = federation.database(slug).await;
    sqlx::query_scalar("SELECT coalesce(sum(seq), 0)::bigint FROM gw.lease WHERE state = 'active'")
        .fetch_one(&mut db)
        .await
        .unwrap()
}

/// The box's workload on one of the box's agents.
async fn start_something(federation: &Federation) {
    let ada = federation.person_in(ADA, EU).await;
    let first = async |path: &str| ada.get(path).await.ok()["items"][0]["id"].as_str().unwrap().to_owned();
    let (workload, agent) = (first("/v1/workloads").await, first("/v1/agents").await);
    let on = json!({ "agent_id": agent, "wait": true });
    ada.post(&format!("/v1/workloads/{workload}/start"), &on).await.ok();
}

async fn a_region_that_was_alone_for_45_days_comes_back_unaided(federation: Arc<Federation>) {
    start_something(&federation).await;
    federation
        .until(PATIENCE, "something runs under a lease", async || {
            renewals(&federation, EU).await > 0
        })
        .await;
    let global = federation.process("global", 1);
    global.stop().await.unwrap();
    move_clock(&federation.dir, "+45d");
    for slug in [EU, US] {
        federation
            .until(PATIENCE, "the region sees how old its passport is", async || {
                tier(&federation, slug).await == "expired"
            })
            .await;
    }

    let mut db = federation.database(EU).await;
    let moved: bool = sqlx::query_scalar("SELECT clock_timestamp() > to_timestamp($1) + interval '44 days'")
        .bind(Ambient::system().now().unix_timestamp() as f64)
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert!(moved, "the database has the moved clock, too");

    // Alone: what runs goes on, by agents whose certificates were over, and which got new ones from the region itself.
    let agents = "SELECT count(*) FROM gw.agent WHERE state = 'active' AND certificate_until < clock_timestamp()";
    federation
        .until(PATIENCE, "every agent has a certificate again", async || {
            let mut db = federation.database(EU).await;
            let over: i64 = sqlx::query_scalar(agents).fetch_one(&mut db).await.unwrap();
            over == 0
        })
        .await;
    let renewed = renewals(&federation, EU).await;
    federation
        .until(PATIENCE, "leases are renewed without the global", async || {
            renewals(&federation, EU).await > renewed
        })
        .await;

    let layout = federation.layout();
    let settings = federation.replica("global", 1).settings();
    global
        .start(
            &layout.bin.join("exarch-global"),
            &["serve", "--config", settings.to_str().unwrap()],
        )
        .unwrap();
    for slug in [EU, US] {
        federation
            .until(PATIENCE, "the region hears the global again", async || {
                tier(&federation, slug).await == "fresh"
            })
            .await;
    }
    let mut db = federation.database("global").await;
    let over: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM gc.region r WHERE NOT EXISTS (
           SELECT FROM gc.region_certificate c WHERE c.region_id = r.id AND c.not_after > clock_timestamp())",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(over, 0, "each region has a certificate that is good");

    // People come in again, and what they do is done.
    let session = federation.sign_in(ADA).await;
    let ada = federation.global().bearer(session["access_token"].as_str().unwrap());
    for slug in [EU, US] {
        let token = ada.post(&format!("/v1/regions/{slug}/token"), &json!({})).await.ok();
        let there: Client = federation.region(slug).bearer(token["access_token"].as_str().unwrap());
        there
            .post("/v1/clusters", &json!({ "name": "after-45-days" }))
            .await
            .ok();
    }
}
