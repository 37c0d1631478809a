//! The connections on which regions can be called. Each replica of a gateway dials its own; any of them speaks for its
//! region.
use super::{gate, store};
use crate::{app::App, health};
use exarch_common_base::{BootTime, RegionId};
use exarch_common_http::{serve::RawConn, tunnel::H2Client};
use exarch_common_pg::SystemTx;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// More than any region has replicas.
const MOST: usize = 64;

/// One connection.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// Calls go over it.
    pub client: H2Client,
    /// Since when it is up.
    pub since: BootTime,
}

impl Tunnel {
    /// Unique within this process.
    pub fn id(&self) -> u64 {
        self.client.peer().connection
    }
}

/// All of them, by region.
#[derive(Clone, Debug, Default)]
pub struct Tunnels(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    open: Mutex<HashMap<RegionId, Vec<Tunnel>>>,
    /// Changes when a region can be called from here, or cannot any more.
    changes: watch::Sender<u64>,
}

impl Tunnels {
    /// Those of a region, newest first.
    pub fn of(&self, region: RegionId) -> Vec<Tunnel> {
        let held = self.lock();
        let mut open: Vec<_> = held.get(&region).into_iter().flatten().cloned().collect();
        open.retain(|t| !t.client.is_closed());
        open.reverse();
        open
    }

    /// Ends those of a region.
    pub fn close(&self, region: RegionId) {
        for tunnel in self.of(region) {
            tunnel.client.close();
        }
    }

    /// The regions that can be called from here.
    pub fn connected(&self) -> Vec<RegionId> {
        self.lock().keys().copied().collect()
    }

    /// Changes with the regions that can be called from here.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn add(&self, region: RegionId, tunnel: Tunnel) -> bool {
        let mut held = self.lock();
        let of = held.entry(region).or_default();
        let room = of.len() < MOST;
        if room {
            of.push(tunnel);
            self.0.changes.send_modify(|n| *n += 1);
        }
        room
    }

    fn remove(&self, region: RegionId, id: u64) {
        let mut held = self.lock();
        if let Some(of) = held.get_mut(&region) {
            of.retain(|t| t.id() != id);
            if of.is_empty() {
                held.remove(&region);
                self.0.changes.send_modify(|n| *n += 1);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RegionId, Vec<Tunnel>>> {
        self.0.open.lock().expect("no holder of this lock panics")
    }
}

/// Takes connections as they come, until `stop`.
pub(super) async fn accept(app: App, mut accepted: mpsc::Receiver<RawConn>, stop: CancellationToken) {
    let held = TaskTracker::new();
    loop {
        let conn = tokio::select! {
            () = stop.cancelled() => break,
            conn = accepted.recv() => match conn {
                Some(conn) => conn,
                None => break,
            },
        };
        let (app, stop) = (app.clone(), stop.clone());
        held.spawn(async move { hold(&app, conn, stop).await });
    }
    held.close();
    held.wait().await;
}

async fn hold(app: &App, conn: RawConn, stop: CancellationToken) {
    let addr = conn.peer.addr;
    let Some(region) = known(app, &conn).await else {
        tracing::warn!(%addr, "a tunnel with a certificate that is not in force was refused");
        return;
    };
    let client = match H2Client::accepted(conn).await {
        Ok(client) => client,
        Err(error) => {
            tracing::debug!(%addr, %error, "a tunnel did not come up");
            return;
        }
    };
    let tunnel = Tunnel {
        client: client.clone(),
        since: app.ambient.boot(),
    };
    let id = tunnel.id();
    if !app.federation.tunnels.add(region, tunnel) {
        tracing::warn!(%region, "a tunnel was refused: the region has too many");
        return;
    }
    tracing::info!(%region, %addr, "a region's tunnel is up");
    app.federation.pushes.now();
    // Whoever comes back should not have to wait for the round to be seen.
    tokio::spawn(health::probe_soon(app.clone(), region));
    tokio::select! {
        () = client.closed() => {}
        () = stop.cancelled() => client.close(),
    }
    app.federation.tunnels.remove(region, id);
    tracing::info!(%region, %addr, "a region's tunnel is down");
}

/// The region of the connection's certificate, if that is in force.
async fn known(app: &App, conn: &RawConn) -> Option<RegionId> {
    let region = gate::region_of(&conn.peer)?;
    let certificate = conn.peer.certificate()?;
    let mut tx = SystemTx::begin(&app.app_pool, "tunnel").await.ok()?;
    let known = store::known_certificate(tx.conn(), region, &certificate.thumbprint).await;
    known.ok()?.then_some(region)
}
