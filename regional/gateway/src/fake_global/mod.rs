//! A global controller for tests: signs passports and users' tokens, hands out keys, and on demand listens like a real one.
//! And gateways that joined it, each on a database and a disk of its own choice.
#![allow(dead_code, reason = "a room uses what it needs")]
mod caller;
pub(crate) mod listener;
mod tests;

pub(crate) use caller::Caller;

use crate::{
    app::{App, Pools},
    federation,
    settings::Settings,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_authz::TenantState;
use exarch_common_base::{Ambient, RegionId, SessionId, TenantId, UserId};
use exarch_common_crypto::{
    hash::sha256,
    pki::Ca,
    seal::Sealer,
    sign::{Algorithm, SigningKey},
};
use exarch_common_pg::{Login, SystemTx};
use exarch_common_testkit::db::TestDb;
use exarch_common_wire::{
    federation::{AuthorityKey, Direction, HandedSecret, Joined},
    names,
    passport::{
        AUTHORITY, Authority, Entitlement, Entry, KEYS, Keys, Manifest, Membership, Push, REVOCATIONS, Revocations,
        SectionBytes, Statement, Tenant, User, UserKey, entries_digest, section_bytes, sign_manifest, sign_statement,
        tenant_section,
    },
    service::ServiceKey,
    tombstone::Tombstone,
    user_token::{self, Claims, InRegion, Version},
};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) const ISSUER: &str = "http://localhost:8440";

/// The global.
pub(crate) struct FakeGlobal {
    pub(crate) ambient: Ambient,
    pub(crate) region: RegionId,
    pub(crate) users: SigningKey,
    pub(crate) ca: Ca,
    pub(crate) up: ServiceKey,
    pub(crate) down: ServiceKey,
    /// What followed them, oldest first.
    pub(crate) next: Mutex<Vec<(Direction, ServiceKey)>>,
    /// The clock by which regions' certificates are made, when it is not the present one.
    pub(crate) issues_at: Mutex<Option<Ambient>>,
    authority: Mutex<(String, SigningKey)>,
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    version: Version,
    sections: BTreeMap<String, (Entry, Vec<u8>)>,
    gone: BTreeMap<String, Version>,
    revoked: BTreeMap<SessionId, i64>,
}

/// A person of a tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) tenant: TenantId,
    pub(crate) session: SessionId,
}

impl FakeGlobal {
    pub(crate) fn new(ambient: &Ambient) -> Self {
        let global = Self {
            ambient: ambient.clone(),
            region: ambient.id(),
            users: SigningKey::generate(Algorithm::Es256).unwrap(),
            ca: Ca::create(
                ambient,
                "Exarch federation",
                &SigningKey::generate(Algorithm::Es384).unwrap(),
                time::Duration::days(3650),
            )
            .unwrap(),
            up: ServiceKey::generate(ambient),
            down: ServiceKey::generate(ambient),
            next: Mutex::default(),
            issues_at: Mutex::default(),
            authority: Mutex::new(("a1".to_owned(), SigningKey::generate(Algorithm::Ed25519).unwrap())),
            content: Mutex::default(),
        };
        global.content.lock().unwrap().version = Version(1, 0);
        let keys = Keys {
            issuer: ISSUER.to_owned(),
            keys: vec![UserKey {
                kid: "u1".to_owned(),
                public: B64.encode(global.users.public().raw()),
            }],
        };
        global.put(KEYS, &keys);
        global.announce(None);
        global.put(REVOCATIONS, &Revocations::default());
        global
    }

