//! The chain that ties audit rows together.
//!
//! A row's hash covers all of its fields, its number and the hash before it, in one fixed encoding: a row that is changed,
//! taken out or put in between is seen by whoever walks the chain, and a tail that is cut off by whoever kept the
//! [`Head`]. The encoding is CBOR of definite lengths and shortest integers (RFC 8949, 4.2.1), fields in the order of
//! the list in `encode`.
use super::Entry;
use ciborium::Value as Cbor;
use exarch_common_crypto::hash::sha256;
use serde_json::Value as Json;

/// The hash before the first row.
pub const GENESIS: [u8; 32] = [0; 32];

/// The version of the encoding, its first field.
const FORM: u64 = 1;

impl Entry {
    /// Its place after `head`: the next number and the hash.
    pub fn chain(&self, head: &Head) -> Head {
        let seq = head.seq + 1;
        Head {
            seq,
            hash: self.hash(seq, &head.hash),
        }
    }

    /// SHA-256 over the canonical encoding.
    pub fn hash(&self, seq: u64, prev: &[u8; 32]) -> [u8; 32] {
        sha256(&self.encode(seq, prev))
    }

    fn encode(&self, seq: u64, prev: &[u8; 32]) -> Vec<u8> {
        let text = |t: &str| Cbor::Text(t.to_owned());
        let maybe = |t: &Option<String>| t.as_deref().map_or(Cbor::Null, text);
        let json = |v: &Option<Json>| v.as_ref().map_or(Cbor::Null, canonical);
        let micros = (self.at.unix_timestamp_nanos() / 1000) as i64;
        let fields = vec![
            FORM.into(),
            Cbor::Bytes(self.tenant.uuid().as_bytes().to_vec()),
            seq.into(),
            Cbor::Bytes(self.id.uuid().as_bytes().to_vec()),
            micros.into(),
            text(&self.actor.kind),
            text(&self.actor.id),
            maybe(&self.on_behalf_of),
            text(&self.action),
            text(&self.target_kind),
            text(&self.target_id),
            text(self.outcome.as_str()),
            maybe(&self.reason),
            json(&self.before),
            json(&self.after),
            maybe(&self.decision.map(|id| id.to_string())),
            maybe(&self.request.map(|id| id.to_string())),
            maybe(&self.source.address),
            maybe(&self.source.user_agent),
            maybe(&self.break_glass),
            Cbor::Array(self.flags.iter().map(|flag| text(flag.as_str())).collect()),
            Cbor::Bytes(prev.to_vec()),
        ];
        let mut out = Vec::with_capacity(512);
        ciborium::into_writer(&Cbor::Array(fields), &mut out).expect("writing to memory does not fail");
        out
    }
}

/// The last row of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 before the first row.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: GENESIS }
    }
}

/// One row as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What happened.
    pub entry: Entry,
    /// Its number in the tenant's chain.
    pub seq: u64,
    /// The hash before it.
    pub prev_hash: [u8; 32],
    /// Its own.
    pub hash: [u8; 32],
}

/// Where a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A number is missing, or comes twice.
    #[error("row {expected} of the audit is missing: row {found} stands in its place")]
    Gap {
        /// What should come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The row does not follow the one before it, or was changed.
    #[error("row {0} of the audit was changed")]
    Changed(u64),
}

/// Walks rows in the order of their numbers, from the one after `head`, and answers the new head.
///
/// # Errors
/// [`Broken`] names the first row that does not fit.
pub fn walk<'a>(head: Head, rows: impl IntoIterator<Item = &'a Row>) -> Result<Head, Broken> {
    rows.into_iter().try_fold(head, |head, row| {
        let next = row.entry.chain(&head);
        if row.seq != next.seq {
            return Err(Broken::Gap {
                expected: next.seq,
                found: row.seq,
            });
        }
        if row.prev_hash != head.hash || row.hash != next.hash {
            return Err(Broken::Changed(row.seq));
        }
        Ok(next)
    })
}

/// JSON as CBOR with one spelling: members by the bytes of their names, whole numbers as integers. A database may give
/// a document back with its members in another order and 1.0 for 1; the hash is the same.
fn canonical(value: &Json) -> Cbor {
    match value {
        Json::Null => Cbor::Null,
        Json::Bool(b) => Cbor::Bool(*b),
        Json::Number(n) => match (n.as_u64(), n.as_i64(), n.as_f64()) {
            (Some(n), _, _) => n.into(),
            (None, Some(n), _) => n.into(),
            (None, None, Some(n)) => float(n),
            (None, None, None) => Cbor::Null,
        },
        Json::String(s) => Cbor::Text(s.clone()),
        Json::Array(items) => Cbor::Array(items.iter().map(canonical).collect()),
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| (name.len(), name.as_bytes()));
            let entries = members.into_iter();
            Cbor::Map(
                entries
                    .map(|(name, v)| (Cbor::Text(name.clone()), canonical(v)))
                    .collect(),
            )
        }
    }
}

