//! The exhaustive matrix: every route of the OpenAPI documents × everybody (each preset, three roles of a tenant's own, ended
//! rights, nobody) × the own things, those of the cluster beside it, those of another tenant × each state of the tenant. What must
//! be answered comes from the golden table of roles (`common/authz/rbac.txt`), read as text, and from the rules of the design
//! written down once more in `golden.rs`. A route that the matrix does not know fails it.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod golden;
mod people;
mod probes;

use exarch_tests_federation::{Answer, Client, EU, Federation, OWNER, suite, tests};
use golden::{Asked, Expected, Golden, Names, Place, State};
use people::{Person, Tenant};
use probes::{Probe, Sent, Things};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, process::ExitCode, sync::Arc, time::Duration};

fn main() -> ExitCode {
    suite::main(tests![everybody_may_do_exactly_what_the_golden_table_says])
}

/// The matrix asks more in a minute than people do.
async fn without_limits(federation: &Federation) {
    let place = federation.place("global");
    let text = fs::read_to_string(place.settings()).unwrap();
    let more = "\n[limits]\ntenant_per_minute = 1000000\n[sign_in]\nper_minute = 1000\n";
    fs::write(place.settings(), text + more).unwrap();
    let process = federation.process("global", 1);
    process.signal(Signal::HUP);
    let said = async || {
        fs::read_to_string(process.log())
            .unwrap()
            .contains("the settings were read again")
    };
    federation
        .until(Duration::from_secs(10), "the settings are read again", said)
        .await;
}

/// A route as the document describes it.
struct Route {
    /// Method and path.
    name: String,
    /// `public`, `self`, `needs`, …
    kind: String,
    permission: Option<String>,
}

async fn routes(client: &Client) -> Vec<Route> {
    let document = client.get("/openapi.json").await.ok();
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Some(kind) = operation["x-exarch-kind"].as_str() else {
                continue;
            };
            found.push(Route {
                name: format!("{} {path}", method.to_uppercase()),
                kind: kind.to_owned(),
                permission: operation["x-exarch-permission"].as_str().map(str::to_owned),
            });
        }
    }
    found
}

struct Matrix {
    federation: Arc<Federation>,
    golden: Golden,
    tenant: Tenant,
    own: Things,
    beside: Things,
    foreign: Things,
    cells: usize,
    unique: usize,
    wrong: Vec<String>,
    used: BTreeSet<String>,
}

impl Matrix {
    fn things(&self, place: Place) -> &Things {
        match place {
            Place::Own => &self.own,
            Place::OtherCluster => &self.beside,
            Place::OtherTenant => &self.foreign,
        }
    }

    /// What was used up is made anew.
    async fn replace(&mut self, route: &str, place: Place) {
        self.unique += 1;
        let name = format!("again-{}", self.unique);
        let things = self.things(place).clone();
        let fresh = match route {
            "DELETE /v1/bindings/{id}" => probes::binding(&self.tenant, &things).await,
            "DELETE /v1/bootstrap-tokens/{id}" => probes::token(&self.tenant, &things, &name).await,
            "DELETE /v1/invitations/{id}" => probes::invitation(&self.tenant, &name).await,
            _ => return,
        };
        let kept = match place {
            Place::Own => &mut self.own,
            Place::OtherCluster => &mut self.beside,
            Place::OtherTenant => panic!("nothing of another tenant is used up"),
        };
        let used_up = match route.split('/').nth(2) {
            Some("bindings") => &mut kept.binding,
            Some("bootstrap-tokens") => &mut kept.token,
            _ => &mut kept.invitation,
        };
        *used_up = fresh;
    }

    fn probe(&mut self, at_global: bool, route: &str, place: Place) -> Option<Probe> {
        self.unique += 1;
        let unique = format!("m{}", self.unique);
        let make = if at_global { probes::global } else { probes::regional };
        make(route, self.things(place), &unique)
    }

