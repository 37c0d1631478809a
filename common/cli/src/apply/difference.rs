//! What a document says against what is there. Pure.
use super::kinds::{Field, Role, Shape};
use crate::times;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// One member that is not as the document says.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The member of the `spec`.
    pub member: &'static str,
    /// Its whole name, with those around it.
    pub field: String,
    /// What is there.
    pub from: Value,
    /// What the document says.
    pub to: Value,
    /// Whether the API cannot change it.
    pub fixed: bool,
}

impl Change {
    /// For programs.
    pub fn value(&self) -> Value {
        json!({ "field": self.field, "from": self.from, "to": self.to })
    }
}

/// The members of `said` that differ from those of `shown`, both as the API has them. What the document leaves out stays.
pub fn between(fields: &'static [Field], said: &Map<String, Value>, shown: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    for field in fields
        .iter()
        .filter(|field| matches!(field.role, Role::Changes | Role::Fixed))
    {
        let name = in_the_api(field);
        let Some(said) = said.get(name) else { continue };
        let shown = &shown[name];
        compare(field, field.name, field.name.to_owned(), said, shown, &mut changes);
    }
    changes
}

/// What the API calls a member.
pub fn in_the_api(field: &Field) -> &'static str {
    match field.shape {
        Shape::Cluster => "cluster_id",
        Shape::Resource => "resource_id",
        _ => field.name,
    }
}

fn compare(field: &Field, member: &'static str, path: String, said: &Value, shown: &Value, changes: &mut Vec<Change>) {
    if let (Shape::Part(fields) | Shape::Whole(fields), Value::Object(members)) = (field.shape, said) {
        for inner in fields {
            if let Some(said) = members.get(inner.name) {
                compare(
                    inner,
                    member,
                    format!("{path}.{}", inner.name),
                    said,
                    &shown[inner.name],
                    changes,
                );
            }
        }
        return;
    }
    if !same(field.shape, said, shown) {
        changes.push(Change {
            member,
            field: path,
            from: shown.clone(),
            to: said.clone(),
            fixed: field.role == Role::Fixed,
        });
    }
}

fn same(shape: Shape, said: &Value, shown: &Value) -> bool {
    let time = |value: &Value| value.as_str().and_then(times::parse);
    fn set(value: &Value) -> Option<BTreeSet<&str>> {
        value.as_array()?.iter().map(Value::as_str).collect()
    }
    let alike = match shape {
        Shape::Time => time(said).zip(time(shown)).is_some_and(|(said, shown)| said == shown),
        Shape::Set | Shape::Regions => set(said).zip(set(shown)).is_some_and(|(said, shown)| said == shown),
        _ => false,
    };
    alike || said == shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::kinds::KINDS;

    fn fields(word: &str) -> &'static [Field] {
        KINDS.iter().find(|kind| kind.word == word).unwrap().fields
    }

    fn told(word: &str, said: Value, shown: Value) -> Vec<(String, bool)> {
        let changes = between(fields(word), said.as_object().unwrap(), &shown);
        changes.into_iter().map(|change| (change.field, change.fixed)).collect()
    }

    #[test]
    fn what_is_left_out_stays_and_null_is_what_is_not_there() {
        let shown = json!({ "limits": { "clusters": 3 }, "from": "2026-01-01T00:00:00Z" });
        assert_eq!(
            told(
                "Entitlement",
                json!({ "region": "x", "until": null, "limits": { "hosts": null } }),
                shown.clone()
            ),
            []
        );
        let said = json!({ "until": "2027-01-01T00:00:00Z", "limits": { "clusters": null, "hosts": 1 } });
        let fields: Vec<_> = told("Entitlement", said, shown)
            .into_iter()
            .map(|(field, _)| field)
            .collect();
        assert_eq!(fields, ["until", "limits.clusters", "limits.hosts"]);
    }

    #[test]
    fn the_same_time_and_the_same_roles_are_no_change_in_another_writing() {
        let shown =
            json!({ "roles": ["auditor", "tenant-admin"], "until": "2027-01-01T00:00:00Z", "regions": ["b", "a"] });
        let same = json!({ "roles": ["tenant-admin", "auditor"], "until": "2027-01-01T01:00:00+01:00", "regions": ["a", "b"] });
        assert_eq!(told("Membership", same, shown.clone()), []);
        let less = json!({ "roles": ["auditor"], "regions": null });
        assert_eq!(told("Membership", less, shown).len(), 2);
    }

    #[test]
    fn the_order_of_arguments_counts_and_what_stays_for_good_is_known() {
        let driver = |argv: &[&str]| json!({ "kind": "process", "argv": argv, "volume": "/v" });
        let shown = json!({ "driver": driver(&["a", "b"]), "resource_id": "res_1", "name": "x" });
        assert_eq!(
            told(
                "Workload",
                json!({ "driver": driver(&["a", "b"]), "resource_id": "res_1" }),
                shown.clone()
            ),
            []
        );
        assert_eq!(
            told(
                "Workload",
                json!({ "driver": driver(&["b", "a"]), "resource_id": "res_2" }),
                shown
            ),
            [("resource".to_owned(), true), ("driver.argv".to_owned(), false)]
        );
    }
}
