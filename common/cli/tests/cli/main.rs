//! The command as scripts use it: the binary, against a small federation on the loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
mod federation;

use federation::{CLUSTER, Federation, PASSWORD};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt};

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_follows_its_steps_and_leaves_a_private_profile() {
    let federation = Federation::signed_in().await;
    let bodies = federation.seen.lock().unwrap().bodies.clone();
    let steps: Vec<_> = bodies.iter().map(|(route, _)| route.as_str()).collect();
    assert_eq!(steps, ["sign-in", "next", "next", "next"]);
    assert_eq!(
        bodies[1].1["new_password"], " a longer one, ",
        "a password is never trimmed"
    );
    for (path, mode) in [("", 0o700), ("default.json", 0o600), ("default.lock", 0o600)] {
        let meta = fs::metadata(federation.config().join(path)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, mode, "{path}");
    }
    let kept = fs::read_to_string(federation.config().join("default.json")).unwrap();
    assert!(!kept.contains(PASSWORD) && kept.contains("exr_1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_by_a_browser_shows_page_and_code_and_waits() {
    let federation = Federation::start().await;
    let line = format!("login --global {} --device", federation.url);
    let ran = federation.run(&line, "").await.code(0);
    assert!(ran.err().contains("BCDF-GHJK"), "{}", ran.err());
    assert!(ran.err().contains("/device?user_code=BCDF-GHJK"), "{}", ran.err());
    let kept = federation.config().join("default.json");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(kept).unwrap().contains("exr_1"));
    federation.run("whoami", "").await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_refused_in_the_browser_is_denied() {
    let federation = Federation::start().await;
    federation.seen.lock().unwrap().denies = true;
    let line = format!("login --global {} --device", federation.url);
    let ran = federation.run(&line, "").await.code(3);
    assert!(ran.err().contains("refused in the browser"), "{}", ran.err());
    assert!(!federation.config().join("default.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_one_or_all() {
    let federation = Federation::signed_in().await;
    let list = federation.run("session list -o json", "").await.code(0);
    assert!(list.out().contains("ses_"), "{}", list.out());
    federation.run("session revoke", "").await.code(2);
    federation
        .run(&format!("session revoke ses_{:032} --yes", 1), "")
        .await
        .code(0);
    let all = federation.run("session revoke --all --yes", "").await.code(0);
    assert!(all.out().contains('1'), "{}", all.out());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sign_in_and_one_without_answers_say_so() {
    let federation = Federation::start().await;
    let line = format!("login --global {} --email ada@acme.example", federation.url);
    let refused = federation
        .run(&format!("{line} --password-stdin"), "wrong\n")
        .await
        .code(3);
    assert_eq!(refused.out(), "");
    federation.run(&line, "").await.code(2);
    let unfinished = federation
        .run(&format!("{line} --password-stdin"), PASSWORD)
        .await
        .code(2);
    assert!(unfinished.err().contains("New password"), "{}", unfinished.err());
    federation.run("whoami", "").await.code(3);
    federation
        .run("login --global ftp://x --email a --password-stdin", "x\n")
        .await
        .code(2);
    assert!(!federation.config().join("default.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_to_their_end_for_people_for_programs_and_for_scripts() {
    let federation = Federation::signed_in().await;
    let table = federation.run("cluster list --region eu-north", "").await.code(0);
    let lines: Vec<_> = table.out().lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("CLUSTER   AGE"), "{lines:?}");
    assert!(
        lines[1].starts_with("north") && lines[1].ends_with("clu_6e7f8091"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 3);
    // The region is found where there is one only, and its token is exchanged once.
    let json = federation.run("cluster list -o json", "").await.code(0);
    let answer: Value = serde_json::from_str(&json.out()).unwrap();
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);
    assert_eq!(answer["items"][0]["id"], CLUSTER);
    let ids = federation.run("-q cluster list", "").await.code(0);
    assert_eq!(ids.out().lines().next(), Some(CLUSTER));
    assert_eq!(ids.err(), "");
    assert_eq!(federation.seen.lock().unwrap().exchanges, 1);
    // Who is no staff sees the regions that are open to them, without a refusal at the other list.
    let regions = federation.run("region list -o json", "").await.code(0);
    assert!(regions.out().contains("EU North"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_shortened_ids_and_whole_ones_find_the_same_thing() {
    let federation = Federation::signed_in().await;
    for name in ["north", "clu_6e7f8091", CLUSTER] {
        let shown = federation.run(&format!("cluster get {name} -o json"), "").await.code(0);
        assert_eq!(serde_json::from_str::<Value>(&shown.out()).unwrap()["id"], CLUSTER);
    }
    federation.run("cluster get east", "").await.code(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_exit_code_and_leaves_standard_output_empty() {
    let federation = Federation::signed_in().await;
    let absent = "clu_01978c3e4f1a7c0e9f0a3b5d000000ff";
    let missing = federation
        .run(&format!("cluster get {absent} -o json"), "")
        .await
        .code(4);
    let document: Value = serde_json::from_str(&missing.err()).unwrap();
    assert_eq!(document["type"], "urn:exarch:problem:cluster-not-found");
    assert_eq!(missing.out(), "");
    let people = federation.run(&format!("cluster get {absent}"), "").await.code(4);
    assert_eq!(people.err(), "exarch: This is cluster-not-found.\n  request: req_1\n");
    federation.run("cluster list --region us-east", "").await.code(4);
    federation.run("host list", "").await.code(6);
    federation.run("cluster list --tenant globex", "").await.code(1);
    federation.run("cluster frobnicate", "").await.code(2);
    let whose = federation.run("entitlement grant --region eu-north", "").await.code(2);
    assert!(whose.err().contains("--tenant"), "{}", whose.err());
    let held = federation.run("workload start db --agent edge-1", "").await.code(5);
    assert!(
        held.err().contains("holder: edge-2") && held.err().contains("remaining_ms: 21000"),
        "{}",
        held.err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_it_runs() {
    let federation = Federation::signed_in().await;
    let ran = federation
        .run("workload start db --agent edge-1 --wait -o json", "")
        .await
        .code(0);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.out()).unwrap()["agents"][0]["reported"]["state"],
        "running"
    );
    assert!(ran.err().contains("waiting: x"), "{}", ran.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_with_its_line_or_alone() {
    let federation = Federation::signed_in().await;
    let create = "agent token create --cluster north --name edge-2 --auto";
    let block = federation.run(create, "").await.code(0).out();
    assert!(
        block.contains("exb_secret") && block.contains("\n  exarch-agent enrol --token-file -\n"),
        "{block}"
    );
    assert_eq!(
        federation.run(&format!("-q {create}"), "").await.code(0).out(),
        "exb_secret\n"
    );
    let body = federation.seen.lock().unwrap().bodies.last().unwrap().1.clone();
    assert_eq!(body, json!({"cluster_id": CLUSTER, "name": "edge-2", "auto": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_for_good_is_asked_about_first() {
    let federation = Federation::signed_in().await;
    let asked = federation.run("agent revoke edge-1", "y\n").await.code(2);
    assert!(asked.err().contains("--yes"), "{}", asked.err());
    federation.run("agent revoke edge-1 --yes", "").await.code(0);
    federation.run("agent remove edge-1", "").await.code(2);
    federation.run("agent remove edge-1 --yes", "").await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_or_deleted_is_what_was_seen() {
    let federation = Federation::signed_in().await;
    let changed = federation
        .run("cluster update north --name east -o json", "")
        .await
        .code(0);
    assert!(changed.out().contains("east"), "{}", changed.out());
    let body = federation.seen.lock().unwrap().bodies.last().unwrap().clone();
    assert_eq!(body, ("change".to_owned(), json!({"name": "east"})));
    federation.run("cluster update north", "").await.code(2);
    federation.run("workload update db", "").await.code(2);
    federation.run("cluster delete north", "y\n").await.code(2);
    federation.run("cluster delete north --yes", "").await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_put_aside_and_enrolled_again_by_one_command_each() {
    let federation = Federation::signed_in().await;
    federation.run("agent suspend edge-1", "").await.code(0);
    federation.run("agent resume edge-1", "").await.code(0);
    federation.run("agent re-enrol edge-1", "").await.code(2);
    let block = federation.run("agent re-enrol edge-1 --yes", "").await.code(0).out();
    assert!(
        block.contains("ebt_again") && block.contains("\n  exarch-agent enrol --again --token-file -\n"),
        "{block}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_others_can_read_is_refused() {
    let federation = Federation::signed_in().await;
    let path = federation.config().join("default.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = federation.run("whoami", "").await.code(1);
    assert!(refused.err().contains("chmod 600"), "{}", refused.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_servers_it_is_unreachable_and_signing_out_leaves_nothing() {
    let federation = Federation::signed_in().await;
    federation.run("cluster list", "").await.code(0);
    federation.server.abort();
    while !federation.server.is_finished() {
        tokio::task::yield_now().await;
    }
    let gone = federation.run("whoami -o json", "").await.code(6);
    let document: Value = serde_json::from_str(&gone.err()).unwrap();
    assert_eq!(document["type"], "urn:exarch:problem:unreachable");
    federation.run("continuity --region eu-north", "").await.code(6);
    federation.run("logout", "").await.code(6);
    let kept = fs::read_to_string(federation.config().join("default.json")).unwrap();
    assert!(!kept.contains("exr_1") && !kept.contains("rt_1"), "{kept}");
    federation.run("whoami", "").await.code(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_at_the_global() {
    let federation = Federation::signed_in().await;
    federation.run("continuity --region eu-north", "").await.code(0);
    federation.run("logout", "").await.code(0);
    assert!(federation.seen.lock().unwrap().signed_out);
    federation.run("logout", "").await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_yaml_and_scripts_read_names() {
    let federation = Federation::signed_in().await;
    let yaml = federation.run("region list -o yaml", "").await.code(0).out();
    assert!(
        yaml.starts_with("items:\n- ") && yaml.contains("slug: eu-north\n"),
        "{yaml}"
    );
    assert_eq!(
        federation.run("region list -o name", "").await.code(0).out(),
        "eu-north\n"
    );
    let refused = federation.run("cluster get none -o yaml", "").await.code(4);
    assert!(
        refused.err().contains("type: urn:exarch:problem:not-found"),
        "{}",
        refused.err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_complete_the_nouns_and_each_command_has_its_page() {
    let federation = Federation::start().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = federation.run(&format!("completion {shell}"), "").await.code(0).out();
        for word in [
            "entitlement",
            "continuity",
            "suspend",
            "region",
            "output",
            "apply",
            "dry-run",
        ] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    let pages = federation.root.path().join("man");
    federation.run(&format!("man {}", pages.display()), "").await.code(0);
    for (page, said) in [
        ("exarch.1", "Exit codes"),
        ("exarch-tenant-suspend.1", "billing"),
        ("exarch-apply.1", "kind: Resource"),
    ] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(said), "{page}");
    }
}