fn float(n: f64) -> Cbor {
    const TWO_64: f64 = 18_446_744_073_709_551_616.0;
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    match n {
        _ if n.fract() != 0.0 => Cbor::Float(n),
        _ if (0.0..TWO_64).contains(&n) => (n as u64).into(),
        _ if (-TWO_63..0.0).contains(&n) => (n as i64).into(),
        _ => Cbor::Float(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Actor, Flag, Outcome, PROVIDER};
    use exarch_common_base::Ambient;
    use proptest::prelude::*;
    use serde_json::json;
    use time::macros::datetime;

    fn entry(n: u64) -> Entry {
        let (ambient, _) = Ambient::manual(datetime!(2026-01-01 12:00:00.123456789 UTC), n);
        Entry::new(&ambient, PROVIDER, Actor::system("test"), "tenant.create", "tenant", n)
            .after(json!({"slug": "north", "n": n}))
    }

    fn chain(n: u64) -> Vec<Row> {
        let mut head = Head::default();
        (0..n)
            .map(|i| {
                let entry = entry(i);
                let next = entry.chain(&head);
                let row = Row {
                    entry,
                    seq: next.seq,
                    prev_hash: head.hash,
                    hash: next.hash,
                };
                head = next;
                row
            })
            .collect()
    }

    #[test]
    fn the_encoding_is_what_it_was() {
        // a change here makes every stored chain unreadable
        assert_eq!(
            hex::encode(entry(7).hash(1, &GENESIS)),
            "59168302d0d76ed38edd19d7691097b243e097ca9bc336e703ad9621c5c16196"
        );
    }

    #[test]
    fn an_untouched_chain_walks_from_any_of_its_heads() {
        let rows = chain(5);
        let last = Head {
            seq: 5,
            hash: rows[4].hash,
        };
        assert_eq!(walk(Head::default(), &rows), Ok(last));
        let second = Head {
            seq: 2,
            hash: rows[1].hash,
        };
        assert_eq!(walk(second, &rows[2..]), Ok(last));
    }

    #[test]
    fn a_row_taken_out_put_in_or_changed_is_seen() {
        let walked = |rows: &[Row]| walk(Head::default(), rows);
        let mut rows = chain(5);
        rows.remove(2);
        assert_eq!(walked(&rows), Err(Broken::Gap { expected: 3, found: 4 }));
        let mut rows = chain(5);
        rows[2].entry.actor.id = "someone-else".into();
        assert_eq!(walked(&rows), Err(Broken::Changed(3)));
        let mut rows = chain(5);
        rows[1].entry.reason = Some("new".into());
        rows[1].hash = rows[1].entry.hash(2, &rows[1].prev_hash);
        assert_eq!(walked(&rows), Err(Broken::Changed(3)));
    }

    #[test]
    fn every_field_moves_the_hash() {
        let whole = entry(1).hash(1, &GENESIS);
        let changes: [fn(&mut Entry); 18] = [
            |e| e.tenant = Ambient::system().id(),
            |e| e.id = Ambient::system().id(),
            |e| e.at += time::Duration::MICROSECOND,
            |e| e.actor.kind.push('x'),
            |e| e.actor.id.push('x'),
            |e| e.on_behalf_of = Some(String::new()),
            |e| e.action.push('x'),
            |e| e.target_kind.push('x'),
            |e| e.target_id.push('x'),
            |e| e.outcome = Outcome::Denied,
            |e| e.reason = Some(String::new()),
            |e| e.before = Some(json!({})),
            |e| e.after = None,
            |e| e.decision = Some(Ambient::system().id()),
            |e| e.request = Some(Ambient::system().id()),
            |e| e.source.address = Some("::1".into()),
            |e| e.source.user_agent = Some("x".into()),
            |e| {
                e.flags.insert(Flag::Offline);
            },
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut other = entry(1);
            change(&mut other);
            assert_ne!(other.hash(1, &GENESIS), whole, "change {at}");
        }
        let mut other = entry(1);
        other.break_glass = Some("x".into());
        assert_ne!(other.hash(1, &GENESIS), whole);
        assert_ne!(entry(1).hash(2, &GENESIS), whole);
        assert_ne!(entry(1).hash(1, &[1; 32]), whole);
    }

    #[test]
    fn a_document_that_a_database_respelled_has_the_same_hash() {
        let of = |text: &str| {
            let value: Json = serde_json::from_str(text).unwrap();
            entry(1).after(value).hash(1, &GENESIS)
        };
        assert_eq!(
            of(r#"{"b":1,"aa":[1e19,-0.0,2.5]}"#),
            of(r#"{"aa":[10000000000000000000,0,2.50],"b":1.0}"#)
        );
        assert_ne!(of(r#"{"a":"1"}"#), of(r#"{"a":1}"#));
    }

    proptest! {
        #[test]
        fn no_single_row_can_be_left_out(length in 2u64..20, at in 0usize..19) {
            let mut rows = chain(length);
            let at = at % (rows.len() - 1);
            rows.remove(at);
            let seen = matches!(walk(Head::default(), &rows), Err(Broken::Gap { .. }));
            prop_assert!(seen);
        }
    }
}
