//! The listener's own certificate, from the federation's authority: made at each start and daily, never stored.
use crate::app::App;
use exarch_common_crypto::{
    pki::PkiError,
    sign::{Algorithm, SigningKey},
    tls::{self, Clients, Identity},
};
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::sync::watch;

const LIFE: time::Duration = time::Duration::days(7);

type Reading = watch::Receiver<Arc<ServerConfig>>;

/// What handshakes read, by protocol.
pub(super) struct Configs {
    /// The gateways' calls: one whose certificate has expired comes as far as the gate, which lets it renew.
    pub up: Reading,
    /// Calls of gateways: a certificate in force.
    pub down: Reading,
    /// Joining: none.
    pub join: Reading,
}

/// Writes what handshakes read.
pub(super) struct Own([watch::Sender<Arc<ServerConfig>>; 3]);

const CLIENTS: [Clients; 3] = [Clients::RequiredOrExpired, Clients::Required, Clients::Optional];

impl Own {
    /// The first certificate.
    pub(super) fn new(app: &App) -> Result<(Self, Configs), PkiError> {
        let own = Self(make(app)?.map(watch::Sender::new));
        let [up, down, join] = own.0.each_ref().map(watch::Sender::subscribe);
        Ok((own, Configs { up, down, join }))
    }

    /// A new one, for handshakes from now on. When it cannot be made, the old one stays.
    pub(super) fn renew(&self, app: &App) -> Result<(), PkiError> {
        for (sender, config) in self.0.iter().zip(make(app)?) {
            sender.send_replace(config);
        }
        Ok(())
    }
}

fn make(app: &App) -> Result<[Arc<ServerConfig>; 3], PkiError> {
    let ca = app.keys.federation_ca();
    let key = SigningKey::generate(Algorithm::Es384)?;
    let issued = ca.issue_server(&app.ambient, &key, &app.settings.federation.names, LIFE)?;
    let identity = Identity {
        chain: vec![issued.der, ca.der().to_vec()],
        key: key.pkcs8().to_vec().into(),
    };
    let roots = [ca.der().to_vec()];
    let config = |clients| tls::server_config(&identity, &roots, clients, &[]).map(Arc::new);
    let [up, down, join] = CLIENTS.map(config);
    Ok([up?, down?, join?])
}
