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

/// What handshakes read: with the client's certificate demanded, and with it optional (joining).
#[derive(Clone)]
pub(super) struct Configs {
    pub required: watch::Receiver<Arc<ServerConfig>>,
    pub optional: watch::Receiver<Arc<ServerConfig>>,
}

/// Writes what handshakes read.
pub(super) struct Own {
    required: watch::Sender<Arc<ServerConfig>>,
    optional: watch::Sender<Arc<ServerConfig>>,
}

impl Own {
    /// The first certificate.
    pub(super) fn new(app: &App) -> Result<(Self, Configs), PkiError> {
        let (required, optional) = make(app)?;
        let own = Self {
            required: watch::Sender::new(required),
            optional: watch::Sender::new(optional),
        };
        let configs = Configs {
            required: own.required.subscribe(),
            optional: own.optional.subscribe(),
        };
        Ok((own, configs))
    }

    /// A new one, for handshakes from now on. When it cannot be made, the old one stays.
    pub(super) fn renew(&self, app: &App) -> Result<(), PkiError> {
        let (required, optional) = make(app)?;
        self.required.send_replace(required);
        self.optional.send_replace(optional);
        Ok(())
    }
}

fn make(app: &App) -> Result<(Arc<ServerConfig>, Arc<ServerConfig>), PkiError> {
    let ca = app.keys.federation_ca();
    let key = SigningKey::generate(Algorithm::Es384)?;
    let issued = ca.issue_server(&app.ambient, &key, &app.settings.federation.names, LIFE)?;
    let identity = Identity {
        chain: vec![issued.der, ca.der().to_vec()],
        key: key.pkcs8().to_vec().into(),
    };
    let roots = [ca.der().to_vec()];
    let config = |clients| tls::server_config(&identity, &roots, clients, &[]).map(Arc::new);
    Ok((config(Clients::Required)?, config(Clients::Optional)?))
}
