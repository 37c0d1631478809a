//! A program without a browser is let in by a person with one.
use super::world::{Answer, Client, OWNER, World};
use serde_json::{Value, json};
use std::time::Duration;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

struct Waiting {
    world: World,
    program: Client,
    told: Value,
}

impl Waiting {
    async fn new() -> Self {
        let world = World::new().await;
        let program = world.anyone().with_agent("exarch/0.1");
        let told = program
            .form("/oauth2/device_authorization", &[("client_id", "exarch-cli")])
            .await
            .ok();
        Self { world, program, told }
    }

    fn user_code(&self) -> Value {
        json!({"user_code": self.told["user_code"]})
    }

    async fn poll(&self) -> Answer {
        let code = self.told["device_code"].as_str().unwrap();
        let fields = [
            ("grant_type", GRANT),
            ("device_code", code),
            ("client_id", "exarch-cli"),
        ];
        self.program.form("/oauth2/token", &fields).await
    }

    #[track_caller]
    fn is(answer: Answer, error: &str) {
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.json()["error"], error, "{}", answer.text);
        assert_eq!(answer.code, 400);
    }
}

#[tokio::test]
async fn a_person_sees_who_asks_lets_it_in_and_it_has_a_session_of_its_own() {
    let w = Waiting::new().await;
    assert_eq!(w.told["verification_uri"], "http://localhost:8440/device");
    let complete = w.told["verification_uri_complete"].as_str().unwrap();
    assert!(complete.ends_with(w.told["user_code"].as_str().unwrap()));
    assert_eq!((&w.told["expires_in"], &w.told["interval"]), (&json!(600), &json!(5)));
    Waiting::is(w.poll().await, "authorization_pending");

    let (_, ada) = w.world.tenant("north").await;
    let seen = ada.post("/v1/me/device/look", w.user_code()).await.ok();
    assert_eq!(seen["client"], "exarch, the command line");
    assert_eq!(seen["user_agent"], "exarch/0.1");
    let typed = w.told["user_code"].as_str().unwrap().to_lowercase().replace('-', " ");
    let approved = ada.post("/v1/me/device/approve", json!({"user_code": typed})).await;
    assert_eq!(approved.code, 204, "{}", approved.text);
    // answered once
    ada.post("/v1/me/device/deny", w.user_code())
        .await
        .problem(404, "code-not-found");

    let tokens = w.poll().await.ok();
    assert_eq!(
        (&tokens["token_type"], &tokens["tenant"]["slug"]),
        (&json!("Bearer"), &json!("north"))
    );
    let program = w.program.clone().with_token(tokens["access_token"].as_str().unwrap());
    let me = program.get("/v1/me").await.ok();
    let hers = ada.get("/v1/me").await.ok();
    assert_ne!(me["session"]["id"], hers["session"]["id"]);
    for same in ["amr", "auth_time", "expires_at"] {
        assert_eq!(me["session"][same], hers["session"][same], "{same}");
    }
    Waiting::is(w.poll().await, "invalid_grant");
    let refreshed = json!({"refresh_token": tokens["refresh_token"]});
    w.program.post("/v1/auth/refresh", refreshed).await.ok();
    // her own sign-out leaves it
    ada.post("/v1/auth/sign-out", json!({})).await;
    program.get("/v1/me").await.ok();
}

#[tokio::test]
async fn staffs_second_factor_stands_in_the_programs_tokens_too() {
    let w = Waiting::new().await;
    let owner = w.world.owner().await;
    assert_eq!(owner.post("/v1/me/device/approve", w.user_code()).await.code, 204);
    let tokens = w.poll().await.ok();
    let program = w.program.clone().with_token(tokens["access_token"].as_str().unwrap());
    let me = program.get("/v1/me").await.ok();
    assert_eq!(me["user"]["email"], OWNER);
    assert_eq!(me["session"]["amr"], json!(["pwd", "otp", "mfa"]));
    program.get("/v1/regions").await.ok();
}

