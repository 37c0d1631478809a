//! One document, checked against the table of kinds before anything is sent: what is unknown, missing or of the wrong form is a
//! fault with its place. What the values mean is the server's to judge.
use super::{
    Fault,
    kinds::{Field, KINDS, Kind, Place, Role, Shape},
    read::{Node, Source, Tree},
};
use crate::{args::Flags, context::tenant_key, times};
use exarch_common_base::Slug;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A document that can be applied.
#[derive(Debug)]
pub struct Document {
    /// What it describes.
    pub kind: &'static Kind,
    /// Where it was found.
    pub source: Source,
    /// The tenant that is meant, if it is said.
    pub tenant: Option<String>,
    /// The region that is meant, if it is said.
    pub region: Option<Slug>,
    /// What it says.
    pub spec: Map<String, Value>,
    /// In which lines its members are.
    lines: BTreeMap<String, u64>,
}

impl Document {
    /// The text of a member; empty where it is left out.
    pub fn text(&self, member: &str) -> &str {
        self.spec.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        match self.kind.word {
            "Tenant" => self.text("slug"),
            "Entitlement" => self.tenant.as_deref().unwrap_or_default(),
            "Membership" => self.text("user"),
            _ => self.text("name"),
        }
    }

    /// The region it is in or about.
    pub fn region(&self) -> Option<&str> {
        match self.kind.place {
            Place::Tenant => Some(self.text("region")),
            _ => self.region.as_ref().map(Slug::as_str),
        }
    }

    /// In a sentence, with its place.
    pub fn told(&self) -> String {
        let Source { file, number, .. } = &self.source;
        format!("{} {:?} ({file}, document {number})", self.kind.word, self.name())
    }

    /// A fault at a member of its `spec`.
    pub fn fault(&self, member: &str, reason: String) -> Fault {
        Fault {
            source: self.source.clone(),
            line: self.lines.get(member).copied().unwrap_or(1),
            reason: format!("/spec/{member} {reason}"),
        }
    }

    /// By which two documents describe the same thing.
    pub fn key(&self) -> (&'static str, String) {
        let keys = self.kind.fields.iter().filter(|field| field.role == Role::Key);
        let values: Vec<_> = keys.map(|field| self.text(field.name)).collect();
        let tenant = self.tenant.as_deref().filter(|_| self.kind.place == Place::Tenant);
        (self.kind.word, json!([tenant, self.region, values]).to_string())
    }
}

/// Reads documents strictly; those with faults are left out.
pub fn check(read: Vec<(Source, Node)>, flags: &Flags, faults: &mut Vec<Fault>) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    for (source, node) in read {
        let line = node.line;
        let mut checker = Checker {
            source,
            faults: Vec::new(),
        };
        let document = checker.document(node, flags);
        if checker.faults.is_empty()
            && let Some(document) = document
        {
            match documents.iter().find(|before| before.key() == document.key()) {
                Some(before) => {
                    let reason = format!("this describes {} once more", before.told());
                    checker.fault(line, reason);
                }
                None => documents.push(document),
            }
        }
        faults.append(&mut checker.faults);
    }
    documents
}

struct Checker {
    source: Source,
    faults: Vec<Fault>,
}

type Members = Vec<(String, u64, Node)>;

impl Checker {
    fn fault(&mut self, line: u64, reason: String) {
        let source = self.source.clone();
        self.faults.push(Fault { source, line, reason });
    }

    fn wrong(&mut self, line: u64, at: &str, wanted: &str, got: &Tree) -> Option<Value> {
        self.fault(line, format!("{at}: expected {wanted}, not {}", got.word()));
        None
    }

    fn members(&mut self, at: &str, node: Node) -> Option<Members> {
        match node.value {
            Tree::Object(members) => Some(members),
            other => {
                let at = if at.is_empty() { "the document" } else { at };
                self.wrong(node.line, at, "an object", &other);
                None
            }
        }
    }

