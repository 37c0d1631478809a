//! A wire between one replica and its database, which can be cut: so that callers are refused, or so that nothing more is
//! heard on it.
use super::{PATIENCE, Said};
use exarch_common_testkit::federation::Place;
use exarch_tests_federation::{ADA, Client, EU, Federation};
use rustix::process::Signal;
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::Instant,
};

/// How a replica without a database may take to say so.
const SAID_WITHIN: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    /// Connections end, and new ones do too.
    Refusing,
    /// Nothing is carried, and nobody is told.
    Silent,
}

struct Wire {
    port: u16,
    state: watch::Sender<State>,
}

impl Wire {
    async fn to(database: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, seen) = watch::channel(State::Whole);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    let far = TcpStream::connect(("127.0.0.1", database)).await?;
                    let (mut refusing, up, down) = (seen.clone(), seen.clone(), seen);
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::select! {
                        _ = refusing.wait_for(|state| *state == State::Refusing) => Ok(()),
                        ended = carry(near_in, far_out, up) => ended,
                        ended = carry(far_in, near_out, down) => ended,
                    }
                });
            }
        });
        Self { port, state }
    }

    fn is(&self, state: State) {
        self.state.send_replace(state);
    }
}

/// What was lost on a silent wire comes never: such a connection stays silent when the wire is whole again.
async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    state: watch::Receiver<State>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let n = from.read(&mut bytes).await?;
        if n == 0 {
            return Ok(());
        }
        if *state.borrow() == State::Silent {
            return std::future::pending().await;
        }
        to.write_all(&bytes[..n]).await?;
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The settings of a replica that leads to its database by another way.
pub struct Settings<'a> {
    federation: &'a Federation,
    replica: Place,
    before: String,
}

impl<'a> Settings<'a> {
    /// By the port `port`, with a line more about the database.
    pub async fn by_way_of(federation: &'a Federation, place: &str, n: u16, port: u16, more: &str) -> Self {
        let replica = federation.replica(place, n);
        let before = fs::read_to_string(replica.settings()).unwrap();
        let mut text = before.replace("[database]\n", &format!("[database]\n{more}\n"));
        for name in ["app-url", "sweep-url", "renew-url"] {
            let (was, is) = (replica.secret(name), replica.secret(&format!("{name}-by-way")));
            let url = fs::read_to_string(&was).unwrap();
            let there = format!(":{}/", replica.database);
            fs::write(&is, url.replace(&there, &format!(":{port}/"))).unwrap();
            fs::set_permissions(&is, fs::Permissions::from_mode(0o600)).unwrap();
            text = text.replace(was.to_str().unwrap(), is.to_str().unwrap());
        }
        let settings = Self {
            federation,
            replica,
            before,
        };
        settings.read_again(&text).await;
        settings
    }

    async fn read_again(&self, text: &str) {
        fs::write(self.replica.settings(), text).unwrap();
        let (place, n) = (&self.replica.name, self.replica.replica);
        let said = Said::from_now(self.federation, place, n);
        self.federation.process(place, n).signal(Signal::HUP);
        said.line(&["the settings were read again", "database.app_url_file"])
            .await;
    }

    /// As it was.
    pub async fn back(self) {
        self.read_again(&self.before).await;
    }
}

pub async fn a_gateway_that_is_cut_from_its_database_says_so_and_comes_back(federation: Arc<Federation>) {
    let wire = Wire::to(federation.place(EU).database).await;
    let settings = Settings::by_way_of(&federation, EU, 2, wire.port, "").await;
    let token = federation.region_token(ADA, EU).await;
    let (other, cut) = (federation.at(EU, 1).bearer(&token), federation.at(EU, 2).bearer(&token));
    let ops = Client::new(federation.replica(EU, 2).ops_url());
    let pid = federation.process(EU, 2).pid();
    for (round, state) in [State::Refusing, State::Silent].into_iter().enumerate() {
        cut.get("/v1/clusters").await.ok();
        let said = Said::from_now(&federation, EU, 2);
        wire.is(state);
        let since = Instant::now();
        let mut asked = 0;
        // From the first moment on, and again and again: reads, writes, what is not known.
        while since.elapsed() < 2 * SAID_WITHIN {
            let began = Instant::now();
            let made = json!({"name": format!("cut-{round}-{asked}")});
            let (list, write) = tokio::join!(cut.get("/v1/clusters"), cut.post("/v1/clusters", &made));
            for answer in [list, write] {
                answer.problem(503);
            }
            let took = began.elapsed();
            assert!(took < SAID_WITHIN, "{state:?}: 503 after {took:?}");
            // The one beside it serves all the time.
            other.get("/v1/clusters").await.ok();
            asked += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(ops.get("/livez").await.status, 200);
        assert_eq!(ops.get("/readyz").await.status, 503);
        let line = said.line(&["database unreachable"]).await;
        assert!(!line.contains("pool timed out"), "the reason is told: {line}");
        wire.is(State::Whole);
        federation
            .until(PATIENCE, "it serves again", async || {
                cut.get("/v1/clusters").await.status == 200
            })
            .await;
        said.line(&["the database is reached again"]).await;
        other
            .post("/v1/clusters", &json!({"name": format!("after-{round}")}))
            .await
            .ok();
        assert_eq!(federation.process(EU, 2).pid(), pid, "it was not restarted for this");
    }
    settings.back().await;
}