#[tokio::test]
async fn who_asks_too_often_is_slowed_down_who_is_refused_or_late_is_told() {
    let w = Waiting::new().await;
    Waiting::is(w.poll().await, "authorization_pending");
    Waiting::is(w.poll().await, "slow_down");
    w.world.clock.advance(Duration::from_secs(10));
    Waiting::is(w.poll().await, "authorization_pending");
    let owner = w.world.owner().await;
    assert_eq!(owner.post("/v1/me/device/deny", w.user_code()).await.code, 204);
    Waiting::is(w.poll().await, "access_denied");

    let late = Waiting::new().await;
    late.world.clock.advance(Duration::from_secs(600));
    Waiting::is(late.poll().await, "expired_token");
    let owner = late.world.owner().await;
    owner
        .post("/v1/me/device/approve", late.user_code())
        .await
        .problem(404, "code-not-found");
}

#[tokio::test]
async fn of_many_polls_at_once_one_gets_the_tokens() {
    let w = Waiting::new().await;
    let owner = w.world.owner().await;
    assert_eq!(owner.post("/v1/me/device/approve", w.user_code()).await.code, 204);
    let answers = futures_util::future::join_all((0..8).map(|_| w.poll())).await;
    let good = answers.iter().filter(|answer| answer.code == 200).count();
    assert_eq!(good, 1, "{answers:?}");
}

#[tokio::test]
async fn who_lost_their_place_or_their_account_after_the_approval_lets_nobody_in() {
    let w = Waiting::new().await;
    let (_, north) = w.world.tenant("north").await;
    let (user, member) = w.world.member(&north, "m@x.example", &["read-only"]).await;
    assert_eq!(member.post("/v1/me/device/approve", w.user_code()).await.code, 204);
    let list = north.get("/v1/tenants/north/memberships").await.ok();
    let mine = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["user"]["id"] == user.as_str())
        .unwrap();
    let path = format!("/v1/tenants/north/memberships/{}", mine["id"].as_str().unwrap());
    assert_eq!(north.delete(&path).await.code, 204);
    Waiting::is(w.poll().await, "access_denied");
}

#[tokio::test]
async fn what_is_not_as_the_standard_has_it_is_refused_in_its_words() {
    let w = Waiting::new().await;
    let code = w.told["device_code"].as_str().unwrap();
    let ask = |fields: Vec<(&'static str, String)>| {
        let program = w.program.clone();
        async move {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = program.form("/oauth2/token", &fields).await;
            (
                answer.code,
                answer.json()["error"].as_str().unwrap_or_default().to_owned(),
            )
        }
    };
    let (grant, cli, code) = (GRANT.to_owned(), "exarch-cli".to_owned(), code.to_owned());
    for (fields, expected) in [
        (vec![], (400, "invalid_request")),
        (vec![("grant_type", "password".into())], (400, "unsupported_grant_type")),
        (
            vec![("grant_type", grant.clone()), ("client_id", cli.clone())],
            (400, "invalid_request"),
        ),
        (
            vec![
                ("grant_type", grant.clone()),
                ("client_id", "other".into()),
                ("device_code", code.clone()),
            ],
            (401, "invalid_client"),
        ),
        (
            vec![
                ("grant_type", grant.clone()),
                ("client_id", cli.clone()),
                ("device_code", "AAAA".into()),
            ],
            (400, "invalid_grant"),
        ),
        (
            vec![
                ("grant_type", grant.clone()),
                ("grant_type", grant.clone()),
                ("client_id", cli.clone()),
            ],
            (400, "invalid_request"),
        ),
    ] {
        let (status, error) = ask(fields).await;
        assert_eq!((status, error.as_str()), expected);
    }
    let json = w.program.post("/oauth2/token", json!({"grant_type": GRANT})).await;
    assert_eq!(json.json()["error"], "invalid_request");
    let unknown = w
        .program
        .form("/oauth2/device_authorization", &[("client_id", "evil")])
        .await;
    assert_eq!(
        (unknown.code, unknown.json()["error"].as_str()),
        (401, Some("invalid_client"))
    );
}

#[tokio::test]
async fn codes_lie_hashed() {
    let w = Waiting::new().await;
    let mut conn = w.world.db().superuser().await;
    let row: String = sqlx::query_scalar("SELECT g::text FROM gc.device_grant g")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    for canary in ["user_code", "device_code"] {
        assert!(!row.contains(w.told[canary].as_str().unwrap()), "{row}");
    }
}
