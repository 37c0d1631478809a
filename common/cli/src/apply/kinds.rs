//! What a document can be: a table of kinds and of what belongs into the `spec` of each. A `spec` has the form in which the
//! API takes the thing when it is made, with names where the API wants ids.

/// Where a kind of thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the federation itself.
    Federation,
    /// At the global, in a tenant that is said.
    Tenant,
    /// At the global, in the tenant in force.
    InForce,
    /// In a region, in the tenant in force.
    Region,
}

/// What a member is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It says which one is meant.
    Key,
    /// It can be changed.
    Changes,
    /// It is given at the beginning and stays.
    Fixed,
    /// It is read when the thing is made, and never again.
    Once,
}

/// What a member holds.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A name in addresses and commands.
    Slug,
    /// Whatever can be read.
    Text,
    /// A time.
    Time,
    /// A number from 0.
    Count,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text after text, in its order.
    List,
    /// Text beside text, in any order.
    Set,
    /// The name or id of a cluster.
    Cluster,
    /// The name or id of a resource in the same cluster.
    Resource,
    /// The address or id of a person.
    Person,
    /// Slugs or ids of regions.
    Regions,
    /// Members of its own; what is left out stays as it is.
    Part(&'static [Field]),
    /// Members of its own, which are changed as a whole.
    Whole(&'static [Field]),
}

/// A member of a `spec`.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// What it is for.
    pub role: Role,
    /// Whether it must be there.
    pub required: bool,
    /// Whether `null` means something: none, open, without a limit.
    pub nullable: bool,
}

/// A kind of document.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub word: &'static str,
    /// Where it is.
    pub place: Place,
    /// What is in its `spec`.
    pub fields: &'static [Field],
}

const fn required(name: &'static str, shape: Shape, role: Role) -> Field {
    Field {
        name,
        shape,
        role,
        required: true,
        nullable: false,
    }
}

const fn optional(name: &'static str, shape: Shape, role: Role) -> Field {
    Field {
        name,
        shape,
        role,
        required: false,
        nullable: false,
    }
}

const fn nullable(name: &'static str, shape: Shape, role: Role) -> Field {
    Field {
        name,
        shape,
        role,
        required: false,
        nullable: true,
    }
}

const ADMIN: &[Field] = &[
    required("email", Shape::Text, Role::Once),
    required("display_name", Shape::Text, Role::Once),
];

const LIMITS: &[Field] = &[
    nullable("clusters", Shape::Count, Role::Changes),
    nullable("hosts", Shape::Count, Role::Changes),
    nullable("leases", Shape::Count, Role::Changes),
];

const DRIVER: &[Field] = &[
    required("kind", Shape::Word(&["process"]), Role::Changes),
    required("argv", Shape::List, Role::Changes),
    required("volume", Shape::Text, Role::Changes),
];

/// All kinds, each behind those that it rests on.
pub const KINDS: &[Kind] = &[
    Kind {
        word: "Tenant",
        place: Place::Federation,
        fields: &[
            required("slug", Shape::Slug, Role::Key),
            required("name", Shape::Text, Role::Changes),
            optional("admin", Shape::Whole(ADMIN), Role::Once),
        ],
    },
    Kind {
        word: "Entitlement",
        place: Place::Tenant,
        fields: &[
            required("region", Shape::Slug, Role::Key),
            optional("from", Shape::Time, Role::Fixed),
            nullable("until", Shape::Time, Role::Changes),
            optional("limits", Shape::Part(LIMITS), Role::Changes),
        ],
    },
    Kind {
        word: "Membership",
        place: Place::InForce,
        fields: &[
            required("user", Shape::Person, Role::Key),
            required("roles", Shape::Set, Role::Changes),
            nullable("regions", Shape::Regions, Role::Changes),
            nullable("until", Shape::Time, Role::Changes),
        ],
    },
    Kind {
        word: "Cluster",
        place: Place::Region,
        fields: &[required("name", Shape::Slug, Role::Key)],
    },
    Kind {
        word: "Host",
        place: Place::Region,
        fields: &[
            required("cluster", Shape::Cluster, Role::Key),
            required("name", Shape::Slug, Role::Key),
        ],
    },
    Kind {
        word: "Resource",
        place: Place::Region,
        fields: &[
            required("cluster", Shape::Cluster, Role::Key),
            required("name", Shape::Slug, Role::Key),
            required("kind", Shape::Word(&["volume"]), Role::Fixed),
            optional("ttl_ms", Shape::Count, Role::Changes),
        ],
    },
    Kind {
        word: "Workload",
        place: Place::Region,
        fields: &[
            required("cluster", Shape::Cluster, Role::Key),
            required("name", Shape::Slug, Role::Key),
            required("resource", Shape::Resource, Role::Fixed),
            required("driver", Shape::Whole(DRIVER), Role::Changes),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::{collections::BTreeSet, fs};

    /// What the API takes under another name than people give.
    fn in_the_api(field: &Field) -> Vec<String> {
        match field.shape {
            Shape::Cluster => vec!["cluster_id".into()],
            Shape::Resource => vec!["resource_id".into()],
            Shape::Person => vec!["email".into(), "user_id".into()],
            _ => vec![field.name.into()],
        }
    }

    #[test]
    fn a_spec_has_what_the_documents_of_the_api_say() {
        let read = |path: &str| -> Value {
            let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        };
        let (global, region) = (
            read("global/controller/openapi.json"),
            read("regional/gateway/openapi.json"),
        );
        for kind in KINDS {
            let (document, made, changed) = match kind.word {
                "Entitlement" | "Membership" => {
                    (&global, format!("Grant{}", kind.word), format!("{}Change", kind.word))
                }
                "Tenant" => (&global, "NewTenant".into(), "TenantChange".into()),
                word => (&region, format!("New{word}"), format!("{word}Change")),
            };
            let members = |schema: &str| -> BTreeSet<String> {
                let schema = &document["components"]["schemas"][schema]["properties"];
                schema
                    .as_object()
                    .unwrap_or_else(|| panic!("{}: {schema}", kind.word))
                    .keys()
                    .cloned()
                    .collect()
            };
            let ours: BTreeSet<_> = kind.fields.iter().flat_map(in_the_api).collect();
            assert_eq!(ours, members(&made), "{}", kind.word);
            let changes = kind.fields.iter().filter(|field| field.role == Role::Changes);
            let changes: BTreeSet<_> = changes.flat_map(in_the_api).collect();
            let mut theirs = members(&changed);
            // A name is what a document finds a thing by.
            if kind.word != "Tenant" {
                theirs.remove("name");
            }
            assert_eq!(changes, theirs, "{}", kind.word);
        }
    }
}
