//! Invitations and the codes that people type: what is nearly one of them is none.
use super::world::{OWNER, PASSWORD, World};
use serde_json::json;

/// Each beginning and end, and the whole with something before or behind it.
fn parts(secret: &str) -> Vec<String> {
    let cuts = 1..secret.len();
    let mut found: Vec<String> = cuts
        .flat_map(|n| [secret[..n].to_owned(), secret[n..].to_owned()])
        .collect();
    found.extend([
        String::new(),
        format!("{secret}A"),
        format!("A{secret}"),
        format!(" {secret}"),
    ]);
    found
}

fn other_case(c: char) -> char {
    match c.is_ascii_lowercase() {
        true => c.to_ascii_uppercase(),
        false => c.to_ascii_lowercase(),
    }
}

/// Each letter in its other case.
fn cases(secret: &str) -> Vec<String> {
    let letters = secret.char_indices().filter(|(_, c)| c.is_ascii_alphabetic());
    letters
        .map(|(at, c)| format!("{}{}{}", &secret[..at], other_case(c), &secret[at + 1..]))
        .collect()
}

#[tokio::test]
async fn an_invitation_is_good_whole_and_as_it_is() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let guest = json!({"email": "guest@elsewhere.example", "display_name": "Guest", "roles": ["auditor"]});
    admin.post("/v1/users", guest).await.status(202);
    let mails = world.post().await;
    let (_, token) = mails[0].1.lines().find_map(|line| line.split_once("/invite#")).unwrap();
    let mut told = None;
    for wrong in [parts(token), cases(token)].concat() {
        for (path, body) in [
            ("/v1/auth/invitation", json!({"token": wrong})),
            (
                "/v1/auth/invitation/accept",
                json!({"token": wrong, "new_password": PASSWORD}),
            ),
        ] {
            let answer = world.anyone().post(path, body).await;
            assert_eq!(answer.code, 410, "{wrong:?}: {}", answer.text);
            let kind = answer.json()["type"].clone();
            assert_eq!(told.get_or_insert(kind.clone()), &kind, "{wrong:?}");
        }
    }
    let body = json!({"token": token, "new_password": PASSWORD});
    world.anyone().post("/v1/auth/invitation/accept", body).await.ok();
}

#[tokio::test]
async fn a_code_for_a_device_is_found_in_any_case_and_only_whole() {
    let world = World::new().await;
    let owner = world.owner().await;
    let asked = world
        .anyone()
        .form("/oauth2/device_authorization", &[("client_id", "exarch-cli")])
        .await
        .ok();
    let code = asked["user_code"].as_str().unwrap();
    let look = async |code: &str| owner.post("/v1/me/device/look", json!({"user_code": code})).await;
    let bare = code.replace('-', "");
    for wrong in parts(&bare) {
        if wrong.trim() != bare {
            let answer = look(&wrong).await;
            assert!([404, 422].contains(&answer.code), "{wrong:?}: {}", answer.text);
        }
    }
    // People type: dashes and case are theirs to choose.
    for same in [code.to_lowercase(), bare.clone(), bare.to_lowercase()] {
        look(&same).await.ok();
    }
}

#[tokio::test]
async fn a_recovery_code_is_good_only_whole() {
    let world = World::new().await;
    world.owner().await;
    world.clock.advance(std::time::Duration::from_secs(120));
    let owner = world.signed_in(OWNER, PASSWORD).await;
    world.clock.advance(std::time::Duration::from_secs(120));
    let fresh = json!({"totp": world.code(OWNER)});
    let codes = owner.post("/v1/me/recovery-codes", fresh).await.ok();
    let code = codes["recovery_codes"][0].as_str().unwrap();
    let ticket = async || {
        let next = world.anyone().sign_in(OWNER, PASSWORD).await.ok();
        next["ticket"].as_str().unwrap().to_owned()
    };
    let give = async |ticket: &str, code: &str| {
        let body = json!({"ticket": ticket, "totp": code});
        world.anyone().post("/v1/auth/next", body).await
    };
    for wrong in parts(code) {
        if wrong.trim() == code {
            continue;
        }
        // Ten failures lock an account for a while, whatever was wrong.
        world.clock.advance(std::time::Duration::from_secs(120));
        let answer = give(&ticket().await, &wrong).await;
        assert!([401, 422].contains(&answer.code), "{wrong:?}: {}", answer.text);
    }
    world.clock.advance(std::time::Duration::from_secs(1200));
    assert_eq!(give(&ticket().await, code).await.ok()["status"], "signed-in");
}
