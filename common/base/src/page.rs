//! Keyset pages: a page token says where the last page ended, never how many rows were skipped.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// Rows per page when the caller does not say.
pub const DEFAULT_LIMIT: u16 = 20;
/// Rows per page at most.
pub const MAX_LIMIT: u16 = 100;

/// Where a page ended: the id of its last row. Lists are ordered by id, which is the order of creation (UUID version 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageToken(pub Uuid);

/// Why a text is not a page token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use the next_page_token of the page before, unchanged")]
pub struct PageTokenError;

impl PageToken {
    /// Reads the text of `page_token`.
    pub fn decode(text: &str) -> Result<Self, PageTokenError> {
        let raw = URL_SAFE_NO_PAD.decode(text).map_err(|_| PageTokenError)?;
        Uuid::from_slice(&raw).map(Self).map_err(|_| PageTokenError)
    }

    /// The text of `next_page_token`.
    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.as_bytes())
    }
}

/// Splits `rows`, read with one row more than `limit`, into the page and the token of the next one.
pub fn split<T>(mut rows: Vec<T>, limit: u16, id: impl Fn(&T) -> Uuid) -> (Vec<T>, Option<PageToken>) {
    let more = rows.len() > usize::from(limit);
    rows.truncate(usize::from(limit));
    let next = rows.last().filter(|_| more).map(|row| PageToken(id(row)));
    (rows, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_given_only_when_there_is_more() {
        let ids = |n: u128| (0..n).map(Uuid::from_u128).collect::<Vec<_>>();
        assert_eq!(split(ids(2), 2, |i| *i), (ids(2), None));
        assert_eq!(split(ids(3), 2, |i| *i), (ids(2), Some(PageToken(Uuid::from_u128(1)))));
        assert_eq!(split(ids(0), 2, |i| *i), (vec![], None));
    }

    #[test]
    fn a_token_reads_back_and_others_do_not() {
        let token = PageToken(Uuid::from_u128(99));
        assert_eq!(PageToken::decode(&token.encode()), Ok(token));
        for bad in ["", "!", "AAAA", &"A".repeat(23)] {
            assert_eq!(PageToken::decode(bad), Err(PageTokenError), "{bad}");
        }
    }
}
