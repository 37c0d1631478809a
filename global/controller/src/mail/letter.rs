//! What is written to people: plain text.
use exarch_common_base::{ExposeSecret, SecretString, UserId};
use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;

/// A letter that waits. It is stored sealed only: it holds an address, and perhaps a token.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Letter {
    /// Somebody wants a new password for an address that perhaps nobody has.
    PasswordReset {
        /// The address.
        to: String,
        /// Good once.
        #[serde(serialize_with = "exposed")]
        token: SecretString,
    },
    /// A tenant asks somebody to come in.
    Invitation {
        /// The address.
        to: String,
        /// The tenant's name.
        tenant: String,
        /// Good once.
        #[serde(serialize_with = "exposed")]
        token: SecretString,
    },
    /// Ten sign-ins failed.
    Locked {
        /// Whose account.
        user: UserId,
        /// Until when.
        #[serde(with = "time::serde::timestamp")]
        until: OffsetDateTime,
    },
    /// Somebody of the provider will come into a tenant that nobody administers.
    Rescue {
        /// A member.
        user: UserId,
        /// The tenant's name.
        tenant: String,
        /// Why.
        reason: String,
        /// Where it is written down.
        ticket: String,
        /// When.
        #[serde(with = "time::serde::timestamp")]
        from: OffsetDateTime,
    },
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letter")
    }
}

fn exposed<S: Serializer>(secret: &SecretString, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(secret.expose_secret())
}

/// Subject and text.
pub struct Written {
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl Letter {
    /// As it is read; `base` is the address of the web app. A token stands behind `#`, which no browser sends to a server.
    pub fn write(&self, base: &str) -> Written {
        match self {
            Self::PasswordReset { token, .. } => Written {
                subject: "Choose a new password".to_owned(),
                text: format!(
                    "Somebody, probably you, asked for a new password for this address.\n\nChoose one here, within a day:\n\
                     {base}/reset-password#{}\n\nIf it was not you, do nothing: the present one stays.\n",
                    token.expose_secret()
                ),
            },
            Self::Invitation { tenant, token, .. } => Written {
                subject: "You are invited".to_owned(),
                text: format!(
                    "You are invited to work in \"{tenant}\".\n\nAccept here, within a day:\n{base}/invite#{}\n\n\
                     If you do not expect this, do nothing.\n",
                    token.expose_secret()
                ),
            },
            Self::Rescue {
                tenant,
                reason,
                ticket,
                from,
                ..
            } => Written {
                subject: "Your provider will enter your organisation".to_owned(),
                text: format!(
                    "\"{tenant}\" has nobody left to administer it. From {} UTC on somebody of the provider has access to it \
                     for at most an hour, to name an administrator. Two people of the provider have approved it.\n\n\
                     Reason: {reason}\nTicket: {ticket}\n\nEverything that is done stands in the organisation's audit. If this \
                     is wrong, tell your provider before then.\n",
                    stamp(*from)
                ),
            },
            Self::Locked { until, .. } => Written {
                subject: "Your account is locked for a while".to_owned(),
                text: format!(
                    "Ten sign-ins to your account failed within ten minutes, so nobody can sign in to it until {} UTC.\n\
                     Where you are signed in you stay so.\n\nIf it was not you, choose a new password:\n{base}/reset-password\n",
                    stamp(*until)
                ),
            },
        }
    }
}

fn stamp(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_behind_the_hash_and_a_letter_reads_back() {
        let letter = Letter::PasswordReset {
            to: "a@b".into(),
            token: "tok".to_owned().into(),
        };
        let stored = serde_json::to_vec(&letter).unwrap();
        let read: Letter = serde_json::from_slice(&stored).unwrap();
        assert_eq!(format!("{read:?}"), "Letter");
        assert!(read.write("http://x").text.contains("\nhttp://x/reset-password#tok\n"));
    }
}