    /// The secrets of a direction, newest first.
    pub(crate) fn secrets(&self, direction: Direction) -> Vec<ServiceKey> {
        let first = match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        };
        let next = self.next.lock().unwrap();
        let next = next.iter().rev().filter(|(of, _)| *of == direction);
        next.map(|(_, key)| key.clone()).chain([first.clone()]).collect()
    }

    /// Puts a section in its place, in a new version of the passport.
    pub(crate) fn put(&self, id: &str, content: &impl Serialize) -> Version {
        self.put_as(id, content, false)
    }

    pub(crate) fn put_as(&self, id: &str, content: &impl Serialize, critical: bool) -> Version {
        let bytes = section_bytes(content);
        let mut held = self.content.lock().unwrap();
        held.version.1 += 1;
        let version = held.version;
        let entry = Entry {
            id: id.to_owned(),
            version,
            sha256: sha256(&bytes),
            critical,
        };
        held.gone.remove(id);
        held.sections.insert(id.to_owned(), (entry, bytes));
        version
    }

    /// Takes a section out.
    pub(crate) fn remove(&self, id: &str) -> Version {
        let mut held = self.content.lock().unwrap();
        held.version.1 += 1;
        let version = held.version;
        held.sections.remove(id).unwrap();
        held.gone.insert(id.to_owned(), version);
        version
    }

    /// Its word, signed, that `region` was removed at the beginning of 2026.
    pub(crate) fn tombstone(&self, region: RegionId) -> Vec<u8> {
        let authority = self.authority.lock().unwrap();
        let tombstone = Tombstone {
            region,
            removed_at: 1_767_225_600,
        };
        tombstone.sign(&authority.1, &authority.0).unwrap()
    }

    /// The authority's section: the present key and perhaps the next.
    pub(crate) fn announce(&self, next: Option<&(String, SigningKey)>) {
        let wire = |(kid, key): &(String, SigningKey)| AuthorityKey {
            kid: kid.clone(),
            public: B64.encode(key.public().raw()),
        };
        let authority = Authority {
            current: wire(&self.authority.lock().unwrap()),
            next: next.map(wire),
        };
        self.put(AUTHORITY, &authority);
    }

    /// Signs with another key from now on.
    pub(crate) fn switch(&self, to: (String, SigningKey)) -> (String, SigningKey) {
        std::mem::replace(&mut *self.authority.lock().unwrap(), to)
    }

    pub(crate) fn authority_key(&self) -> AuthorityKey {
        let held = self.authority.lock().unwrap();
        AuthorityKey {
            kid: held.0.clone(),
            public: B64.encode(held.1.public().raw()),
        }
    }

    /// A tenant with one administrator; `change` makes it another.
    pub(crate) fn tenant(&self, slug: &str, change: impl FnOnce(&mut Tenant)) -> Person {
        let person = Person {
            user: self.ambient.id(),
            tenant: self.ambient.id(),
            session: self.ambient.id(),
        };
        self.change_tenant(person, slug, change);
        person
    }

    pub(crate) fn change_tenant(&self, person: Person, slug: &str, change: impl FnOnce(&mut Tenant)) -> Version {
        let mut tenant = Tenant {
            id: person.tenant,
            slug: slug.parse().unwrap(),
            name: slug.to_uppercase(),
            state: TenantState::Active.as_str().to_owned(),
            entitlement: Entitlement {
                id: self.ambient.id(),
                from: 0,
                until: None,
                clusters: None,
                hosts: None,
                leases: None,
            },
            users: vec![User {
                id: person.user,
                display_name: "Ada".to_owned(),
                state: "active".to_owned(),
            }],
            memberships: vec![Membership {
                id: None,
                user: person.user,
                roles: vec!["tenant-admin".to_owned()],
                until: None,
                break_glass: None,
            }],
            custom_roles: Vec::new(),
            api_keys: Vec::new(),
        };
        change(&mut tenant);
        self.put(&tenant_section(person.tenant), &tenant)
    }

    pub(crate) fn revoke(&self, session: SessionId) -> Version {
        let sessions = {
            let mut held = self.content.lock().unwrap();
            held.revoked.insert(session, i64::MAX);
            held.revoked.clone()
        };
        self.put(REVOCATIONS, &Revocations { sessions })
    }

    pub(crate) fn version(&self) -> Version {
        self.content.lock().unwrap().version
    }

    /// What a region that has `have` lacks.
    pub(crate) fn push(&self, have: Option<Version>) -> Push {
        self.push_for(self.region, have)
    }

    pub(crate) fn push_for(&self, region: RegionId, have: Option<Version>) -> Push {
        let held = self.content.lock().unwrap();
        let newer = |version: Version| have.is_none_or(|have| have < version);
        let manifest = Manifest {
            region,
            version: held.version,
            protocol: (1, 1),
            entries: entries_digest(held.sections.values().map(|(entry, _)| entry)),
        };
        let authority = self.authority.lock().unwrap();
        let manifest = sign_manifest(&authority.1, &authority.0, &manifest).unwrap();
        let changed = held.sections.values().filter(|(entry, _)| newer(entry.version));
        Push {
            statement: statement(
                &authority,
                region,
                held.version,
                &manifest,
                self.ambient.now().unix_timestamp(),
            ),
            manifest,
            entries: changed.clone().map(|(entry, _)| entry.clone()).collect(),
            gone: held
                .gone
                .iter()
                .filter(|(_, version)| newer(**version))
                .map(|(id, _)| id.clone())
                .collect(),
            sections: changed
                .map(|(entry, bytes)| (entry.id.clone(), SectionBytes(bytes.clone())))
                .collect(),
        }
    }

    /// A statement of `as_of` about the present passport, as a poll with nothing new brings it.
    pub(crate) fn restated(&self, as_of: i64) -> Push {
        let push = self.push(None);
        let authority = self.authority.lock().unwrap();
        Push {
            statement: statement(&authority, self.region, self.version(), &push.manifest, as_of),
            entries: Vec::new(),
            sections: BTreeMap::new(),
            gone: Vec::new(),
            ..push
        }
    }

    pub(crate) fn section(&self, id: &str) -> Option<Vec<u8>> {
        let held = self.content.lock().unwrap();
        held.sections.get(id).map(|(_, bytes)| bytes.clone())
    }

    /// Claims of a region token, as the exchange makes them now.
    pub(crate) fn claims(&self, person: Person) -> Claims {
        let now = self.ambient.now().unix_timestamp();
        let held = self.content.lock().unwrap();
        let section = held.sections.get(&tenant_section(person.tenant));
        Claims {
            iss: ISSUER.to_owned(),
            sub: person.user,
            aud: names::region(self.region),
            iat: now,
            nbf: now,
            exp: now + 900,
            jti: self.ambient.uuid().to_string(),
            sid: person.session,
            tid: Some(person.tenant),
            roles: vec!["tenant-admin".to_owned()],
            amr: vec!["pwd".to_owned()],
            auth_time: now,
            region: Some(InRegion {
                rid: self.region,
                sxp: now + 7 * 24 * 3600,
                ten_v: section.map_or(held.version, |(entry, _)| entry.version),
            }),
            bg: None,
            cnf: None,
        }
    }

    pub(crate) fn sign(&self, claims: &Claims) -> String {
        user_token::sign(&self.users, "u1", claims).unwrap()
    }

    pub(crate) fn token(&self, person: Person) -> String {
        self.sign(&self.claims(person))
    }

    /// What joining is answered with.
    pub(crate) fn joined(&self, csr: &[u8]) -> Joined {
        let uri = names::region_uri(self.region);
        let at = self.issues_at.lock().unwrap().clone();
        let issued = self
            .ca
            .issue_client(
                at.as_ref().unwrap_or(&self.ambient),
                csr,
                &uri,
                time::Duration::days(30),
            )
            .unwrap();
        let hand = |key: &ServiceKey| HandedSecret {
            kid: key.kid.clone(),
            secret: B64.encode(exarch_common_base::ExposeSecret::expose_secret(&key.secret)),
        };
        Joined {
            region: self.region,
            slug: "eu-north".parse().unwrap(),
            name: "EU North".to_owned(),
            certificate: B64.encode(&issued.der),
            federation_ca: B64.encode(self.ca.der()),
            authority: self.authority_key(),
            issuer: ISSUER.to_owned(),
            up: hand(&self.up),
            down: hand(&self.down),
        }
    }

    /// Writes into `db` what joining writes, without a network; `addr` is where the region will look for the global.
    pub(crate) async fn enlist(&self, db: &TestDb, addr: &str) {
        let mut tx = SystemTx::begin(&db.app().await, "enlist").await.unwrap();
        federation::enlist(&mut tx, &self.ambient, &sealer(), addr, |csr| self.joined(csr))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

fn statement(
    authority: &(String, SigningKey),
    region: RegionId,
    version: Version,
    manifest: &[u8],
    as_of: i64,
) -> Vec<u8> {
    let statement = Statement {
        region,
        version,
        manifest: sha256(manifest),
        as_of,
    };
    sign_statement(&authority.1, &authority.0, &statement).unwrap()
}

pub(crate) fn sealer() -> Sealer {
    Sealer::new(&vec![7; 32].into()).unwrap()
}

pub(crate) async fn pools(db: &TestDb) -> Pools {
    Pools {
        app: db.app().await,
        sweep: db.sweep().await,
        renew: db.renew().await,
        listen: db.settings(Login::App),
    }
}

pub(crate) fn settings(dir: &Path) -> Settings {
    serde_json::from_value(serde_json::json!({
        "public": { "url": "http://127.0.0.1:9440" },
        "agents": { "names": ["localhost"], "url": "https://127.0.0.1:9441" },
        "database": { "app_url_file": "/nowhere", "sweep_url_file": "/nowhere", "renew_url_file": "/nowhere" },
        "keys": { "master_file": "/nowhere" },
        "state": { "dir": dir },
        "federation": { "poll": "30s", "retry": "1s", "secret_rotation": "365d" },
    }))
    .unwrap()
}

/// Opens the gateway of a region that has joined.
pub(crate) async fn open(ambient: &Ambient, db: &TestDb, dir: &Path) -> App {
    let app = App::open(ambient.clone(), settings(dir), &Arc::new(sealer()), pools(db).await)
        .await
        .unwrap();
    app.instances.has_read(ambient.boot());
    app
}

/// The name of a problem; empty for what is none.
pub(crate) fn slug(body: &Value) -> String {
    let kind = body["type"].as_str().unwrap_or_default();
    kind.strip_prefix("urn:exarch:problem:").unwrap_or_default().to_owned()
}

/// Waits until `condition` holds, at most ten seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl std::fmt::Debug for FakeGlobal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeGlobal")
    }
}
