//! A bootstrap token: what it looks like, and what is told of one that does not let in any more. Pure.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{AgentId, Ambient, TenantId, TokenId};
use exarch_common_crypto::{hash::sha256, mac};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How long a token lets an agent in.
pub const LIFE: Duration = Duration::minutes(15);
const PREFIX: &str = "ebt_";

/// A token in full. Its text names its tenant and its row, so that it is looked up in one tenant's rows alone; the secret
/// behind them has 256 bits.
pub struct BootstrapToken {
    /// Whose agents it lets in.
    pub tenant: TenantId,
    /// Its id.
    pub id: TokenId,
    secret: [u8; 32],
}

impl BootstrapToken {
    /// A new one.
    pub fn generate(ambient: &Ambient, tenant: TenantId) -> Self {
        Self {
            tenant,
            id: ambient.id(),
            secret: ambient.bytes(),
        }
    }

    /// Reads the text of a token.
    pub fn parse(text: &str) -> Option<Self> {
        let raw: [u8; 64] = B64.decode(text.strip_prefix(PREFIX)?).ok()?.try_into().ok()?;
        let (ids, secret) = raw.split_at(32);
        Some(Self {
            tenant: Uuid::from_slice(&ids[..16]).ok()?.into(),
            id: Uuid::from_slice(&ids[16..]).ok()?.into(),
            secret: secret.try_into().ok()?,
        })
    }

    /// The text that is shown once.
    pub fn text(&self) -> String {
        let (tenant, id) = (self.tenant.uuid(), self.id.uuid());
        format!(
            "{PREFIX}{}",
            B64.encode([&tenant.as_bytes()[..], id.as_bytes(), &self.secret].concat())
        )
    }

    /// What is kept of it.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.text().as_bytes())
    }

    /// Whether it is the one of which `kept` was kept; in constant time.
    pub fn is(&self, kept: &[u8]) -> bool {
        mac::equal(&self.hash(), kept)
    }
}

/// The first use of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// When.
    pub at: OffsetDateTime,
    /// From which address.
    pub from: String,
    /// The agent that came in.
    pub agent: AgentId,
}

/// Where a token stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Lets one agent in.
    Open,
    /// Did so.
    Spent(Use),
    /// Was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

impl TokenState {
    /// By what the row says. What happened comes before what the clock says: a spent token has its story for ever.
    pub fn of(spent: Option<Use>, revoked: bool, expires_at: OffsetDateTime, now: OffsetDateTime) -> Self {
        match spent {
            Some(first) => Self::Spent(first),
            None if revoked => Self::Revoked,
            None if now >= expires_at => Self::Expired,
            None => Self::Open,
        }
    }

    /// The word in answers.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Spent(_) => "spent",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_token_reads_back_and_no_other_text_is_one() {
        let ambient = Ambient::manual(datetime!(2026-01-01 0:00 UTC), 3).0;
        let token = BootstrapToken::generate(&ambient, ambient.id());
        let read = BootstrapToken::parse(&token.text()).unwrap();
        assert_eq!((read.tenant, read.id), (token.tenant, token.id));
        assert!(read.is(&token.hash()));
        assert!(!BootstrapToken::generate(&ambient, token.tenant).is(&token.hash()));
        let text = token.text();
        for bad in [
            "",
            "ebt_",
            &text[..text.len() - 1],
            &text[4..],
            &format!("{text}A"),
            &format!(" {text}"),
        ] {
            assert!(BootstrapToken::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_happened_to_a_token_comes_before_what_the_clock_says() {
        let now = datetime!(2026-01-01 12:00 UTC);
        let first = Use {
            at: now,
            from: "192.0.2.1".to_owned(),
            agent: Uuid::from_u128(1).into(),
        };
        let over = now - Duration::HOUR;
        assert_eq!(
            TokenState::of(Some(first.clone()), false, over, now),
            TokenState::Spent(first)
        );
        assert_eq!(TokenState::of(None, true, over, now), TokenState::Revoked);
        assert_eq!(TokenState::of(None, false, now, now), TokenState::Expired);
        assert_eq!(
            TokenState::of(None, false, now + Duration::SECOND, now),
            TokenState::Open
        );
    }
}
