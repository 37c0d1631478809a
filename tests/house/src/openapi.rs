//! Rules about the API as the servers describe it.
use crate::Violation;
use serde_json::Value;
use std::collections::BTreeSet;

/// The committed descriptions of the servers' APIs.
pub const DOCUMENTS: [&str; 2] = ["global/controller/openapi.json", "regional/gateway/openapi.json"];

/// Routes that answer 201 and do not say what a repeat is answered, and lists that do not stream.
pub fn conventions(path: &str, document: &Value) -> Vec<Violation> {
    let items = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let mut found = Vec::new();
    for (route, item) in items {
        if let Some(post) = item.get("post")
            && post.pointer("/responses/201").is_some() != post.get("x-exarch-repeat").is_some()
        {
            found.push(format!(
                "{path}: POST {route} answers 201 and is not entered by `creates`, or the reverse"
            ));
        }
        let parameters = item.pointer("/get/parameters").and_then(Value::as_array);
        let is_list = parameters.is_some_and(|all| all.iter().any(|parameter| parameter["name"] == "page_token"));
        let streams = item.pointer("/get/responses/200/content/text~1event-stream").is_some();
        if is_list != streams {
            found.push(format!(
                "{path}: GET {route} has pages and is not entered by `lists`, or the reverse"
            ));
        }
    }
    found
}

/// Which permissions the operations of a document need, and the operations that do not say who may call them.
pub fn needs<'a>(path: &str, document: &'a Value, table: &BTreeSet<&str>) -> (BTreeSet<&'a str>, Vec<Violation>) {
    const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let (mut needed, mut found) = (BTreeSet::new(), Vec::new());
    let items = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let operations: Vec<(String, &Value)> = items
        .filter_map(|(route, item)| Some((route, item.as_object()?)))
        .flat_map(|(route, item)| {
            let methods = item.iter().filter(|(method, _)| METHODS.contains(&method.as_str()));
            methods.map(move |(method, operation)| (format!("{path}: {} {route}", method.to_uppercase()), operation))
        })
        .collect();
    if operations.is_empty() {
        found.push(format!("{path}: describes no operation"));
    }
    for (operation, value) in operations {
        let text = |key| value.get(key).and_then(Value::as_str);
        match (text("x-exarch-kind"), text("x-exarch-permission")) {
            (Some("needs"), Some(permission)) if table.contains(permission) => {
                needed.insert(permission);
            }
            (Some("needs"), Some(permission)) => {
                found.push(format!("{operation}: needs {permission}, which is not in the table"));
            }
            (Some("needs"), None) => found.push(format!("{operation}: needs a permission and names none")),
            (Some("public" | "self" | "agent" | "peer"), None) => {}
            (kind, permission) => {
                found.push(format!(
                    "{operation}: kind {kind:?} with permission {permission:?} is none"
                ));
            }
        }
    }
    (needed, found)
}

/// References of a document that lead nowhere: no client can be generated from it.
pub fn dangling(path: &str, document: &Value) -> Vec<Violation> {
    fn walk<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| walk(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(document, &mut found);
    let resolves = |reference: &str| {
        let pointer = reference.strip_prefix('#');
        pointer.is_some_and(|pointer| document.pointer(pointer).is_some())
    };
    found
        .into_iter()
        .filter(|reference| !resolves(reference))
        .map(|reference| format!("{path}: refers to {reference}, which is not in it"))
        .collect()
}

/// Names of the table that no route needs.
pub fn without_a_route(needed: &BTreeSet<&str>, table: &BTreeSet<&str>) -> Vec<Violation> {
    table
        .difference(needed)
        .map(|name| format!("{name} is in the table of permissions and no route needs it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(operation: &Value) -> (BTreeSet<String>, usize) {
        let document = json!({"paths": {"/v1/leases": {"get": operation, "parameters": []}}});
        let table = BTreeSet::from(["lease.list"]);
        let (needed, found) = needs("openapi.json", &document, &table);
        (needed.into_iter().map(str::to_owned).collect(), found.len())
    }

    #[test]
    fn an_operation_that_does_not_say_who_may_call_it_is_caught() {
        for planted in [
            json!({}),
            json!({"x-exarch-kind": "everyone"}),
            json!({"x-exarch-kind": "needs"}),
            json!({"x-exarch-kind": "needs", "x-exarch-permission": "lease.frobnicate"}),
            json!({"x-exarch-kind": "public", "x-exarch-permission": "lease.list"}),
            json!({"x-exarch-permission": "lease.list"}),
        ] {
            assert_eq!(check(&planted), (BTreeSet::new(), 1), "{planted}");
        }
        for kind in ["public", "self", "agent", "peer"] {
            assert_eq!(check(&json!({"x-exarch-kind": kind})), (BTreeSet::new(), 0));
        }
        let needs = json!({"x-exarch-kind": "needs", "x-exarch-permission": "lease.list"});
        assert_eq!(check(&needs), (BTreeSet::from(["lease.list".to_owned()]), 0));
    }

    #[test]
    fn a_document_without_operations_is_caught() {
        assert_eq!(needs("openapi.json", &json!({}), &BTreeSet::new()).1.len(), 1);
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_caught() {
        let document = |name: &str| {
            json!({"paths": {"/v1/leases": {"get": {"parameters": [{"schema": {"$ref": format!("#/components/schemas/{name}")}}]}}},
                   "components": {"schemas": {"Lease": {}}}})
        };
        assert_eq!(dangling("openapi.json", &document("Lease")).len(), 0);
        assert_eq!(dangling("openapi.json", &document("Host")).len(), 1);
        assert_eq!(dangling("openapi.json", &json!({"$ref": "other.json#/Lease"})).len(), 1);
    }

    #[test]
    fn a_creating_route_without_repeats_and_a_list_without_a_stream_are_caught() {
        let check = |method: &str, operation: Value| {
            let document = json!({"paths": {"/v1/leases": {method: operation}}});
            conventions("openapi.json", &document).len()
        };
        let pages = json!([{"name": "page_token"}]);
        let streams = json!({"200": {"content": {"text/event-stream": {}}}});
        assert_eq!(check("post", json!({"responses": {"201": {}}})), 1);
        assert_eq!(check("post", json!({"x-exarch-repeat": "same-answer"})), 1);
        assert_eq!(check("get", json!({"parameters": pages})), 1);
        assert_eq!(check("get", json!({"responses": streams})), 1);
        assert_eq!(check("get", json!({"parameters": pages, "responses": streams})), 0);
        let creates = json!({"responses": {"201": {}}, "x-exarch-repeat": "same-answer"});
        assert_eq!(check("post", creates), 0);
        assert_eq!(check("post", json!({"responses": {"200": {}}})), 0);
    }

    #[test]
    fn a_permission_without_a_route_is_caught() {
        let table = BTreeSet::from(["lease.list", "lease.revoke"]);
        assert_eq!(without_a_route(&BTreeSet::from(["lease.list"]), &table).len(), 1);
        assert_eq!(without_a_route(&table, &table).len(), 0);
    }
}
