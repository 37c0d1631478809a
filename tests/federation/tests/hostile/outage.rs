//! A database that is killed while many ask, and comes back. Nobody restarts a server for it.
use exarch_common_base::Ambient;
use exarch_common_pg::embedded::{Cluster, StopMode};
use exarch_common_testkit::federation::database;
use exarch_tests_federation::{ADA, Answer, Client, EU, Federation, OWNER};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

const BACK: Duration = Duration::from_secs(40);
const WRITERS: usize = 6;
/// Between two requests of one: a tenant has a thousand a minute.
const PACE: Duration = Duration::from_millis(60);

/// What a writer heard, by name of what it wanted to make.
type Heard = BTreeMap<String, u16>;

/// What all of them heard together.
#[derive(Default)]
struct Count {
    stop: AtomicBool,
    made: AtomicUsize,
    refused: AtomicUsize,
    unread: AtomicUsize,
}

impl Count {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until there were `more` of these answers from now on.
    async fn more(&self, federation: &Federation, of: &AtomicUsize, more: usize, what: &str) {
        let then = of.load(Ordering::Relaxed) + more;
        federation
            .until(BACK, what, async || of.load(Ordering::Relaxed) >= then)
            .await;
    }
}

/// Makes things, one after the other, until told to stop. Every answer must be a success or a whole 503.
async fn write(client: Client, path: &'static str, writer: usize, count: Arc<Count>) -> Heard {
    let mut heard = Heard::new();
    let mut n = 0;
    while !count.stopped() {
        n += 1;
        let name = format!("outage-{writer}-{n}");
        let body = match path {
            "/v1/tenants" => json!({"slug": name, "name": name}),
            _ => json!({"name": name}),
        };
        let answer = client.post(path, &body).await;
        judge(&answer);
        let counted = if answer.status == 503 {
            &count.refused
        } else {
            &count.made
        };
        counted.fetch_add(1, Ordering::Relaxed);
        heard.insert(name, answer.status);
        tokio::time::sleep(PACE).await;
    }
    heard
}

/// Reads until told to stop.
async fn read(client: Client, count: Arc<Count>) {
    while !count.stopped() {
        let answer = client.get("/v1/me").await;
        judge(&answer);
        count
            .unread
            .fetch_add(usize::from(answer.status == 503), Ordering::Relaxed);
        tokio::time::sleep(PACE).await;
    }
}

fn judge(answer: &Answer) {
    if !(200..300).contains(&answer.status) {
        answer.problem(503);
    }
}

/// All names in a list, page after page.
async fn names(client: &Client, path: &str, member: &str) -> Vec<String> {
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}?limit=100{token}")).await.ok();
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item[member].as_str().unwrap().to_owned()));
        match &page["next_page_token"] {
            Value::String(next) => token = format!("&page_token={next}"),
            _ => return names,
        }
    }
}

async fn killed_under_load(federation: Arc<Federation>, place: &str, client: Client, path: &'static str, member: &str) {
    let at = federation.place(place);
    let data = std::fs::read_to_string(at.dir.join("postgres-dir")).map_or(at.dir.join("postgres"), Into::into);
    let pids = |federation: &Federation| {
        let file = federation.file();
        let region = file.regions.iter().find(|region| region.slug == place);
        region.map_or(file.global.pids[0], |region| region.pids[0])
    };
    let server = pids(&federation);
    let count = Arc::new(Count::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| tokio::spawn(write(client.clone(), path, n, count.clone())))
        .collect();
    let reader = tokio::spawn(read(client.clone(), count.clone()));
    for round in 0..2 {
        count.more(&federation, &count.made, 20, "things are made").await;
        Cluster::stop_in(&data, StopMode::Immediate).await.unwrap();
        federation
            .until(BACK, "it is not ready", async || !federation.ready(place).await)
            .await;
        // Alive all the time: nobody must kill it for its database's sake.
        assert_eq!(Client::new(at.ops_url()).get("/livez").await.status, 200);
        count.more(&federation, &count.refused, 6, "things are refused").await;
        count.more(&federation, &count.unread, 1, "reading is refused").await;
        database(&Ambient::system(), &at).await.unwrap();
        federation
            .until(BACK, "it is ready again", async || federation.ready(place).await)
            .await;
        assert_eq!(pids(&federation), server, "round {round}: the server was restarted");
    }
    count.more(&federation, &count.made, 20, "things are made again").await;
    count.stop.store(true, Ordering::Relaxed);
    let mut heard = Heard::new();
    for writer in writers {
        heard.extend(writer.await.unwrap());
    }
    reader.await.unwrap();
    let there = names(&client, path, member).await;
    let listed = there.iter().filter(|name| name.starts_with("outage-")).count();
    let there: BTreeSet<&String> = there.iter().filter(|name| name.starts_with("outage-")).collect();
    assert_eq!(listed, there.len(), "something was made twice");
    let told: BTreeSet<&String> = heard
        .iter()
        .filter(|(_, status)| **status == 201)
        .map(|(name, _)| name)
        .collect();
    let lost: Vec<_> = told.difference(&there).collect();
    assert!(lost.is_empty(), "told to be made and not there: {lost:?}");
    assert!(there.iter().all(|name| heard.contains_key(*name)));
}

pub async fn a_global_whose_database_is_killed_under_load_loses_nothing_and_comes_back_by_itself(
    federation: Arc<Federation>,
) {
    let owner = federation.person(OWNER).await;
    killed_under_load(federation.clone(), "global", owner, "/v1/tenants", "slug").await;
    // Its regions are still there, and people enter them.
    let entered = federation
        .person(ADA)
        .await
        .post("/v1/regions/eu-north/token", &json!({}))
        .await;
    entered.ok();
}

pub async fn a_gateway_whose_database_is_killed_under_load_loses_nothing_and_comes_back_by_itself(
    federation: Arc<Federation>,
) {
    let ada = federation.person_in(ADA, EU).await;
    killed_under_load(federation, EU, ada, "/v1/clusters", "name").await;
}
