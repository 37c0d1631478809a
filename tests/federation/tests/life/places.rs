//! Everywhere that a process of a box leaves text: its logs, and what it was started with.
use exarch_tests_federation::Federation;
use std::{collections::BTreeSet, fs, path::PathBuf};

/// Where something was found, and what is there.
pub type Place = (String, Vec<u8>);

/// The logs of all processes of a box, of its databases too.
pub fn logs(federation: &Federation) -> Vec<Place> {
    let layout = federation.layout();
    let mut files: Vec<PathBuf> = fs::read_dir(layout.logs())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for place in layout.places() {
        let elsewhere = fs::read_to_string(place.dir.join("postgres-dir"));
        let dir = elsewhere.map_or_else(|_| place.dir.join("postgres"), PathBuf::from);
        files.push(dir.join("postgres.log"));
    }
    let read = |path: PathBuf| (path.display().to_string(), fs::read(&path).unwrap());
    files.into_iter().map(read).collect()
}

/// The command line and the environment of every process of a box, and of those that they started.
pub fn processes(federation: &Federation) -> Vec<Place> {
    let all: Vec<(i32, i32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut ours: BTreeSet<i32> = federation.processes().into_iter().map(|(pid, _)| pid).collect();
    loop {
        let children = all.iter().filter(|(_, parent)| ours.contains(parent));
        let more: Vec<i32> = children
            .map(|(pid, _)| *pid)
            .filter(|pid| !ours.contains(pid))
            .collect();
        if more.is_empty() {
            break;
        }
        ours.extend(more);
    }
    let mut found = Vec::new();
    for pid in ours {
        for what in ["cmdline", "environ"] {
            let path = format!("/proc/{pid}/{what}");
            // a connection of a database may have ended meanwhile
            if let Ok(text) = fs::read(&path) {
                found.push((path, text));
            }
        }
    }
    found
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
