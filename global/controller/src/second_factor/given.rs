//! A code that somebody gave: of the app, or a recovery code.
use super::{codes, open, store};
use crate::app::App;
use exarch_common_base::{ExposeSecret, SecretString, UserId};
use exarch_common_crypto::totp::DIGITS;
use exarch_common_http::Problem;
use sqlx::PgConnection;
use zeroize::Zeroizing;

/// What was given.
#[derive(Clone, Debug)]
pub enum Given {
    /// Six digits.
    Totp(SecretString),
    /// Anything else.
    Recovery(SecretString),
}

impl Given {
    /// Reads it: six digits, with spaces or without, are a code of the app.
    pub fn read(text: &SecretString) -> Self {
        let bare: Zeroizing<String> =
            Zeroizing::new(text.expose_secret().chars().filter(|c| !c.is_whitespace()).collect());
        if bare.len() == DIGITS && bare.bytes().all(|b| b.is_ascii_digit()) {
            return Self::Totp(bare.as_str().into());
        }
        Self::Recovery(text.clone())
    }

    /// The word in the audit.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Totp(_) => "totp",
            Self::Recovery(_) => "recovery-code",
        }
    }
}

/// Uses up a code of a person; false when it is wrong or was used before. It counts when the caller commits.
///
/// # Errors
/// The database, or a secret that does not open.
pub async fn check(app: &App, conn: &mut PgConnection, user: UserId, given: &Given) -> Result<bool, Problem> {
    let now = app.ambient.now();
    match given {
        Given::Totp(code) => {
            let Some(factor) = store::verified(conn, user).await? else {
                return Ok(false);
            };
            let secret = open(app, factor.id, &factor.secret_sealed)?;
            for step in secret.steps_of(code.expose_secret(), now.unix_timestamp()) {
                if store::use_step(conn, factor.id, step, now).await? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Given::Recovery(code) => match codes::hash(user, code.expose_secret()) {
            Some(hash) => Ok(store::use_recovery_code(conn, user, &hash, now).await?),
            None => Ok(false),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_the_apps_and_anything_else_may_be_a_recovery_code() {
        for (text, word) in [
            ("123456", "totp"),
            (" 123 456 ", "totp"),
            ("1234567", "recovery-code"),
            ("", "recovery-code"),
        ] {
            assert_eq!(Given::read(&text.to_owned().into()).as_str(), word, "{text:?}");
        }
    }
}
