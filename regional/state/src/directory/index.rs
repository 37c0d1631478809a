//! What the passport says, laid out for reading: built whole, swapped whole, never changed.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_authz::{Binding, BoundRole, CustomRole, On, Role, TenantState};
use exarch_common_base::{BreakGlassId, EntitlementId, KeyId, MembershipId, SessionId, Slug, TenantId, UserId};
use exarch_common_crypto::{
    hash::sha256_hex,
    sign::{Algorithm, PublicKey},
};
use exarch_common_wire::{
    api_key::Cidr,
    passport::{Contents, KeySecret, Membership, Tenant},
    user_token::Version,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use time::OffsetDateTime;

/// One applied passport.
#[derive(Debug)]
pub struct Index {
    version: Version,
    issuer: String,
    keys: HashMap<String, PublicKey>,
    revoked: BTreeMap<SessionId, i64>,
    tenants: HashMap<TenantId, TenantEntry>,
    api_keys: HashMap<KeyId, TenantId>,
    digest: String,
}

/// A tenant that is entitled to this region.
#[derive(Debug)]
pub struct TenantEntry {
    /// Its id.
    pub id: TenantId,
    /// Its slug.
    pub slug: Slug,
    /// Its name.
    pub name: String,
    /// Its state; a word that this build does not know is an incident.
    pub state: TenantState,
    /// Its right to be here.
    pub entitlement: EntitlementEntry,
    /// People with a membership that reaches this region.
    pub users: HashMap<UserId, UserEntry>,
    /// Their roles.
    pub memberships: HashMap<UserId, Vec<MembershipEntry>>,
    /// Roles that the tenant made for itself.
    pub custom_roles: Vec<Arc<CustomRole>>,
    /// Its keys that are good here.
    pub api_keys: HashMap<KeyId, KeyEntry>,
    /// Version of the section that says all this.
    pub version: Version,
}

/// A tenant's right to this region.
#[derive(Clone, Debug)]
pub struct EntitlementEntry {
    /// Its id.
    pub id: EntitlementId,
    /// From when.
    pub from: i64,
    /// Until when, open if absent; seconds since 1970.
    pub until: Option<i64>,
    /// Clusters at most.
    pub clusters: Option<u32>,
    /// Hosts at most.
    pub hosts: Option<u32>,
    /// Leases active at one time at most.
    pub leases: Option<u32>,
}

impl EntitlementEntry {
    /// Whether it holds at `now`.
    pub fn holds(&self, now: OffsetDateTime) -> bool {
        let now = now.unix_timestamp();
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

/// A person.
#[derive(Clone, Debug)]
pub struct UserEntry {
    /// How the person is shown.
    pub display_name: String,
    /// Anything but `active` may not enter.
    pub active: bool,
}

/// What a person may do in the tenant.
#[derive(Clone, Debug)]
pub struct MembershipEntry {
    /// The membership.
    pub id: Option<MembershipId>,
    /// Tenant-scope roles; a name that this build does not know gives nothing.
    pub roles: Vec<BoundRole>,
    /// Until when; open if absent.
    pub until: Option<OffsetDateTime>,
    /// The break-glass that it is: only a token of this break-glass has it.
    pub break_glass: Option<BreakGlassId>,
}

impl MembershipEntry {
    /// Whether it holds at `now`.
    pub fn holds(&self, now: OffsetDateTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Its bindings in `tenant`.
    pub fn bindings(&self, tenant: TenantId) -> impl Iterator<Item = Binding> {
        self.roles.iter().map(move |role| Binding {
            role: role.clone(),
            on: On::Tenant(tenant),
            until: self.until,
        })
    }
}

/// An API key.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// Its owner's membership.
    pub membership: MembershipId,
    /// Whose that is.
    pub owner: UserId,
    /// What it may do at most.
    pub role: BoundRole,
    /// From where; from anywhere when empty.
    pub cidrs: Vec<Cidr>,
    /// Until when; open if absent; seconds since 1970.
    pub until: Option<i64>,
    /// What verifies it; nothing for a federated one.
    pub secrets: Vec<KeySecret>,
}

/// A passport that verifies and says what cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A key in it is none.
    #[error("the user key {0} is not a point on P-256")]
    Key(String),
    /// A key of the authority in it is none.
    #[error("the authority's key {0} is not an Ed25519 key")]
    Authority(String),
    /// A time in it is none.
    #[error("the end of a membership in {0} is not a time")]
    Time(TenantId),
}

impl Index {
    /// Lays out the contents of a verified passport.
    ///
    /// # Errors
    /// [`Unusable`]; then the passport before it stays.
    pub fn build(version: Version, contents: &Contents) -> Result<Self, Unusable> {
        let keys = contents.keys.keys.iter().map(|key| {
            let raw = B64.decode(&key.public).ok();
            let public = raw.and_then(|raw| PublicKey::from_raw(Algorithm::Es256, &raw).ok());
            public
                .map(|public| (key.kid.clone(), public))
                .ok_or_else(|| Unusable::Key(key.kid.clone()))
        });
        let tenants = contents
            .tenants
            .iter()
            .map(|(id, (version, tenant))| entry(*version, tenant).map(|entry| (*id, entry)));
        let tenants = tenants.collect::<Result<HashMap<_, _>, _>>()?;
        let keys_of = |entry: &TenantEntry| entry.api_keys.keys().map(|key| (*key, entry.id)).collect::<Vec<_>>();
        Ok(Self {
            version,
            issuer: contents.keys.issuer.clone(),
            keys: keys.collect::<Result<_, _>>()?,
            revoked: contents.revocations.sessions.clone(),
            api_keys: tenants.values().flat_map(keys_of).collect(),
            tenants,
            digest: digest(contents),
        })
    }

    /// The passport's version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Who makes users' tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key that verifies users' tokens of this key id.
    pub fn key(&self, kid: &str) -> Option<&PublicKey> {
        self.keys.get(kid)
    }

    /// Whether a session was ended before its time.
    pub fn revoked(&self, session: SessionId) -> bool {
        self.revoked.contains_key(&session)
    }

    /// A tenant that the passport entitles to this region, whether or not its time has come or gone.
    pub fn tenant(&self, id: TenantId) -> Option<&TenantEntry> {
        self.tenants.get(&id)
    }

    /// An API key and its tenant.
    pub fn api_key(&self, id: KeyId) -> Option<(&TenantEntry, &KeyEntry)> {
        let entry = self.tenants.get(self.api_keys.get(&id)?)?;
        Some((entry, entry.api_keys.get(&id)?))
    }

    /// All of them, in no order.
    pub fn tenants(&self) -> impl ExactSizeIterator<Item = &TenantEntry> {
        self.tenants.values()
    }

    /// SHA-256 over tenants and versions of their sections, hexadecimal.
    pub fn entitlement_digest(&self) -> &str {
        &self.digest
    }
}

pub(super) fn entry(version: Version, tenant: &Tenant) -> Result<TenantEntry, Unusable> {
    let Ok(state) = tenant.state.parse();
    let users = tenant.users.iter().map(|user| {
        let entry = UserEntry {
            display_name: user.display_name.clone(),
            active: user.state == "active",
        };
        (user.id, entry)
    });
    let custom = tenant.custom_roles.iter().filter_map(|role| {
        let scope = role.scope.parse().ok()?;
        let role = CustomRole::new(role.name.clone(), scope, &role.permissions);
        Some(Arc::new(role))
    });
    let custom_roles: Vec<_> = custom.collect();
    let mut memberships: HashMap<UserId, Vec<MembershipEntry>> = HashMap::new();
    for membership in &tenant.memberships {
        let until = membership.until.map(OffsetDateTime::from_unix_timestamp).transpose();
        memberships.entry(membership.user).or_default().push(MembershipEntry {
            id: membership.id,
            roles: roles(&custom_roles, membership),
            until: until.map_err(|_| Unusable::Time(tenant.id))?,
            break_glass: membership.break_glass,
        });
    }
    let api_keys = tenant.api_keys.iter().filter_map(|key| {
        let membership = tenant.memberships.iter().find(|m| m.id == Some(key.membership))?;
        let cidrs: Result<Vec<Cidr>, _> = key.cidrs.iter().map(|cidr| cidr.parse()).collect();
        let entry = KeyEntry {
            membership: key.membership,
            owner: membership.user,
            role: BoundRole::among(&custom_roles, &[&key.role]).pop()?,
            cidrs: cidrs.ok()?,
            until: key.until,
            secrets: key.secrets.clone(),
        };
        Some((key.id, entry))
    });
    Ok(TenantEntry {
        api_keys: api_keys.collect(),
        id: tenant.id,
        slug: tenant.slug.clone(),
        name: tenant.name.clone(),
        state,
        entitlement: EntitlementEntry {
            id: tenant.entitlement.id,
            from: tenant.entitlement.from,
            until: tenant.entitlement.until,
            clusters: tenant.entitlement.clusters,
            hosts: tenant.entitlement.hosts,
            leases: tenant.entitlement.leases,
        },
        users: users.collect(),
        memberships,
        custom_roles,
        version,
    })
}

/// A break-glass has the roles that nothing else has, and no others.
fn roles(custom: &[Arc<CustomRole>], membership: &Membership) -> Vec<BoundRole> {
    if membership.break_glass.is_none() {
        return BoundRole::among(custom, &membership.roles);
    }
    let named = membership.roles.iter().filter_map(|name| name.parse::<Role>().ok());
    named
        .filter(|role| role.is_break_glass())
        .map(BoundRole::from)
        .collect()
}

fn digest(contents: &Contents) -> String {
    let mut text = String::new();
    for (id, (version, _)) in &contents.tenants {
        text.push_str(&format!("{id} {version}\n"));
    }
    sha256_hex(text.as_bytes())
}
