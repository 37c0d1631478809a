//! Tokens by which regions and agents come in: shown once, with the line that takes them on standard input.
use crate::{Failure, context::Context, output::Shown, times};
use serde_json::Value;

/// Shows the token of an answer, which lies in `member` or is the answer itself.
///
/// # Errors
/// There is none in it.
pub fn show(cx: &Context, answer: &Value, member: &str, about: &[(&str, String)], then: &str) -> Result<(), Failure> {
    let inner = answer.get(member).filter(|inner| inner.is_object()).unwrap_or(answer);
    let text = |key: &str| inner.get(key).and_then(Value::as_str);
    let token = text("token").ok_or_else(|| Failure::Failed("The answer holds no token.".into()))?;
    let mut fields = about.to_vec();
    if let Some(end) = text("expires_at") {
        let left = times::parse(end).map(|at| format!(" ({})", times::age(cx.ambient.now(), at)));
        fields.push(("expires", format!("{end}{}", left.unwrap_or_default())));
    }
    let line = text("line").or_else(|| answer.get("line")?.as_str());
    cx.out.secret(
        answer,
        &Shown {
            fields: &fields,
            secret: ("token", token),
            then: then.to_owned(),
            line,
        },
    )
}

/// Shows a person who was made, with the initial password if there is one.
///
/// # Errors
/// Standard output broke.
pub fn person(cx: &Context, answer: &Value, person: &Value) -> Result<(), Failure> {
    let Some(password) = person.get("initial_password").and_then(Value::as_str) else {
        return cx.out.one(answer);
    };
    let email = person.get("email").and_then(Value::as_str).unwrap_or_default();
    let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
    let name = ["slug", "display_name"]
        .into_iter()
        .find_map(|key| answer.get(key)?.as_str());
    cx.out.secret(
        answer,
        &Shown {
            fields: &[
                ("id", id.to_owned()),
                ("name", name.unwrap_or_default().to_owned()),
                ("email", email.to_owned()),
            ],
            secret: ("initial password", password),
            then: "Hand the password over in a safe way; it is shown once and must be changed at the first sign-in."
                .to_owned(),
            line: None,
        },
    )
}
