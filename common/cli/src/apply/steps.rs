//! From documents to what is done: which things are there already, what is different, and doing it.
use super::{
    Fault,
    difference::{self, Change},
    document::Document,
    kinds::{Place, Shape},
};
use crate::{
    Failure,
    api::{Api, Seen},
    cluster,
    context::Context,
    failure::Exit,
    host, membership, names, resource,
    user::USER,
    workload,
};
use exarch_common_base::Slug;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How far a document has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is not there.
    Create,
    /// It is different.
    Change,
    /// It is as the document says.
    Unchanged,
    /// It was made.
    Created,
    /// It was changed.
    Changed,
    /// It was refused.
    Failed,
    /// An earlier one failed.
    Skipped,
}

impl Outcome {
    /// In a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Unchanged => "unchanged",
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A document and what becomes of it.
#[derive(Debug)]
pub struct Step {
    /// The document.
    pub document: Document,
    /// How far it has got.
    pub outcome: Outcome,
    /// What was or is to be changed.
    pub changes: Vec<Change>,
    /// The thing's id, where there is one.
    pub id: Option<String>,
    /// What the server answered when it was made.
    pub made: Option<Value>,
    seen: Option<Seen>,
}

/// What is known of the servers while documents are applied.
#[derive(Debug)]
pub struct World<'a> {
    cx: &'a Context,
    global: Option<Api>,
    regions: BTreeMap<Slug, Api>,
    /// Lists by region and path, read once; what is made is put into them.
    lists: BTreeMap<(Option<Slug>, String), Vec<Value>>,
    /// What earlier documents are going to make.
    coming: BTreeSet<(&'static str, String)>,
}

impl<'a> World<'a> {
    /// Of which nothing is known yet.
    pub fn new(cx: &'a Context) -> Self {
        Self {
            cx,
            global: None,
            regions: BTreeMap::new(),
            lists: BTreeMap::new(),
            coming: BTreeSet::new(),
        }
    }

    /// Finds out what is to be done for a document, and does nothing.
    ///
    /// # Errors
    /// What stood in the way of looking. What cannot be changed is a fault instead.
    pub async fn plan(&mut self, mut document: Document, faults: &mut Vec<Fault>) -> Result<Step, Failure> {
        if document.kind.place == Place::Region && document.region.is_none() {
            document.region = Some(self.cx.region_slug().await?);
        }
        let mut step = Step {
            document,
            outcome: Outcome::Create,
            changes: Vec::new(),
            id: None,
            made: None,
            seen: None,
        };
        match self.there(&step.document).await? {
            Some(there) => self.compare(&mut step, there, faults).await?,
            None => {
                if !self.waits(&step.document) {
                    // What it names must be there, before anything is sent.
                    self.body(&step.document).await?;
                }
                self.coming.insert(step.document.key());
            }
        }
        Ok(step)
    }

    async fn compare(&mut self, step: &mut Step, there: Value, faults: &mut Vec<Fault>) -> Result<(), Failure> {
        let document = &step.document;
        step.outcome = Outcome::Unchanged;
        step.id = there.get("id").and_then(Value::as_str).map(str::to_owned);
        let said = self.body(document).await?;
        if difference::between(document.kind.fields, &said, &there).is_empty() {
            return Ok(());
        }
        let api = self.api(document).await?;
        let seen = api.look(&self.path(document, step.id.as_deref())?).await?;
        step.changes = difference::between(document.kind.fields, &said, &seen.value);
        for change in step.changes.iter().filter(|change| change.fixed) {
            let Change { member, from, to, .. } = change;
            let reason = format!(
                "of the {} {:?} is {from} and cannot be changed to {to}: delete it and create it anew",
                document.kind.word,
                document.name()
            );
            faults.push(document.fault(member, reason));
        }
        if !step.changes.is_empty() {
            step.outcome = Outcome::Change;
            step.seen = Some(seen);
        }
        Ok(())
    }

    /// Does what was planned.
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn act(&mut self, step: &mut Step) -> Result<(), Failure> {
        let done = match step.outcome {
            Outcome::Create => self.create(step).await,
            Outcome::Change => self.change(step).await,
            _ => Ok(()),
        };
        if done.is_err() {
            step.outcome = Outcome::Failed;
        }
        done
    }

