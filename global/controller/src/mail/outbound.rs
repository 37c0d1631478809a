//! The way out: SMTP over TLS, a directory, or none.
use super::letter::Written;
use crate::settings::{Mail, MailTls, MailTransport};
use anyhow::Context;
use exarch_common_base::ExposeSecret;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Body, Mailbox, SinglePart, header::ContentTransferEncoding, header::ContentType},
    transport::smtp::authentication::Credentials,
};
use std::{io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf, time::Duration};
use uuid::Uuid;

/// Characters of a line (RFC 5322, section 2.1.1).
const LONGEST_LINE: usize = 998;
/// For one mail.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where mail goes.
pub enum Outbound {
    /// Nowhere.
    Off,
    /// Into a directory, a file each: for development.
    File {
        /// The directory.
        dir: PathBuf,
        /// Who writes.
        from: Mailbox,
    },
    /// To a server.
    Smtp {
        /// The server.
        server: Box<AsyncSmtpTransport<Tokio1Executor>>,
        /// Who writes.
        from: Mailbox,
    },
}

impl Outbound {
    /// By the settings.
    ///
    /// # Errors
    /// A sender that is no address, a password that cannot be read, a name that is none of a server.
    pub fn new(settings: &Mail) -> anyhow::Result<Self> {
        let from = || {
            settings
                .from
                .parse::<Mailbox>()
                .context("settings.mail.from is no address")
        };
        Ok(match settings.transport {
            MailTransport::Off => Self::Off,
            MailTransport::File => Self::File {
                dir: settings.dir.clone().context("settings.mail.dir is missing")?,
                from: from()?,
            },
            MailTransport::Smtp => {
                let host = settings.host.as_deref().context("settings.mail.host is missing")?;
                let builder = match settings.tls {
                    MailTls::Implicit => AsyncSmtpTransport::<Tokio1Executor>::relay(host),
                    MailTls::Starttls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host),
                };
                let mut builder = builder.context("settings.mail.host")?.timeout(Some(PATIENCE));
                if let Some(port) = settings.port {
                    builder = builder.port(port);
                }
                if let (Some(user), Some(file)) = (&settings.username, &settings.password_file) {
                    let password = file.read().context("settings.mail.password_file")?;
                    let password = password.expose_secret().trim_end_matches(['\r', '\n']).to_owned();
                    builder = builder.credentials(Credentials::new(user.clone(), password));
                }
                Self::Smtp {
                    server: Box::new(builder.build()),
                    from: from()?,
                }
            }
        })
    }

    /// Whether mail goes anywhere.
    pub fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Sends one mail; `id` names it, so that a receiver can tell a repetition.
    pub(super) async fn send(&self, id: Uuid, to: &str, written: Written) -> anyhow::Result<()> {
        match self {
            Self::Off => Ok(()),
            Self::File { dir, from } => {
                let message = message(from, id, to, written)?.formatted();
                let (dir, name) = (dir.clone(), format!("{id}.eml"));
                tokio::task::spawn_blocking(move || put(&dir, &name, &message)).await??;
                Ok(())
            }
            Self::Smtp { server, from } => {
                server.send(message(from, id, to, written)?).await?;
                Ok(())
            }
        }
    }
}

/// For the eyes of the server's account alone: there are tokens in it.
fn put(dir: &std::path::Path, name: &str, message: &[u8]) -> std::io::Result<()> {
    let next = dir.join(format!(".{name}"));
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&next)?;
    file.write_all(message)?;
    std::fs::rename(next, dir.join(name))
}

fn message(from: &Mailbox, id: Uuid, to: &str, written: Written) -> anyhow::Result<Message> {
    let Written { subject, text } = written;
    // Plain ASCII goes as it is: an address that is cut into lines is one that no reader can follow.
    let text = text.replace('\n', "\r\n");
    let as_it_is = text.is_ascii() && text.lines().all(|line| line.len() <= LONGEST_LINE);
    let body = match as_it_is {
        true => Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit),
        false => Body::new(text),
    };
    let part = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(body);
    let domain = from.email.domain().to_owned();
    Ok(Message::builder()
        .from(from.clone())
        // of the address the text is not told, should it be none
        .to(Mailbox::new(
            None,
            to.parse()
                .map_err(|_| anyhow::anyhow!("the receiver's address is none for mail"))?,
        ))
        .subject(subject)
        .message_id(Some(format!("<{id}@{domain}>")))
        .singlepart(part)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Written {
        Written {
            subject: "Für dich".into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_long_address_stays_on_its_line() {
        let from: Mailbox = "Exarch <no-reply@exarch.example>".parse().unwrap();
        let long = format!("http://localhost:8440/reset-password#{}", "x".repeat(100));
        let message = message(
            &from,
            Uuid::nil(),
            "ada@acme.example",
            written(&format!("a\n{long}\nb\n")),
        )
        .unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(text.contains(&format!("\r\n{long}\r\n")), "{text}");
        assert!(text.contains("To: ada@acme.example\r\n"), "{text}");
    }

    #[test]
    fn letters_of_any_alphabet_arrive_somehow() {
        let from: Mailbox = "no-reply@exarch.example".parse().unwrap();
        assert!(message(&from, Uuid::nil(), "ada@acme.example", written("Grüße, 東京\n")).is_ok());
        assert!(message(&from, Uuid::nil(), "no address", written("x")).is_err());
    }
}
