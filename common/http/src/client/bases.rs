//! Where the client calls: one server, or several of which one is called until it fails.
use super::ClientError;
use reqwest::Url;
use std::{
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

/// The servers, one at least, and which of them is called.
#[derive(Debug)]
pub(super) struct Bases {
    all: Vec<Url>,
    present: AtomicUsize,
}

impl Bases {
    pub(super) fn new(base: &str) -> Result<Self, ClientError> {
        let all = vec![parse(base)?];
        Ok(Self::of(all))
    }

    fn of(all: Vec<Url>) -> Self {
        let present = AtomicUsize::new(0);
        Self { all, present }
    }

    /// These and others.
    pub(super) fn and(&self, others: &[String]) -> Result<Self, ClientError> {
        let mut all = self.all.clone();
        for other in others {
            all.push(parse(other)?);
        }
        Ok(Self::of(all))
    }

    pub(super) fn several(&self) -> bool {
        self.all.len() > 1
    }

    pub(super) fn present(&self) -> &Url {
        &self.all[self.present.load(Ordering::Relaxed) % self.all.len()]
    }

    /// The next one is called from now on, unless another call has moved on already.
    pub(super) fn leave(&self, failed: &Url) {
        let present = self.present.load(Ordering::Relaxed);
        if self.all[present % self.all.len()].origin() == failed.origin() {
            let next = (present + 1) % self.all.len();
            let _ = self
                .present
                .compare_exchange(present, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

fn parse(base: &str) -> Result<Url, ClientError> {
    let refused = |reason: &str| ClientError::Address {
        url: base.to_owned(),
        reason: reason.to_owned(),
    };
    let url = Url::parse(base).map_err(|e| refused(&e.to_string()))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(refused("plain HTTP is for this machine only; use https")),
        _ => Err(refused("expected https://host:port")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    match address {
        Some(ip) => ip.to_canonical().is_loopback(),
        // RFC 6761, 6.3: names under localhost are this machine.
        None => host == "localhost" || host.ends_with(".localhost"),
    }
}
