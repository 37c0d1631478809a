use super::*;
use crate::federation::AuthorityKey;
use exarch_common_base::{Ambient, TenantId};
use exarch_common_crypto::sign::Algorithm;

struct World {
    authority: SigningKey,
    region: RegionId,
    tenant: TenantId,
}

impl World {
    fn new() -> Self {
        let ambient = Ambient::system();
        let authority = SigningKey::generate(Algorithm::Ed25519).unwrap();
        Self {
            authority,
            region: ambient.id(),
            tenant: ambient.id(),
        }
    }

    fn tenant(&self, name: &str) -> Tenant {
        Tenant {
            id: self.tenant,
            slug: "acme".parse().unwrap(),
            name: name.into(),
            state: "active".into(),
            entitlement: Entitlement {
                id: Ambient::system().id(),
                from: 0,
                until: None,
                clusters: None,
                hosts: None,
                leases: None,
            },
            users: vec![],
            memberships: vec![],
            custom_roles: vec![],
            api_keys: vec![],
        }
    }

    fn push(&self, version: Version, name: &str, extra: &[(&str, bool)]) -> Push {
        let authority = Authority {
            current: AuthorityKey {
                kid: "a1".into(),
                public: String::new(),
            },
            next: None,
        };
        let mut sections = BTreeMap::from([
            (KEYS.to_owned(), section_bytes(&Keys::default())),
            (AUTHORITY.to_owned(), section_bytes(&authority)),
            (REVOCATIONS.to_owned(), section_bytes(&Revocations::default())),
            (tenant_section(self.tenant), section_bytes(&self.tenant(name))),
        ]);
        sections.extend(extra.iter().map(|(id, _)| ((*id).to_owned(), vec![1])));
        let entries: Vec<_> = sections
            .iter()
            .map(|(id, bytes)| Entry {
                id: id.clone(),
                version,
                sha256: sha256(bytes),
                critical: !extra.contains(&(id.as_str(), false)),
            })
            .collect();
        let manifest = Manifest {
            region: self.region,
            version,
            protocol: (1, 1),
            entries: entries_digest(&entries),
        };
        let manifest = sign_manifest(&self.authority, "a1", &manifest).unwrap();
        let statement = Statement {
            region: self.region,
            version,
            manifest: sha256(&manifest),
            as_of: 1000,
        };
        Push {
            statement: sign_statement(&self.authority, "a1", &statement).unwrap(),
            manifest,
            entries,
            gone: vec![],
            sections: sections.into_iter().map(|(id, b)| (id, SectionBytes(b))).collect(),
        }
    }

    fn verify(&self, passport: &Passport, seen: Option<Version>) -> Result<Verified, Refusal> {
        passport.verify(self.region, |kid| (kid == "a1").then(|| self.authority.public()), seen)
    }
}

#[test]
fn a_pushed_passport_reads_back_through_wire_and_disk() {
    let world = World::new();
    let push = world.push(Version(1, 1), "Acme", &[]);
    let (passport, missing) = Passport::after(None, &Push::from_bytes(&push.to_bytes()).unwrap());
    assert!(missing.is_empty());
    let passport = Passport::from_bytes(&passport.to_bytes()).unwrap();
    let verified = world.verify(&passport, None).unwrap();
    assert_eq!(verified.contents.tenants[&world.tenant].1.name, "Acme");
    assert_eq!(verified.statement.as_of, 1000);
}

#[test]
fn a_change_of_one_tenant_moves_one_section() {
    let world = World::new();
    let (first, _) = Passport::after(None, &world.push(Version(1, 1), "Acme", &[]));
    let full = world.push(Version(1, 2), "Acme Ltd", &[]);
    let id = tenant_section(world.tenant);
    // The other entries keep their version in a real push; here the whole list moved, so all entries go along but
    // only the changed section's bytes.
    let delta = Push {
        sections: full.sections.into_iter().filter(|(i, _)| *i == id).collect(),
        ..full
    };
    let (second, missing) = Passport::after(Some(&first), &delta);
    assert!(missing.is_empty());
    assert_eq!(
        world.verify(&second, Some(Version(1, 1))).unwrap().contents.tenants[&world.tenant]
            .1
            .name,
        "Acme Ltd"
    );
}

#[test]
fn a_section_that_did_not_fit_is_named_missing_and_refused_until_fetched() {
    let world = World::new();
    let mut push = world.push(Version(1, 1), "Acme", &[]);
    let id = tenant_section(world.tenant);
    let bytes = push.sections.remove(&id).unwrap();
    let (mut passport, missing) = Passport::after(None, &push);
    assert_eq!(missing.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    assert_eq!(world.verify(&passport, None), Err(Refusal::Section(id.clone())));
    passport.sections.insert(id, bytes);
    assert!(world.verify(&passport, None).is_ok());
}

#[test]
fn lower_versions_and_other_regions_are_refused() {
    let world = World::new();
    let (passport, _) = Passport::after(None, &world.push(Version(1, 5), "Acme", &[]));
    assert!(world.verify(&passport, Some(Version(1, 5))).is_ok());
    assert_eq!(
        world.verify(&passport, Some(Version(1, 6))),
        Err(Refusal::Lower(Version(1, 5), Version(1, 6)))
    );
    assert_eq!(
        world.verify(&passport, Some(Version(2, 0))),
        Err(Refusal::Lower(Version(1, 5), Version(2, 0)))
    );
    let other = passport.verify(Ambient::system().id(), |_| Some(world.authority.public()), None);
    assert_eq!(other, Err(Refusal::OtherRegion));
}

#[test]
fn a_statement_about_another_manifest_is_refused() {
    let world = World::new();
    let (mut passport, _) = Passport::after(None, &world.push(Version(1, 2), "Acme", &[]));
    passport.statement = world.push(Version(1, 1), "Acme", &[]).statement;
    assert_eq!(world.verify(&passport, None), Err(Refusal::OtherManifest));
}

#[test]
fn unknown_sections_are_kept_unless_critical() {
    let world = World::new();
    let (kept, _) = Passport::after(None, &world.push(Version(1, 1), "Acme", &[("weather", false)]));
    assert!(world.verify(&kept, None).is_ok());
    assert!(kept.sections.contains_key("weather"));
    let (refused, _) = Passport::after(None, &world.push(Version(1, 1), "Acme", &[("weather", true)]));
    assert_eq!(
        world.verify(&refused, None),
        Err(Refusal::UnknownCritical("weather".into()))
    );
}

#[test]
fn every_flipped_byte_of_a_stored_passport_is_refused_or_changes_nothing() {
    let world = World::new();
    let (passport, _) = Passport::after(None, &world.push(Version(1, 1), "Acme", &[]));
    let good = world.verify(&passport, None).unwrap();
    let bytes = passport.to_bytes();
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 0x20;
        if let Some(verified) = Passport::from_bytes(&other).and_then(|p| world.verify(&p, None).ok()) {
            assert_eq!(verified, good, "byte {at}");
        }
    }
}

#[test]
fn tiers_follow_age() {
    let limits = TierLimits::default();
    let tiers: Vec<_> = [0, 900, 901, 86_400, 86_401, 259_200, 259_201]
        .map(|age| limits.tier(age))
        .into();
    assert_eq!(
        tiers,
        [
            Tier::Fresh,
            Tier::Fresh,
            Tier::Stale,
            Tier::Stale,
            Tier::Old,
            Tier::Old,
            Tier::Expired
        ]
    );
}
