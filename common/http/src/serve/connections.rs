//! Who is connected, and a way to end a connection: revoking a certificate must not wait for its holder to hang up.
use exarch_common_crypto::pki;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The other end of a connection, in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Unique within this process.
    pub connection: u64,
    /// Address and port.
    pub addr: SocketAddr,
    /// What the handshake showed; nothing on a plain connection.
    pub tls: Option<Arc<TlsPeer>>,
}

/// What a handshake showed.
#[derive(Debug)]
pub struct TlsPeer {
    /// The other end's own certificate, verified; nothing where none was asked for.
    pub certificate: Option<pki::Peer>,
    /// The protocol that was agreed on; empty when none was.
    pub alpn: Vec<u8>,
    /// RFC 8446, 7.5 and RFC 9266: equal at both ends of this connection and of no other.
    pub exporter: [u8; 32],
}

impl Peer {
    pub(crate) fn new(addr: SocketAddr, tls: Option<TlsPeer>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            connection: NEXT.fetch_add(1, Ordering::Relaxed),
            addr,
            tls: tls.map(Arc::new),
        }
    }

    /// What the verified certificate says, if there is one.
    pub fn certificate(&self) -> Option<&pki::Peer> {
        self.tls.as_ref()?.certificate.as_ref()
    }

    /// The exporter value of the connection; nothing on a plain one.
    pub fn exporter(&self) -> Option<&[u8; 32]> {
        self.tls.as_ref().map(|tls| &tls.exporter)
    }

    /// The protocol that was agreed on.
    pub fn alpn(&self) -> &[u8] {
        self.tls.as_ref().map_or(&[], |tls| &tls.alpn)
    }
}

type Open = HashMap<u64, (Peer, CancellationToken)>;

/// All open connections of a listener, or of several that share it.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<Open>>);

impl Connections {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends at once each connection for which `matches` says so; says how many.
    pub fn close_where(&self, matches: impl Fn(&Peer) -> bool) -> usize {
        let mut ended = 0;
        for (peer, kill) in self.lock().values() {
            if matches(peer) {
                kill.cancel();
                ended += 1;
            }
        }
        ended
    }

    /// The other ends of all that are open.
    pub fn peers(&self) -> Vec<Peer> {
        self.lock().values().map(|(peer, _)| peer.clone()).collect()
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn register(&self, peer: Peer) -> Registered {
        let kill = CancellationToken::new();
        let id = peer.connection;
        self.lock().insert(id, (peer, kill.clone()));
        Registered {
            id,
            connections: self.clone(),
            _ended: kill.clone().drop_guard(),
            kill,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

/// Ends the connection that a request came on; in the request's extensions.
#[derive(Clone, Debug)]
pub struct HangUp(pub(super) CancellationToken);

impl HangUp {
    /// At once, whatever is under way on it.
    pub fn now(&self) {
        self.0.cancel();
    }
}

/// Keeps a connection in the list for as long as it is served.
#[derive(Debug)]
pub struct Registered {
    id: u64,
    connections: Connections,
    kill: CancellationToken,
    _ended: DropGuard,
}

impl Registered {
    /// Fires when the connection is to end at once.
    pub fn killed(&self) -> CancellationToken {
        self.kill.clone()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.id);
    }
}
