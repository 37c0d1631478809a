//! Sends what waits: one after the other, each within its own transaction, so that of several replicas one sends it.
use super::{LIFE, Letter, limit, place, store};
use crate::{
    app::App,
    users::{self, UserBrief},
};
use anyhow::Context;
use exarch_common_base::ExposeSecret;
use exarch_common_crypto::hash::sha256;
use exarch_common_pg::SystemTx;
use exarch_common_runtime::Reconcile;
use std::time::Duration;

/// The reconciler.
pub struct Mailer(pub App);

impl Reconcile for Mailer {
    const NAME: &'static str = "send-mail";
    const EVERY: Duration = Duration::from_secs(15);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let mut sent = 0;
        while let Some(done) = one(&self.0).await? {
            sent += u64::from(done);
        }
        Ok(sent)
    }
}

/// Sends the one that has waited longest; false when it could not be sent now, nothing when none is due.
async fn one(app: &App) -> anyhow::Result<Option<bool>> {
    let now = app.ambient.now();
    let mut tx = SystemTx::begin(&app.app_pool, Mailer::NAME).await?;
    let Some(waiting) = store::take_due(tx.conn(), now).await? else {
        return Ok(None);
    };
    let row = waiting.id.to_string();
    let plain = app.sealer.open(place(&row), &waiting.sealed)?;
    let letter: Letter = serde_json::from_slice(&plain).context("a stored letter")?;
    let outcome = match receiver(app, &mut tx, &letter).await? {
        Receiver::Now(to) => {
            let written = letter.write(&app.settings.public.url);
            app.outbound.load_full().send(waiting.id, &to, written).await
        }
        Receiver::Later(wait) => {
            store::postpone(tx.conn(), waiting.id, now + wait).await?;
            tx.commit().await?;
            return Ok(Some(false));
        }
        Receiver::Nobody => Ok(()),
    };
    let done = outcome.is_ok();
    match outcome {
        Ok(()) => store::delete(tx.conn(), waiting.id).await?,
        Err(cause) if waiting.created_at + LIFE <= now => {
            tracing::error!(cause = without_addresses(&cause), mail = %waiting.id, "a mail could not be sent for a day and is given up");
            store::delete(tx.conn(), waiting.id).await?;
        }
        Err(cause) => {
            metrics::counter!("exarch_mail_failed_total").increment(1);
            tracing::warn!(cause = without_addresses(&cause), mail = %waiting.id, "a mail could not be sent; it is tried again");
            store::postpone(tx.conn(), waiting.id, now + later(waiting.tries)).await?;
        }
    }
    tx.commit().await?;
    Ok(Some(done))
}

/// Twice as long after each try, an hour at most.
fn later(tries: i32) -> Duration {
    Duration::from_secs((30 << tries.clamp(0, 7)).min(3600))
}

/// To whom a letter goes.
enum Receiver {
    /// To this address.
    Now(String),
    /// To somebody who has had enough mail for the moment.
    Later(time::Duration),
    /// Nobody has the address.
    Nobody,
}

impl Receiver {
    fn of(user: Option<UserBrief>) -> Self {
        user.map_or(Self::Nobody, |user| Self::Now(user.email))
    }
}

/// To whom it goes, and its token put in force. Done again it does no harm.
async fn receiver(app: &App, tx: &mut SystemTx, letter: &Letter) -> anyhow::Result<Receiver> {
    let expires_at = app.ambient.now() + LIFE;
    match letter {
        Letter::PasswordReset { to, token } => {
            let Ok(email) = to.parse() else {
                return Ok(Receiver::Nobody);
            };
            let user = users::find_by_email(app, tx.conn(), &email).await?;
            let Some(user) = user.filter(|user| user.state == "active") else {
                return Ok(Receiver::Nobody);
            };
            let hash = sha256(token.expose_secret().as_bytes());
            store::insert_reset(tx.conn(), &hash, user.id, expires_at).await?;
            Ok(Receiver::Now(user.email))
        }
        // the token is in force since it was asked for; here is counted what all tenants together send
        Letter::Invitation { to, .. } => {
            let index = app.keys.email_index(to);
            let wait = limit::may_send(app, tx.conn(), &index, "invitation").await?;
            Ok(wait.map_or_else(|| Receiver::Now(to.clone()), Receiver::Later))
        }
        Letter::Locked { user, .. } | Letter::Rescue { user, .. } => {
            Ok(Receiver::of(users::find(app, tx.conn(), *user).await?))
        }
    }
}

/// What a mail server answers may repeat whom the mail is for; that is not for the log.
fn without_addresses(cause: &anyhow::Error) -> String {
    let text = format!("{cause:#}");
    let words = text
        .split(' ')
        .map(|word| if word.contains('@') { "(address)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn tries_come_later_and_later_and_never_stop() {
        let waits: Vec<u64> = (0..9).map(|n| super::later(n).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(super::later(i32::MAX).as_secs(), 3600);
    }

    #[test]
    fn a_servers_answer_is_told_without_the_address_in_it() {
        let cause = anyhow::anyhow!("550 5.1.1 <ada@acme.example>: no such user").context("refused");
        assert_eq!(
            super::without_addresses(&cause),
            "refused: 550 5.1.1 (address) no such user"
        );
    }
}