    fn document(&mut self, node: Node, flags: &Flags) -> Option<Document> {
        let line = node.line;
        let members = self.members("", node)?;
        let Some((_, _, named)) = members.iter().find(|(name, ..)| name == "kind") else {
            self.fault(line, format!("/kind is missing: one of {}", words()));
            return None;
        };
        let found = KINDS
            .iter()
            .find(|kind| matches!(&named.value, Tree::Text(word) if word == kind.word));
        let Some(kind) = found else {
            let given = match &named.value {
                Tree::Text(word) => format!("{word:?}"),
                other => other.word().to_owned(),
            };
            self.fault(named.line, format!("/kind: expected one of {}, not {given}", words()));
            return None;
        };
        let (mut tenant, mut region, mut spec, mut lines) = (None, None, None, BTreeMap::new());
        for (name, line, node) in members {
            match name.as_str() {
                "kind" => {}
                "spec" => {
                    let members = self.members("/spec", node)?;
                    lines = members.iter().map(|(name, line, _)| (name.clone(), *line)).collect();
                    spec = self.object("/spec", line, members, kind.fields, kind.word);
                }
                "tenant" if kind.place != Place::Federation => tenant = self.text("/tenant", node),
                "region" if kind.place == Place::Region => region = self.text("/region", node),
                "tenant" | "region" => self.fault(line, format!("/{name}: a {} is in no {name}", kind.word)),
                other => {
                    let known = match kind.place {
                        Place::Federation => "kind, spec",
                        Place::Tenant | Place::InForce => "kind, tenant, spec",
                        Place::Region => "kind, tenant, region, spec",
                    };
                    self.fault(
                        line,
                        format!("/{other} is unknown: a document of a {} has {known}", kind.word),
                    );
                }
            }
        }
        if spec.is_none() && lines.is_empty() {
            self.fault(line, "/spec is missing".to_owned());
        }
        let tenant = self.tenant(line, kind, tenant, flags);
        let region = self.region(line, kind, region, flags);
        Some(Document {
            kind,
            source: self.source.clone(),
            tenant,
            region,
            spec: spec?,
            lines,
        })
    }

    /// The tenant that the document and the flag say; never two.
    fn tenant(&mut self, line: u64, kind: &Kind, said: Option<String>, flags: &Flags) -> Option<String> {
        if kind.place == Place::Federation {
            return None;
        }
        if let Some((said, flag)) = said.as_ref().zip(flags.tenant.as_ref())
            && said != flag
        {
            self.fault(line, format!("/tenant is {said:?}, and --tenant says {flag:?}"));
        }
        let tenant = said.or_else(|| flags.tenant.clone());
        match &tenant {
            Some(tenant) if tenant_key(tenant).is_err() => {
                self.fault(
                    line,
                    format!("/tenant: {tenant:?} is neither the slug nor the id of a tenant"),
                );
            }
            // Whose rights change is said, never guessed from the tenant that happens to be in force.
            None if kind.place == Place::Tenant => {
                self.fault(line, "/tenant is missing: say whose, or give --tenant".into())
            }
            _ => {}
        }
        tenant
    }

    /// The same of the region, for what is in one.
    fn region(&mut self, line: u64, kind: &Kind, said: Option<String>, flags: &Flags) -> Option<Slug> {
        if kind.place != Place::Region {
            return None;
        }
        let said = match said?.parse::<Slug>() {
            Ok(slug) => slug,
            Err(e) => {
                self.fault(line, format!("/region: {e}"));
                return None;
            }
        };
        if let Some(flag) = flags.region.as_ref().filter(|flag| **flag != said) {
            self.fault(
                line,
                format!("/region is {:?}, and --region says {:?}", said.as_str(), flag.as_str()),
            );
        }
        Some(said)
    }

