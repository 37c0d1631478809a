//! Signing in by a browser, on this machine or another (RFC 8628): a code to type or confirm there, and waiting here.
use crate::{Failure, api::Api, context::Context, progress::Progress, session::read, terminal};
use exarch_common_base::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use time::OffsetDateTime;

const CLIENT: &str = "exarch-cli";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// By how much a server that says `slow_down` prolongs the wait (section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Begun {
    device_code: SecretString,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default = "five")]
    interval: u64,
}

const fn five() -> u64 {
    5
}

/// Shows where to go with which code, and waits for the answer.
///
/// # Errors
/// Refused, too late, or the global is not reached.
pub async fn sign_in(cx: &Context, global: &Api) -> Result<Value, Failure> {
    let begun: Begun = match global
        .form("/oauth2/device_authorization", &[("client_id", CLIENT)])
        .await?
    {
        Ok(answer) => read(answer)?,
        Err(error) => return Err(refused(&error)),
    };
    let page = begun
        .verification_uri_complete
        .as_deref()
        .unwrap_or(&begun.verification_uri);
    terminal::tell(&format!(
        "Open this page in a browser and confirm the code {}:\n\n  {}\n\nWaiting for you there…\n",
        shown(&begun.user_code),
        shown(page)
    ))?;
    let deadline = cx.ambient.now() + Duration::from_secs(begun.expires_in);
    let nobody = "Nobody is signed in here, and the code ends by itself.".to_owned();
    let progress = Progress::begin(&cx.out, "waiting", None, nobody);
    let answer = confirmed(cx, global, &begun, deadline).await;
    progress.end();
    answer
}

/// Asks until the code was confirmed, refused or has ended.
async fn confirmed(cx: &Context, global: &Api, begun: &Begun, deadline: OffsetDateTime) -> Result<Value, Failure> {
    let mut wait = Duration::from_secs(begun.interval.clamp(1, 60));
    let fields = [
        ("grant_type", GRANT),
        ("client_id", CLIENT),
        ("device_code", begun.device_code.expose_secret()),
    ];
    loop {
        tokio::time::sleep(wait).await;
        if cx.ambient.now() >= deadline {
            return Err(refused("expired_token"));
        }
        match global.form("/oauth2/token", &fields).await? {
            Ok(answer) => return Ok(answer),
            Err(error) if error == "authorization_pending" => {}
            Err(error) if error == "slow_down" => wait += SLOWER,
            Err(error) => return Err(refused(&error)),
        }
    }
}

/// Nothing that a server says gets at the terminal but what can be printed.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn refused(error: &str) -> Failure {
    match error {
        "access_denied" => Failure::Denied("The sign-in was refused in the browser.".into()),
        "expired_token" => Failure::Denied("Nobody confirmed the code in time: run `exarch login` again.".into()),
        other => Failure::Failed(format!("The global does not sign this program in ({}).", shown(other))),
    }
}