    async fn create(&mut self, step: &mut Step) -> Result<(), Failure> {
        let document = &step.document;
        let body = Value::Object(self.body(document).await?);
        let api = self.api(document).await?;
        let path = self.path(document, None)?;
        let key = self.cx.ambient.uuid().to_string();
        let answer = api.create(&path, &body, &key).await?;
        step.id = answer.get("id").and_then(Value::as_str).map(str::to_owned);
        // A list that nobody has read yet will have it when it is.
        if let Some(list) = self.lists.get_mut(&(document.region.clone(), path)) {
            list.push(answer.clone());
        }
        step.made = Some(answer);
        step.outcome = Outcome::Created;
        Ok(())
    }

    async fn change(&mut self, step: &mut Step) -> Result<(), Failure> {
        let said = self.body(&step.document).await?;
        let api = self.api(&step.document).await?;
        let path = self.path(&step.document, step.id.as_deref())?;
        // Somebody else may have changed it since it was seen: once that is taken as it is and looked at anew.
        for attempt in 0..2 {
            let seen = match step.seen.take() {
                Some(seen) => seen,
                None => {
                    let seen = api.look(&path).await?;
                    step.changes = difference::between(step.document.kind.fields, &said, &seen.value);
                    seen
                }
            };
            if step.changes.is_empty() {
                step.outcome = Outcome::Unchanged;
                return Ok(());
            }
            let body: Map<_, _> = step
                .changes
                .iter()
                .filter_map(|change| Some((change.member.to_owned(), said.get(change.member)?.clone())))
                .collect();
            match api.change(&seen, &Value::Object(body)).await {
                Err(failure) if failure.problem().is_some_and(|problem| problem.status == 412) => {
                    if attempt > 0 {
                        return Err(self.raced(&api, step).await);
                    }
                }
                answer => {
                    answer?;
                    step.outcome = Outcome::Changed;
                    return Ok(());
                }
            }
        }
        Err(self.raced(&api, step).await)
    }

    /// Somebody else changes the same thing all the time: who, if the audit may be read.
    async fn raced(&self, api: &Api, step: &Step) -> Failure {
        let id = step.id.as_deref().unwrap_or_default();
        let (path, filter): (_, &[(&str, &str)]) = match step.document.kind.place {
            Place::Region => ("/v1/audit", &[("target_id", id)]),
            Place::InForce => ("/v1/audit", &[]),
            Place::Federation | Place::Tenant => ("/v1/federation-audit", &[]),
        };
        let rows = api.some(path, filter, 50).await.unwrap_or_default();
        let row = rows
            .iter()
            .find(|row| row.pointer("/target/id").and_then(Value::as_str) == Some(id));
        let text = |pointer: &str| row.and_then(|row| row.pointer(pointer)?.as_str());
        let who = match text("/actor/id").zip(text("/at")) {
            Some((who, at)) => format!("last by {who} at {at}"),
            None => "`exarch audit list` says by whom".to_owned(),
        };
        Failure::Conflict(format!(
            "It was changed by somebody else twice meanwhile ({who}): apply it again."
        ))
    }

    async fn api(&mut self, document: &Document) -> Result<Api, Failure> {
        if document.kind.place != Place::Region {
            if document.kind.place == Place::InForce {
                self.cx.in_force(document.tenant.as_deref())?;
            }
            if self.global.is_none() {
                self.global = Some(self.cx.global().await?);
            }
            return self.global.clone().ok_or_else(nowhere);
        }
        self.cx.in_force(document.tenant.as_deref())?;
        let region = document.region.as_ref().ok_or_else(nowhere)?;
        if !self.regions.contains_key(region) {
            let api = self.cx.enter(region).await?;
            self.regions.insert(region.clone(), api);
        }
        self.regions.get(region).cloned().ok_or_else(nowhere)
    }

    /// The path of one of them, or of all.
    fn path(&self, document: &Document, id: Option<&str>) -> Result<String, Failure> {
        let tenant = || match &document.tenant {
            Some(tenant) => Ok(tenant.clone()),
            None => self.cx.tenant(),
        };
        let all = match document.kind.word {
            "Tenant" => "/v1/tenants".to_owned(),
            "Entitlement" => format!("/v1/tenants/{}/entitlements", tenant()?),
            "Membership" => format!("/v1/tenants/{}/memberships", tenant()?),
            "Cluster" => cluster::PATH.to_owned(),
            "Host" => host::PATH.to_owned(),
            "Resource" => resource::PATH.to_owned(),
            _ => workload::PATH.to_owned(),
        };
        Ok(match id {
            Some(id) => format!("{all}/{id}"),
            None => all,
        })
    }

