//! What changed between two looks at one page of a list.
use serde::Deserialize;
use serde_json::Value;

/// The page as its list showed it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Window {
    items: Vec<Value>,
    /// There only when more comes after the last item.
    #[serde(default)]
    next_page_token: Option<String>,
}

/// What happened to an item, or to the whole page.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// More came at once than a page holds: the page as it is now takes the place of all that was told.
    Page,
    /// It is on the page and was not.
    Added(Value),
    /// It is shown otherwise than before.
    Changed(Value),
    /// It is gone; as it was shown last.
    Removed(Value),
}

/// By what a list's items are told apart. Presets of roles have a name alone.
fn id(item: &Value) -> Option<&str> {
    let known = ["id", "slug", "name"].iter().find_map(|key| item.get(key));
    known?.as_str()
}

impl Window {
    fn find(&self, item: &Value) -> Option<&Value> {
        let wanted = id(item);
        self.items.iter().find(|held| id(held) == wanted)
    }

    /// What leads from `self` to `next`, the oldest first. What newer items pushed off the page is told by nothing: it is
    /// still there, on a page that nobody watches.
    pub(super) fn changes(&self, next: &Self) -> Vec<Change> {
        let more = next.next_page_token.is_some();
        if more && !self.items.is_empty() && self.items.iter().all(|item| next.find(item).is_none()) {
            return vec![Change::Page];
        }
        let mut changes = Vec::new();
        let last = next.items.last().filter(|_| more);
        let in_sight = last.and_then(|last| self.items.iter().position(|item| id(item) == id(last)));
        let in_sight = in_sight.map_or(self.items.len(), |at| at + 1);
        let gone = self.items[..in_sight].iter().filter(|item| next.find(item).is_none());
        changes.extend(gone.rev().cloned().map(Change::Removed));
        for item in next.items.iter().rev() {
            match self.find(item) {
                None => changes.push(Change::Added(item.clone())),
                Some(before) if before != item => changes.push(Change::Changed(item.clone())),
                Some(_) => {}
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Change::{Added, Changed, Page, Removed};
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn item(id: u32, value: u32) -> Value {
        json!({"id": id.to_string(), "value": value})
    }

    /// The first `limit` of a list, newest (highest id) first.
    fn window(list: &BTreeMap<u32, u32>, limit: usize) -> Window {
        let items = list.iter().rev().take(limit).map(|(id, value)| item(*id, *value));
        Window {
            items: items.collect(),
            next_page_token: (list.len() > limit).then(|| "more".to_owned()),
        }
    }

    fn of(ids: &[u32], limit: usize) -> Window {
        window(&ids.iter().map(|id| (*id, 0)).collect(), limit)
    }

    #[test]
    fn what_came_changed_and_went_is_told_each_by_its_name() {
        let before = window(&BTreeMap::from([(1, 0), (2, 0), (3, 0)]), 10);
        let after = window(&BTreeMap::from([(1, 0), (3, 7), (4, 0), (5, 0)]), 10);
        assert_eq!(
            before.changes(&after),
            [
                Removed(item(2, 0)),
                Changed(item(3, 7)),
                Added(item(4, 0)),
                Added(item(5, 0))
            ]
        );
        assert_eq!(after.changes(&after), []);
    }

    #[test]
    fn what_newer_items_push_off_the_page_is_not_told_as_gone() {
        assert_eq!(of(&[1, 2, 3], 3).changes(&of(&[1, 2, 3, 4], 3)), [Added(item(4, 0))]);
        // but what is gone above it is
        assert_eq!(
            of(&[1, 2, 3], 3).changes(&of(&[1, 2, 4, 5], 3)),
            [Removed(item(3, 0)), Added(item(4, 0)), Added(item(5, 0))]
        );
    }

    #[test]
    fn what_a_removal_brings_onto_the_page_is_added() {
        assert_eq!(
            of(&[1, 2, 3, 4], 3).changes(&of(&[1, 2, 4], 3)),
            [Removed(item(3, 0)), Added(item(1, 0))]
        );
    }

    #[test]
    fn more_than_a_page_at_once_is_a_new_page() {
        assert_eq!(of(&[1, 2], 2).changes(&of(&[1, 2, 3, 4, 5], 2)), [Page]);
        assert_eq!(
            of(&[1, 2], 2).changes(&of(&[], 2)),
            [Removed(item(1, 0)), Removed(item(2, 0))]
        );
        assert_eq!(of(&[], 2).changes(&of(&[1], 2)), [Added(item(1, 0))]);
    }

    #[test]
    fn items_that_have_a_name_alone_are_told_apart_by_it() {
        let items = vec![
            json!({"id": "rol_1", "name": "own"}),
            json!({"name": "auditor"}),
            json!({"name": "read-only"}),
        ];
        let page = Window {
            items,
            next_page_token: None,
        };
        assert_eq!(page.changes(&page), []);
    }

    #[test]
    fn an_item_without_an_id_is_known_by_its_slug() {
        let one = |value: u32| Window {
            items: vec![json!({"slug": "eu", "value": value})],
            next_page_token: None,
        };
        assert_eq!(one(1).changes(&one(2)), [Changed(json!({"slug": "eu", "value": 2}))]);
    }

    proptest! {
        /// Whoever applies the changes holds, of the page as it is, everything, and nothing that is gone.
        #[test]
        fn the_changes_lead_to_the_page(
            before in proptest::collection::btree_map(0_u32..24, 0_u32..2, 0..14),
            after in proptest::collection::btree_map(0_u32..24, 0_u32..2, 0..14),
            limit in 1_usize..8,
        ) {
            let (from, to) = (window(&before, limit), window(&after, limit));
            let mut held: BTreeMap<String, Value> = BTreeMap::new();
            let key = |item: &Value| id(item).unwrap().to_owned();
            held.extend(from.items.iter().map(|item| (key(item), item.clone())));
            for change in from.changes(&to) {
                match change {
                    Page => held = to.items.iter().map(|item| (key(item), item.clone())).collect(),
                    Added(item) | Changed(item) => { held.insert(key(&item), item); }
                    Removed(item) => { prop_assert!(held.remove(&key(&item)).is_some()); }
                }
            }
            for item in &to.items {
                prop_assert_eq!(held.get(&key(item)), Some(item));
            }
            // what is held beside the page was pushed off it: it is older than all of the page, which is full
            for other in held.values().filter(|held| to.find(held).is_none()) {
                let number = |item: &Value| key(item).parse::<u32>().unwrap();
                prop_assert!(to.next_page_token.is_some());
                prop_assert!(number(other) < to.items.iter().map(number).min().unwrap());
            }
        }
    }
}
