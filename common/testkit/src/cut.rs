//! A wire to a database that breaks at one chosen call, so that a test can break it at each in turn.
//!
//! A call is what the client waits for: a simple query, or the execution of a prepared one up to its Sync. Preparing is no call,
//! so the calls of a piece of work are the same whichever connection of a pool it gets. They are counted over all connections
//! that go through, and one connection breaks.
use exarch_common_pg::PoolSettings;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// On which side of the database's work the wire breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The database does not get the call, or not its end, which undoes it.
    Before,
    /// The database has done it, and its answer is lost.
    After,
}

/// At which call the wire breaks.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// The how many-th.
    Number(u32),
    /// The first that makes changes last.
    Commit,
}

/// Where the wire breaks.
#[derive(Clone, Copy, Debug)]
pub struct Break {
    /// At which call.
    pub call: Call,
    /// On which side of it.
    pub moment: Moment,
}

/// How often the wire broke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaks {
    /// At calls by their number.
    pub calls: u32,
    /// At the COMMIT.
    pub commits: u32,
}

#[derive(Debug, Default)]
struct Plan {
    armed: Option<Break>,
    calls: u32,
    broke: bool,
}

/// The wire. It is there until the runtime ends.
#[derive(Clone, Debug)]
pub struct Cut {
    here: SocketAddr,
    plan: Arc<Mutex<Plan>>,
}

impl Cut {
    /// A wire to where `settings` lead. It is whole.
    ///
    /// # Errors
    /// No port is to be had.
    pub async fn to(settings: &PoolSettings) -> io::Result<Self> {
        let there = (settings.options.get_host().to_owned(), settings.options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let cut = Self {
            here: listener.local_addr()?,
            plan: Arc::default(),
        };
        let plan = cut.plan.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (there, plan) = (there.clone(), plan.clone());
                tokio::spawn(async move {
                    // Either end may go at any time.
                    let _ = carry(near, TcpStream::connect(there).await?, plan).await;
                    io::Result::Ok(())
                });
            }
        });
        Ok(cut)
    }

    /// The same login by way of this wire.
    #[must_use]
    pub fn through(&self, mut settings: PoolSettings) -> PoolSettings {
        settings.options = settings.options.host("127.0.0.1").port(self.here.port());
        settings
    }

    /// Runs `work` with the wire breaking as `at` says. It is whole again afterwards.
    pub async fn during<T>(&self, at: Break, work: impl Future<Output = T>) -> T {
        *self.plan() = Plan {
            armed: Some(at),
            ..Plan::default()
        };
        let done = work.await;
        self.plan().armed = None;
        done
    }

    /// Runs `once` for the first call, for the second, and so on as far as the work within [`Cut::during`] goes, and for its
    /// COMMIT, wherever that is; before and after the database's work. Says how often the wire broke.
    pub async fn at_each_call(&self, mut once: impl AsyncFnMut(Break)) -> Breaks {
        let mut breaks = Breaks::default();
        for moment in [Moment::Before, Moment::After] {
            for call in (1..).map(Call::Number) {
                once(Break { call, moment }).await;
                if !self.plan().broke {
                    break;
                }
                breaks.calls += 1;
            }
            let call = Call::Commit;
            once(Break { call, moment }).await;
            breaks.commits += u32::from(self.plan().broke);
        }
        breaks
    }

    /// How many calls the work within the last [`Cut::during`] made, as far as the wire was whole.
    pub fn calls(&self) -> u32 {
        self.plan().calls
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

async fn carry(near: TcpStream, far: TcpStream, plan: Arc<Mutex<Plan>>) -> io::Result<()> {
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut from_client, mut to_client) = near.into_split();
    let (from_server, mut to_server) = far.into_split();
    start(&mut from_client, &mut to_client, &mut to_server).await?;
    // From here on the answer is kept back, until the database is done.
    let last = Arc::new(AtomicBool::new(false));
    let asking = ask(from_client, to_server, plan, last.clone());
    let answering = answer(from_server, to_client, last);
    tokio::select! {
        ended = asking => ended,
        ended = answering => ended,
    }
}

/// The first messages have no type, and TLS is answered by one byte: it is refused, so that the rest can be read.
async fn start(
    from_client: &mut OwnedReadHalf,
    to_client: &mut OwnedWriteHalf,
    to_server: &mut OwnedWriteHalf,
) -> io::Result<()> {
    const TLS: [u8; 4] = 80_877_103_u32.to_be_bytes();
    loop {
        let message = body(from_client, &[]).await?;
        if message[4..] == TLS {
            to_client.write_all(b"N").await?;
            continue;
        }
        return to_server.write_all(&message).await;
    }
}

/// A length, and as much as it says; with `kind` before it.
async fn body(from: &mut OwnedReadHalf, kind: &[u8]) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    let whole = u32::from_be_bytes(length) as usize;
    let mut message = [kind, &length].concat();
    let begun = message.len();
    message.resize(kind.len() + whole.max(4), 0);
    from.read_exact(&mut message[begun..]).await?;
    Ok(message)
}

async fn ask(
    mut from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    plan: Arc<Mutex<Plan>>,
    last: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut executes = false;
    loop {
        let kind = from_client.read_u8().await?;
        let message = body(&mut from_client, &[kind]).await?;
        executes |= kind == b'E';
        let is_call = kind == b'Q' || kind == b'S' && std::mem::take(&mut executes);
        let moment = if is_call { breaks(&plan, &message) } else { None };
        match moment {
            Some(Moment::Before) => return Ok(()),
            Some(Moment::After) => {
                last.store(true, Ordering::SeqCst);
                to_server.write_all(&message).await?;
                return std::future::pending().await;
            }
            None => to_server.write_all(&message).await?,
        }
    }
}

/// Counts a call, and says whether the wire breaks there.
fn breaks(plan: &Mutex<Plan>, message: &[u8]) -> Option<Moment> {
    let mut plan = lock(plan);
    let at = plan.armed.filter(|_| !plan.broke)?;
    // An undoing that is still to be done for the work before is not of this work.
    if message[5..].starts_with(b"ROLLBACK") {
        return None;
    }
    plan.calls += 1;
    plan.broke = match at.call {
        Call::Number(call) => plan.calls == call,
        Call::Commit => message[5..].starts_with(b"COMMIT"),
    };
    plan.broke.then_some(at.moment)
}

async fn answer(
    mut from_server: OwnedReadHalf,
    mut to_client: OwnedWriteHalf,
    last: Arc<AtomicBool>,
) -> io::Result<()> {
    loop {
        let kind = from_server.read_u8().await?;
        let message = body(&mut from_server, &[kind]).await?;
        if !last.load(Ordering::SeqCst) {
            to_client.write_all(&message).await?;
        } else if kind == b'Z' {
            return Ok(());
        }
    }
}