    async fn list(&mut self, document: &Document, path: &str) -> Result<&mut Vec<Value>, Failure> {
        let key = (document.region.clone(), path.to_owned());
        if !self.lists.contains_key(&key) {
            // The register of tenants is long, and one of them is asked for by its slug.
            let items = if document.kind.place == Place::Federation {
                Vec::new()
            } else {
                self.api(document).await?.list(path).await?
            };
            self.lists.insert(key.clone(), items);
        }
        self.lists.get_mut(&key).ok_or_else(nowhere)
    }

    /// Whether what it is in, or rests on, is still to be made by an earlier document.
    fn waits(&self, document: &Document) -> bool {
        let coming = |word: &'static str, tenant: Option<&str>, region: Option<&Slug>, values: &[&str]| {
            self.coming
                .contains(&(word, json!([tenant, region, values]).to_string()))
        };
        let region = document.region.as_ref();
        let cluster = document.text("cluster");
        match document.kind.place {
            Place::Federation => false,
            Place::Tenant | Place::InForce => document
                .tenant
                .as_deref()
                .is_some_and(|tenant| coming("Tenant", None, None, &[tenant])),
            Place::Region => {
                coming("Cluster", None, region, &[cluster])
                    || coming("Resource", None, region, &[cluster, document.text("resource")])
            }
        }
    }

    /// The thing that the document describes, if there is one.
    async fn there(&mut self, document: &Document) -> Result<Option<Value>, Failure> {
        if document.kind.place == Place::Federation {
            let path = self.path(document, Some(document.text("slug")))?;
            return match self.api(document).await?.get(&path).await {
                Err(failure) if failure.exit() == Exit::NotFound => Ok(None),
                there => there.map(Some),
            };
        }
        // What is in something that is not there yet is not there either.
        let cluster = match document.spec.get("cluster").and_then(Value::as_str) {
            Some(text) => match self.cluster(document, text).await {
                Err(failure) if failure.exit() == Exit::NotFound && self.waits(document) => return Ok(None),
                id => Some(id?),
            },
            None if document.kind.place != Place::Region && self.waits(document) => return Ok(None),
            None => None,
        };
        let path = self.path(document, None)?;
        let items = self.list(document, &path).await?;
        let found = items.iter().find(|item| {
            let at = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            match document.kind.word {
                "Entitlement" => at("/region/slug") == document.text("region"),
                "Membership" => {
                    at("/user/id") == document.text("user")
                        || at("/user/email").eq_ignore_ascii_case(document.text("user"))
                }
                _ => {
                    at("/name") == document.text("name") && cluster.as_deref().is_none_or(|id| at("/cluster_id") == id)
                }
            }
        });
        Ok(found.cloned())
    }

    async fn cluster(&mut self, document: &Document, text: &str) -> Result<String, Failure> {
        if cluster::CLUSTER.is_id(text) {
            return Ok(text.to_owned());
        }
        names::pick(&cluster::CLUSTER, text, self.list(document, cluster::PATH).await?)
    }

    /// The `spec` as the API takes it, with ids for names.
    async fn body(&mut self, document: &Document) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        for field in document.kind.fields {
            let Some(value) = document.spec.get(field.name) else {
                continue;
            };
            let text = value.as_str().unwrap_or_default();
            let (name, value) = match field.shape {
                Shape::Cluster => ("cluster_id", json!(self.cluster(document, text).await?)),
                Shape::Resource if resource::RESOURCE.is_id(text) => ("resource_id", value.clone()),
                Shape::Resource => {
                    let cluster = body.get("cluster_id").cloned();
                    let items = self.list(document, resource::PATH).await?;
                    let inside = items.iter().filter(|item| item.get("cluster_id") == cluster.as_ref());
                    let inside: Vec<_> = inside.cloned().collect();
                    ("resource_id", json!(names::pick(&resource::RESOURCE, text, &inside)?))
                }
                Shape::Person => (if USER.is_id(text) { "user_id" } else { "email" }, value.clone()),
                Shape::Regions if value.is_array() => {
                    let regions: Vec<String> = serde_json::from_value(value.clone()).unwrap_or_default();
                    let api = self.api(document).await?;
                    ("regions", json!(membership::region_ids(&api, &regions).await?))
                }
                _ => (field.name, value.clone()),
            };
            body.insert(name.to_owned(), value);
        }
        Ok(body)
    }
}

fn nowhere() -> Failure {
    Failure::Failed("It is not known where this is.".into())
}