    async fn cell(&mut self, at_global: bool, route: &Route, person: &Person, place: Place, state: State) {
        let client = if at_global {
            Some(&person.global)
        } else {
            person.region.as_ref()
        };
        let (Some(client), Some(permission)) = (client, &route.permission) else {
            return;
        };
        let Some(probe) = self.probe(at_global, &route.name, place) else {
            self.wrong
                .push(format!("{}: the matrix has no request for it", route.name));
            return;
        };
        // What names nothing points nowhere else.
        if place != Place::Own && probe.names == Names::Nothing
            || place == Place::OtherCluster && probe.names != Names::Cluster
        {
            return;
        }
        let asked = Asked {
            at_global,
            names: probe.names,
            place,
            state,
        };
        let expected = self.golden.expected(person, permission, asked);
        let broken = expected == Expected::Passes && probe.sent == Sent::Broken;
        let answer = send(client, &route.name, &probe, broken).await;
        self.cells += 1;
        self.used.insert(format!(
            "{} {}",
            if at_global { "global" } else { "region" },
            route.name
        ));
        let good = match expected {
            Expected::Passes => passes(&route.name, &answer),
            Expected::Refused(status) => answer.status == status,
        };
        if !good {
            let who = person.name;
            self.wrong.push(format!(
                "{} by {who} at {place:?} ({state:?}): {expected:?} by the table, answered {} {}",
                route.name,
                answer.status,
                answer.text()
            ));
        }
        if expected == Expected::Passes {
            self.nothing_foreign(at_global, &route.name, person, &answer);
            if place != Place::OtherTenant {
                self.replace(&route.name, place).await;
            }
        }
    }

    /// A good answer tells nothing of another tenant, and to those with a role in one cluster nothing of another.
    fn nothing_foreign(&mut self, at_global: bool, route: &str, person: &Person, answer: &Answer) {
        if at_global && !person.staff.is_empty() {
            return;
        }
        let mut told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        // The access under an emergency is written down with what was asked for, which the asker named.
        if let Some(items) = told["items"].as_array_mut() {
            items.retain(|item| item["action"] != "break_glass.access");
        }
        let text = told.to_string();
        let of = |things: &Things| {
            [
                &things.cluster,
                &things.host,
                &things.resource,
                &things.workload,
                &things.agent,
                &things.lease,
            ]
            .map(Clone::clone)
        };
        let mut hidden: Vec<String> = of(&self.foreign).into();
        hidden.extend([
            self.foreign.tenant.clone(),
            self.foreign.user.clone(),
            self.foreign.membership.clone(),
        ]);
        let wide = !person.tenant.is_empty();
        if !wide {
            hidden.extend(of(&self.beside));
        }
        for id in hidden.iter().filter(|id| text.contains(id.as_str())) {
            self.wrong
                .push(format!("{route} tells {} of {id}: {text}", person.name));
        }
    }

    /// All routes for one person.
    async fn row(&mut self, global: &[Route], region: &[Route], person: &Person, state: State) {
        for place in [Place::Own, Place::OtherCluster, Place::OtherTenant] {
            for route in global {
                self.cell(true, route, person, place, state).await;
            }
            for route in region {
                self.cell(false, route, person, place, state).await;
            }
        }
    }

    async fn bring(&mut self, state: State) {
        let owner = self.federation.person(OWNER).await;
        let path = |action: &str| format!("/v1/tenants/{}/{action}", self.tenant.id);
        let reason = json!({"reason": "the matrix"});
        let cause = |cause: &str| json!({"cause": cause, "reason": "the matrix"});
        let answer = match state {
            State::Active => owner.post(&path("resume"), &reason).await,
            State::Billing => owner.post(&path("suspend"), &cause("billing")).await,
            State::Incident => owner.post(&path("suspend"), &cause("incident")).await,
            State::Hold => owner.post(&path("suspend"), &cause("hold")).await,
            State::Deleting => {
                // A hold forbids it.
                owner.post(&path("resume"), &reason).await.ok();
                owner.post(&path("delete"), &reason).await
            }
        };
        answer.ok();
        let version = async || owner.get(&format!("/v1/regions/{EU}")).await.ok();
        let arrived = async || {
            let region = version().await;
            region["passport"]["acknowledged"] == region["passport"]["version"]
        };
        self.federation
            .until(
                Duration::from_secs(20),
                &format!("the region knows of {state:?}"),
                arrived,
            )
            .await;
    }
}

async fn send(client: &Client, route: &str, probe: &Probe, broken: bool) -> Answer {
    let method = probes::method(route);
    decided(async || {
        let mut request = client.request(method.clone(), &probe.path);
        // What changes a thing that is there is refused behind the policy, since nobody has this version.
        if matches!(method.as_str(), "PATCH" | "DELETE") {
            request = request.header("if-match", "\"999999\"");
        }
        if broken {
            request = request.json(&json!({"a member that no body has": true}));
        } else if let Some(body) = &probe.body {
            request = request.json(body);
        }
        client.send(request).await
    })
    .await
}