    fn object(
        &mut self,
        at: &str,
        line: u64,
        members: Members,
        fields: &[Field],
        of: &str,
    ) -> Option<Map<String, Value>> {
        let mut object = Map::new();
        let mut seen = BTreeSet::new();
        let before = self.faults.len();
        for (name, line, node) in members {
            let Some(field) = fields.iter().find(|field| field.name == name) else {
                let known: Vec<_> = fields.iter().map(|field| field.name).collect();
                self.fault(line, format!("{at}/{name} is unknown: {of} has {}", known.join(", ")));
                continue;
            };
            seen.insert(field.name);
            if let Some(value) = self.value(&format!("{at}/{name}"), node, field) {
                object.insert(name, value);
            }
        }
        for field in fields
            .iter()
            .filter(|field| field.required && !seen.contains(field.name))
        {
            self.fault(line, format!("{at}/{} is missing", field.name));
        }
        (self.faults.len() == before).then_some(object)
    }

    fn value(&mut self, at: &str, node: Node, field: &Field) -> Option<Value> {
        let Node { line, value } = node;
        if field.nullable && matches!(value, Tree::Null) {
            return Some(Value::Null);
        }
        match (field.shape, value) {
            (Shape::Count, Tree::Number(n)) if n.is_u64() => Some(Value::Number(n)),
            (Shape::Count, other) => self.wrong(line, at, "a number from 0", &other),
            (Shape::List | Shape::Set | Shape::Regions, Tree::List(items)) => {
                let texts = items.into_iter().enumerate();
                let texts: Vec<_> = texts.map(|(i, item)| self.text(&format!("{at}/{i}"), item)).collect();
                Some(json!(texts.into_iter().collect::<Option<Vec<_>>>()?))
            }
            (Shape::List | Shape::Set | Shape::Regions, other) => self.wrong(line, at, "a list", &other),
            (Shape::Part(fields) | Shape::Whole(fields), Tree::Object(members)) => {
                self.object(at, line, members, fields, at).map(Value::Object)
            }
            (Shape::Part(_) | Shape::Whole(_), other) => self.wrong(line, at, "an object", &other),
            (shape, value) => {
                let text = self.text(at, Node { line, value })?;
                let refused = match shape {
                    Shape::Slug => text.parse::<Slug>().err().map(|e| e.to_string()),
                    Shape::Time => times::instant(&text).err(),
                    Shape::Word(words) if !words.contains(&text.as_str()) => {
                        Some(format!("expected {}", words.join(" or ")))
                    }
                    _ => None,
                };
                match refused {
                    Some(reason) => {
                        self.fault(line, format!("{at}: {reason}, not {text:?}"));
                        None
                    }
                    None => Some(Value::String(text)),
                }
            }
        }
    }

    fn text(&mut self, at: &str, node: Node) -> Option<String> {
        match node.value {
            Tree::Text(text) if text.contains('\0') => {
                self.fault(node.line, format!("{at}: text has no NUL"));
                None
            }
            Tree::Text(text) => Some(text),
            other => {
                // `name: 7` is a number to YAML.
                let wanted = if matches!(other, Tree::Number(_) | Tree::Bool) {
                    "text in quotes"
                } else {
                    "text"
                };
                self.wrong(node.line, at, wanted, &other);
                None
            }
        }
    }
}

