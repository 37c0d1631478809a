//! An authority and two ends that trust each other, for tests.
use crate::serve::{AlpnService, ClientCertificate, Connections, Protocol, ServeOptions, TlsListener, serve_tls};
use exarch_common_base::Ambient;
use exarch_common_crypto::{
    pki::{Ca, request},
    sign::{Algorithm, SigningKey},
    tls::{Clients, Identity, client_config, server_config},
};
use rustls::{ClientConfig, ServerConfig};
use std::{net::SocketAddr, sync::Arc};
use time::Duration;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) struct Pki {
    ca: Ca,
}

impl Pki {
    pub(crate) fn new() -> Self {
        exarch_common_crypto::init().unwrap();
        let key = SigningKey::generate(Algorithm::Es384).unwrap();
        let ca = Ca::create(&Ambient::system(), "test", &key, Duration::days(1)).unwrap();
        Self { ca }
    }

    fn identity(&self, key: &SigningKey, leaf: Vec<u8>) -> Identity {
        Identity {
            chain: vec![leaf, self.ca.der().to_vec()],
            key: key.pkcs8().to_vec().into(),
        }
    }

    pub(crate) fn server(&self, clients: Clients) -> Arc<ServerConfig> {
        let key = SigningKey::generate(Algorithm::Es384).unwrap();
        let leaf = self
            .ca
            .issue_server(&Ambient::system(), &key, &["localhost".to_owned()], Duration::days(1))
            .unwrap();
        let identity = self.identity(&key, leaf.der);
        let roots = match clients {
            Clients::None => vec![],
            Clients::Required | Clients::RequiredOrExpired | Clients::Optional => vec![self.ca.der().to_vec()],
        };
        Arc::new(server_config(&identity, &roots, clients, &[]).unwrap())
    }

    pub(crate) fn client(&self, uri: Option<&str>, alpn: &[&str]) -> Arc<ClientConfig> {
        let identity = uri.map(|uri| {
            let key = SigningKey::generate(Algorithm::Es384).unwrap();
            let csr = request(&key).unwrap();
            let leaf = self
                .ca
                .issue_client(&Ambient::system(), &csr, uri, Duration::days(1))
                .unwrap();
            self.identity(&key, leaf.der)
        });
        Arc::new(client_config(&[self.ca.der().to_vec()], identity.as_ref(), alpn).unwrap())
    }
}

/// A running listener.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) connections: Connections,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) fn protocol(
    alpn: &'static str,
    tls: &watch::Receiver<Arc<ServerConfig>>,
    certificate: ClientCertificate,
    service: AlpnService,
) -> Protocol {
    Protocol {
        alpn,
        tls: tls.clone(),
        certificate,
        service,
    }
}

pub(crate) async fn start(protocols: Vec<Protocol>, options: ServeOptions) -> Running {
    let listener = TlsListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (connections, stop) = (Connections::new(), CancellationToken::new());
    let task = tokio::spawn(serve_tls(
        listener,
        protocols,
        options,
        connections.clone(),
        stop.clone(),
    ));
    Running {
        addr,
        connections,
        stop,
        task,
    }
}
