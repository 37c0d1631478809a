//! Sockets, and why one could not be had.
use std::{io, net::SocketAddr};
use tokio::net::TcpListener;

/// Why a listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Plain HTTP outside this machine.
    #[error(
        "{0} is not a loopback address: plain HTTP is for development on this machine only; configure TLS, or listen on 127.0.0.1"
    )]
    NotLoopback(SocketAddr),
    /// Another process listens there.
    #[error("{0} is in use by another process: stop it, or configure another address")]
    InUse(SocketAddr),
    /// Anything else, such as an address that this machine does not have.
    #[error("cannot listen on {addr}: {source}")]
    Other {
        /// Where.
        addr: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
}

async fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(addr),
        _ => BindError::Other { addr, source },
    })
}

/// A listener for plain HTTP. It exists on loopback addresses only.
#[derive(Debug)]
pub struct PlainListener(pub(super) TcpListener);

impl PlainListener {
    /// Refuses every address that other machines can reach.
    pub async fn bind(addr: SocketAddr) -> Result<Self, BindError> {
        if !addr.ip().to_canonical().is_loopback() {
            return Err(BindError::NotLoopback(addr));
        }
        bind(addr).await.map(Self)
    }

    /// The address, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A listener for TLS, on any address.
#[derive(Debug)]
pub struct TlsListener(pub(super) TcpListener);

impl TlsListener {
    /// Listens on `addr`.
    pub async fn bind(addr: SocketAddr) -> Result<Self, BindError> {
        bind(addr).await.map(Self)
    }

    /// The address, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