fn words() -> String {
    KINDS.iter().map(|kind| kind.word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cli, apply::read};
    use clap::Parser;
    use std::fs;

    fn checked(text: &str, line: &str) -> (Vec<Document>, Vec<String>) {
        let flags = Cli::parse_from(format!("exarch {line} version").split_whitespace()).flags;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, text).unwrap();
        let mut faults = Vec::new();
        let read = read::all(&[file], &mut faults).unwrap();
        let documents = check(read, &flags, &mut faults);
        let place = format!("{}/", directory.path().display());
        (
            documents,
            faults
                .iter()
                .map(|fault| fault.to_string().replace(&place, ""))
                .collect(),
        )
    }

    #[test]
    fn every_fault_of_all_documents_is_told_with_its_place() {
        let text = "\
kind: Cluster
spec: {name: north}
---
kind: Resource
region: eu-north
colour: red
spec:
  cluster: north
  name: 7
  kind: disk
  ttl: 30s
---
kind: Hostt
spec: {}
---
spec: {}
---
kind: Workload
spec:
  name: Ledger
  cluster: north
  resource: ledger
  driver: {kind: process, argv: [a, 1], volume: \"/a\\0b\"}
---
kind: Entitlement
spec: {region: eu-north, until: tomorrow, limits: {clusters: -1, hosts: null, racks: 2}}
---
[]
---
kind: Tenant
region: eu-north
spec:
---
kind: Cluster
";
        let expected = "\
a.yaml, document 2, line 6: /colour is unknown: a document of a Resource has kind, tenant, region, spec
a.yaml, document 2, line 9: /spec/name: expected text in quotes, not a number
a.yaml, document 2, line 10: /spec/kind: expected volume, not \"disk\"
a.yaml, document 2, line 11: /spec/ttl is unknown: Resource has cluster, name, kind, ttl_ms
a.yaml, document 3, line 13: /kind: expected one of Tenant, Entitlement, Membership, Cluster, Host, Resource, Workload, not \"Hostt\"
a.yaml, document 4, line 16: /kind is missing: one of Tenant, Entitlement, Membership, Cluster, Host, Resource, Workload
a.yaml, document 5, line 20: /spec/name: expected 1 to 63 lower-case letters, digits or hyphens, not starting or ending with a hyphen, not \"Ledger\"
a.yaml, document 5, line 23: /spec/driver/argv/1: expected text in quotes, not a number
a.yaml, document 5, line 23: /spec/driver/volume: text has no NUL
a.yaml, document 6, line 26: /spec/until: expected a time such as 2026-12-31T18:00:00Z, not \"tomorrow\"
a.yaml, document 6, line 26: /spec/limits/clusters: expected a number from 0, not a number
a.yaml, document 6, line 26: /spec/limits/racks is unknown: /spec/limits has clusters, hosts, leases
a.yaml, document 6, line 25: /tenant is missing: say whose, or give --tenant
a.yaml, document 7, line 28: the document: expected an object, not a list
a.yaml, document 8, line 31: /region: a Tenant is in no region
a.yaml, document 8, line 32: /spec: expected an object, not nothing
a.yaml, document 9, line 34: /spec is missing";
        let (documents, faults) = checked(text, "");
        assert_eq!(faults, expected.lines().collect::<Vec<_>>(), "{faults:#?}");
        assert_eq!(documents.len(), 1);
    }

    #[test]
    fn what_is_described_twice_is_refused_and_a_name_in_another_place_is_another_thing() {
        let host = |cluster: &str| format!("---\nkind: Host\nspec: {{name: edge-1, cluster: {cluster}}}\n");
        let (documents, faults) = checked(&format!("{}{}{}", host("a"), host("b"), host("a")), "");
        assert_eq!(documents.len(), 2);
        assert_eq!(
            faults,
            ["a.yaml, document 3, line 8: this describes Host \"edge-1\" (a.yaml, document 1) once more"]
        );
    }

    #[test]
    fn a_flag_fills_in_what_documents_leave_out_and_never_overrules_them() {
        let text = "kind: Entitlement\nspec: {region: eu-north}\n---\nkind: Host\ntenant: acme\nregion: eu-north\nspec: {name: a, cluster: b}\n";
        let (documents, faults) = checked(text, "--tenant acme --region eu-north");
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(documents[0].tenant.as_deref(), Some("acme"));
        assert_eq!((documents[0].name(), documents[0].region()), ("acme", Some("eu-north")));
        let (_, faults) = checked(text, "--tenant globex --region us-east");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults[0].contains("--tenant says \"globex\"") && faults[1].contains("--region says \"us-east\""),
            "{faults:?}"
        );
    }
}
