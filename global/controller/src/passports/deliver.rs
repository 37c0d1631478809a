//! What a region lacks, put together from stored bytes and a statement of this moment.
use super::store;
use crate::app::App;
use exarch_common_base::RegionId;
use exarch_common_crypto::{hash::sha256, sign::KeyError};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::{
    passport::{self, Push, SectionBytes, Statement},
    user_token::Version,
};
use std::collections::BTreeMap;

/// Bytes of a poll's answer at most; what does not fit is fetched by range.
pub const POLL: usize = 960 * 1024;
/// Bytes of a push at most: nothing bulky goes over the connection that carries probes and revocations.
pub const PUSH: usize = 256 * 1024;

/// Why there is nothing to deliver.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The region has no passport.
    #[error("the region has no passport")]
    None,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The authority's key does not sign.
    #[error("the statement cannot be signed")]
    Sign(#[from] KeyError),
}

/// All that changed after `have`, in at most about `most` bytes: contents that do not fit are left out, and when not even
/// the list fits, the list too.
///
/// # Errors
/// [`DeliverError`].
pub async fn since(
    app: &App,
    region: RegionId,
    have: Option<Version>,
    most: usize,
) -> Result<(Version, Push), DeliverError> {
    // Before reading: the statement must not stand by anything that this reading cannot have seen.
    let as_of = app.ambient.now().unix_timestamp();
    let mut tx = SystemTx::begin(&app.app_pool, "deliver-passport").await?;
    let found = store::delta(tx.conn(), region, have, most).await?;
    tx.rollback().await?;
    let delta = found.ok_or(DeliverError::None)?;
    let statement = Statement {
        region,
        version: delta.version,
        manifest: sha256(&delta.manifest),
        as_of,
    };
    let authority = app.keys.authority();
    let mut push = Push {
        statement: passport::sign_statement(&authority.key, &authority.kid, &statement)?,
        manifest: delta.manifest,
        entries: delta.entries,
        gone: delta.gone,
        sections: delta
            .contents
            .into_iter()
            .map(|(id, bytes)| (id, SectionBytes(bytes)))
            .collect(),
    };
    fit(&mut push, most);
    Ok((delta.version, push))
}

fn fit(push: &mut Push, most: usize) {
    while push.to_bytes().len() > most && !push.sections.is_empty() {
        // The largest first: it is fetched alone.
        let largest = push.sections.iter().max_by_key(|(_, bytes)| bytes.0.len());
        let id = largest.map(|(id, _)| id.clone()).unwrap_or_default();
        push.sections.remove(&id);
    }
    if push.to_bytes().len() > most {
        push.entries = Vec::new();
        push.gone = Vec::new();
        push.sections = BTreeMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_wire::passport::Entry;

    fn push(sizes: &[usize]) -> Push {
        let id = |n: usize| format!("tenant/{n}");
        Push {
            statement: vec![1; 100],
            manifest: vec![2; 100],
            entries: (0..sizes.len())
                .map(|n| Entry {
                    id: id(n),
                    version: Version(1, 1),
                    sha256: [0; 32],
                    critical: true,
                })
                .collect(),
            gone: vec![],
            sections: sizes
                .iter()
                .enumerate()
                .map(|(n, size)| (id(n), SectionBytes(vec![0; *size])))
                .collect(),
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_largest_first() {
        let mut all = push(&[10, 5000, 20]);
        fit(&mut all, 10_000);
        assert_eq!(all.sections.len(), 3);
        fit(&mut all, 2000);
        assert_eq!(all.sections.keys().collect::<Vec<_>>(), ["tenant/0", "tenant/2"]);
        assert_eq!(all.entries.len(), 3, "the list still names all");
    }

    #[test]
    fn a_list_that_does_not_fit_leaves_statement_and_manifest() {
        let mut all = push(&[1; 50]);
        fit(&mut all, 1000);
        assert!(all.entries.is_empty() && all.sections.is_empty() && !all.manifest.is_empty());
        assert!(all.to_bytes().len() <= 1000);
    }
}
