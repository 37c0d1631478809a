//! `exarch login`: by a browser, or by a password and then as many steps as the global asks for.
use crate::{
    Failure,
    context::{Context, tenant_key},
    device,
    profile::{Kept, TenantRef, secret_file},
    session::{Pair, read},
    terminal,
};
use exarch_common_base::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// More steps than any sign-in has.
const STEPS: usize = 8;

/// How to sign in. The session is kept in the keyring of the desktop where there is one (`EXARCH_KEYRING=off` in the
/// environment: never), else in a file that only you can read.
#[derive(clap::Args, Debug)]
pub struct Login {
    /// Address of the global, as https://exarch.example; the last one used where not given
    #[arg(long, value_name = "URL")]
    global: Option<String>,
    /// Sign in by a browser, here or on another machine; so it is at a terminal unless --email or --password-stdin is given
    #[arg(long, conflicts_with_all = ["email", "password_stdin"])]
    device: bool,
    /// Sign in by a password, with this address; with --password-stdin the last one used where not given
    #[arg(long)]
    email: Option<String>,
    /// Read the password from the first line of standard input, and from the lines after it what else is asked for
    #[arg(long)]
    password_stdin: bool,
    /// Where to read the new password when one must be chosen: a file for your eyes only
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
enum Answer {
    SignedIn(SignedIn),
    Next(Next),
}

#[derive(Deserialize)]
struct SignedIn {
    user: Person,
    #[serde(default)]
    tenant: Option<TenantRef>,
    #[serde(flatten)]
    pair: Pair,
    #[serde(default)]
    recovery_codes: Vec<SecretString>,
}

#[derive(Deserialize)]
struct Person {
    id: String,
    email: String,
}

#[derive(Deserialize)]
struct Next {
    next: String,
    ticket: SecretString,
    #[serde(default)]
    tenants: Vec<TenantRef>,
    #[serde(default)]
    enrolment: Option<Enrolment>,
    #[serde(default)]
    recovery_codes: Vec<SecretString>,
}

/// What somebody who needs a second factor and has none puts into an authenticator app.
#[derive(Deserialize)]
struct Enrolment {
    secret: SecretString,
    uri: SecretString,
}

impl Enrolment {
    fn tell(&self) -> Result<(), Failure> {
        terminal::tell(&format!(
            "Your role needs a second factor. Add this key to an authenticator app:\n\n  {}\n  {}\n\n",
            self.secret.expose_secret(),
            self.uri.expose_secret()
        ))
    }
}

/// Shown this once, so `--quiet` does not take it away.
fn tell_codes(codes: &[SecretString]) -> Result<(), Failure> {
    if codes.is_empty() {
        return Ok(());
    }
    terminal::tell("Keep these recovery codes; each works once in the place of a code of the app:\n\n")?;
    for code in codes {
        terminal::tell(&format!("  {}\n", code.expose_secret()))?;
    }
    terminal::tell("\n")
}

/// Signs in and keeps the session in the profile.
pub async fn run(cx: &Context, args: Login) -> Result<(), Failure> {
    let known = cx.tokens.store().load()?;
    let asked = cx.flags.tenant.as_deref().map(tenant_key).transpose()?;
    let url = args
        .global
        .or(known.global)
        .ok_or_else(|| Failure::Usage("Say where to sign in with --global URL.".into()))?;
    let global = cx.tokens.anonymous(&url)?;
    if args.device || (args.email.is_none() && !args.password_stdin && terminal::present()) {
        let answer = device::sign_in(cx, &global).await?;
        return keep(cx, url, read(answer)?, cx.ambient.now()).await;
    }
    let email = match args.email.or(known.email) {
        Some(email) => email,
        None => {
            return Err(Failure::Usage(
                "Say who you are with --email, or sign in by a browser with --device.".into(),
            ));
        }
    };
    let ask = Ask {
        lines: args.password_stdin,
    };
    let password = ask.secret("Password").await?;
    let mut body = json!({ "email": email, "password": password.expose_secret(), "session": "token" });
    if let Some(tenant) = &asked {
        body["tenant"] = json!(tenant);
    }
    let mut now = cx.ambient.now();
    let mut answer: Answer = read(global.post("/v1/auth/sign-in", &body).await?)?;
    for _ in 0..STEPS {
        let step = match answer {
            Answer::SignedIn(signed_in) => {
                tell_codes(&signed_in.recovery_codes)?;
                return keep(cx, url, signed_in, now).await;
            }
            Answer::Next(step) => step,
        };
        tell_codes(&step.recovery_codes)?;
        if let Some(enrolment) = &step.enrolment {
            enrolment.tell()?;
        }
        let mut body = match step.next.as_str() {
            "select-tenant" => json!({ "tenant": select(asked.as_deref(), &step.tenants, &ask).await? }),
            "second-factor" => {
                json!({ "totp": ask.secret("Code of your authenticator app").await?.expose_secret().trim() })
            }
            "change-password" => {
                let chosen = new_password(args.new_password_file.as_deref(), &ask).await?;
                json!({ "new_password": chosen.expose_secret() })
            }
            other => {
                return Err(Failure::Failed(format!(
                    "The global asks for {other:?}, which this version cannot do."
                )));
            }
        };
        body["ticket"] = json!(step.ticket.expose_secret());
        now = cx.ambient.now();
        answer = read(global.post("/v1/auth/next", &body).await?)?;
    }
    Err(Failure::Failed(
        "The global asks for one step after another and does not let you in.".into(),
    ))
}

async fn keep(cx: &Context, url: String, signed_in: SignedIn, now: time::OffsetDateTime) -> Result<(), Failure> {
    let SignedIn { user, tenant, pair, .. } = signed_in;
    let locked = cx.tokens.store().lock().await?;
    let mut profile = locked.load()?;
    let told = json!({ "user": { "id": user.id, "email": user.email }, "tenant": tenant, "global": url });
    profile.global = Some(url);
    profile.email = Some(user.email.clone());
    profile.session = Some(pair.begin(user.id, tenant.clone(), now));
    if let Kept::File(Some(cause)) = locked.save_session(&mut profile).await? {
        cx.out.remark(&format!("The session is kept in a file, for {cause}."));
    }
    match tenant {
        Some(tenant) => cx.out.remark(&format!(
            "Signed in as {}; the tenant in force is {}.",
            user.email, tenant.slug
        )),
        None => cx
            .out
            .remark(&format!("Signed in as {}; no tenant is in force.", user.email)),
    }
    if cx.out.is_data() { cx.out.one(&told) } else { Ok(()) }
}

async fn select(asked: Option<&str>, offered: &[TenantRef], ask: &Ask) -> Result<String, Failure> {
    let slugs = || {
        offered
            .iter()
            .map(|tenant| tenant.slug.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let answer = match asked {
        Some(asked) => asked.to_owned(),
        None if ask.lines || !terminal::present() => {
            return Err(Failure::Usage(format!(
                "You belong to {}: say which tenant with --tenant.",
                slugs()
            )));
        }
        None => terminal::ask(&format!("You belong to {}.\nTenant: ", slugs())).await?,
    };
    let chosen = offered
        .iter()
        .find(|tenant| tenant.slug == answer || tenant.id == answer);
    chosen
        .map(|tenant| tenant.id.clone())
        .ok_or_else(|| Failure::NotFound(format!("You do not belong to {answer:?}, but to {}.", slugs())))
}

async fn new_password(file: Option<&Path>, ask: &Ask) -> Result<SecretString, Failure> {
    if let Some(file) = file {
        return Ok(secret_file(file)?);
    }
    let chosen = ask.secret("New password, at least 15 characters").await?;
    // A script cannot mistype.
    if !ask.lines && ask.secret("The same again").await?.expose_secret() != chosen.expose_secret() {
        return Err(Failure::Usage(
            "These are two different passwords; nothing was changed.".into(),
        ));
    }
    Ok(chosen)
}

/// Who answers: the person at the terminal, or the lines of standard input.
struct Ask {
    lines: bool,
}

impl Ask {
    async fn secret(&self, what: &str) -> Result<SecretString, Failure> {
        if !self.lines && terminal::present() {
            return terminal::ask_secret(&format!("{what}: ")).await;
        }
        if !self.lines {
            return Err(Failure::Usage(format!(
                "There is no terminal to ask for this ({what}): give it on standard input with --password-stdin."
            )));
        }
        let line = terminal::line().await?;
        line.ok_or_else(|| Failure::Usage(format!("Standard input has no line for this: {what}.")))
    }
}

/// The pair and the tenant of an answer that begins another session of the same person.
///
/// # Errors
/// The answer has no pair.
pub fn begun(answer: Value) -> Result<(Pair, Option<TenantRef>), Failure> {
    let tenant = answer.get("tenant").cloned().filter(|tenant| !tenant.is_null());
    Ok((read(answer)?, tenant.map(read).transpose()?))
}