/// Asks again while a server says that it cannot decide at the moment: the disk of a busy machine is slow.
async fn decided(ask: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..20 {
        let answer = ask().await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    ask().await
}

/// Whether an answer came from behind gate and policy.
fn passes(route: &str, answer: &Answer) -> bool {
    match answer.status {
        401..=403 => false,
        // A session that is not there: the one thing that the matrix does not make anew.
        404 => route.ends_with("/{session}"),
        status if route.starts_with("GET ") => status == 200,
        status => (200..300).contains(&status) || matches!(status, 400 | 409 | 412 | 422 | 429),
    }
}

async fn everybody_may_do_exactly_what_the_golden_table_says(federation: Arc<Federation>) {
    without_limits(&federation).await;
    let tenant = people::tenant(&federation, "matrix").await;
    let other = people::tenant(&federation, "neighbour").await;
    let (mut own, mut beside, mut foreign) = (
        probes::things(&federation, &tenant, "here").await,
        probes::things(&federation, &tenant, "beside").await,
        probes::things(&federation, &other, "there").await,
    );
    let owner = federation.person(OWNER).await;
    for (things, of) in [(&mut own, &tenant), (&mut beside, &tenant), (&mut foreign, &other)] {
        let all = owner.get(&format!("/v1/tenants/{}/entitlements", of.id)).await.ok();
        things.entitlement = all["items"][0]["id"].as_str().unwrap().to_owned();
    }
    people::make_roles(&tenant).await;
    let mut everybody = people::everybody(&federation, &tenant, &own.cluster).await;
    for (role, mode) in [("bg-read", "read"), ("bg-write", "write")] {
        everybody.push(people::emergency(&federation, &tenant, role, mode).await);
    }
    let (global, region) = (routes(&federation.global()).await, routes(&federation.region(EU)).await);
    let mut matrix = Matrix {
        golden: Golden::read(),
        federation: federation.clone(),
        tenant,
        own,
        beside,
        foreign,
        cells: 0,
        unique: 0,
        wrong: Vec::new(),
        used: BTreeSet::new(),
    };
    // Nobody at all.
    for (at_global, routes, client) in [
        (true, &global, federation.global()),
        (false, &region, federation.region(EU)),
    ] {
        for route in routes
            .iter()
            .filter(|route| matches!(route.kind.as_str(), "needs" | "self"))
        {
            let probe = matrix.probe(at_global, &route.name, Place::Own);
            let path = route.name.split(' ').nth(1).unwrap().to_owned();
            let probe = probe.unwrap_or(Probe {
                path,
                body: None,
                names: Names::Nothing,
                sent: Sent::Whole,
            });
            let answer = send(&client, &route.name, &probe, false).await;
            matrix.cells += 1;
            if answer.status != 401 {
                matrix
                    .wrong
                    .push(format!("{} by nobody: {} {}", route.name, answer.status, answer.text()));
            }
        }
    }
    for role in ["provider-operator", "system-admin"] {
        let person = people::staff(&federation, role).await;
        let path = format!("/v1/regions/{EU}/token");
        let entered = person.global.post(&path, &Value::Null).await;
        assert!(
            matches!(entered.status, 403 | 404),
            "{role} enters a region: {}",
            entered.text()
        );
        matrix.row(&global, &region, &person, State::Active).await;
    }
    for state in [
        State::Active,
        State::Billing,
        State::Incident,
        State::Hold,
        State::Deleting,
    ] {
        if state != State::Active {
            matrix.bring(state).await;
        }
        for person in &everybody {
            matrix.row(&global, &region, person, state).await;
        }
    }
    let needed = |routes: &[Route]| routes.iter().filter(|route| route.permission.is_some()).count();
    let all = needed(&global) + needed(&region);
    suite::say(&format!(
        "matrix: {} cells, {} of {all} routes that need a permission, {} wrong",
        matrix.cells,
        matrix.used.len(),
        matrix.wrong.len()
    ));
    assert!(matrix.wrong.is_empty(), "\n{}", matrix.wrong.join("\n"));
    assert_eq!(matrix.used.len(), all);
}
