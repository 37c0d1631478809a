//! What every command has at hand: the flags, the tokens, a place to print.
use crate::{
    Failure,
    api::Api,
    args::Flags,
    by_key::ByKey,
    failure::Exit,
    names,
    output::Output,
    profile::{self, Store, TenantRef},
    session::Tokens,
    tables::Names,
    terminal,
};
use exarch_common_base::{Ambient, Slug};
use serde_json::Value;

/// What a command works with.
#[derive(Debug)]
pub struct Context {
    /// What every command takes.
    pub flags: Flags,
    /// Where answers go.
    pub out: Output,
    /// The person's tokens.
    pub tokens: Tokens,
    /// Time.
    pub ambient: Ambient,
}

impl Context {
    /// By the flags and the environment.
    pub fn new(flags: Flags, ambient: Ambient) -> Result<Self, Failure> {
        let store = Store::new(profile::directory()?, flags.profile.clone());
        Ok(Self {
            out: Output::new(&flags, ambient.clone()),
            tokens: match &flags.api_key_file {
                None => Tokens::new(store, ambient.clone(), flags.timeout),
                Some(file) => {
                    let key = ByKey::read(file, flags.global_url.as_deref(), flags.region_url.as_deref())?;
                    Tokens::new(store, ambient.clone(), flags.timeout).by_key(key)
                }
            },
            flags,
            ambient,
        })
    }

    /// The global, signed in.
    pub async fn global(&self) -> Result<Api, Failure> {
        self.tokens.global().await
    }

    /// The global, to do something in the tenant in force.
    pub async fn global_in_tenant(&self) -> Result<Api, Failure> {
        self.in_force(self.flags.tenant.as_deref())?;
        self.global().await
    }

    /// The region of `--region`, or the only one there is, entered in the tenant in force.
    pub async fn region(&self) -> Result<Api, Failure> {
        self.in_force(self.flags.tenant.as_deref())?;
        if let Some(region) = self.tokens.region_of_key()? {
            return Ok(region);
        }
        self.enter(&self.region_slug().await?).await
    }

    /// This region, in the tenant in force.
    pub async fn enter(&self, region: &Slug) -> Result<Api, Failure> {
        let reached = self.tokens.region(region).await?;
        if let Some(remark) = reached.remark {
            self.out.remark(&remark);
        }
        Ok(reached.api)
    }

    /// Which region is meant.
    pub async fn region_slug(&self) -> Result<Slug, Failure> {
        if let Some(slug) = &self.flags.region {
            return Ok(slug.clone());
        }
        if let Some(region) = self.tokens.region_of_key()? {
            let me = region.get("/v1/me").await?;
            let slug = me.pointer("/region/slug").and_then(Value::as_str);
            let slug = slug.and_then(|slug| slug.parse().ok());
            return slug.ok_or_else(|| Failure::Failed("The region does not say its name.".into()));
        }
        let mine = match self.global().await {
            Ok(global) => global.list("/v1/me/regions").await,
            Err(failure) => Err(failure),
        };
        let slugs: Vec<Slug> = match mine {
            Ok(items) => items
                .iter()
                .filter_map(|item| item.get("slug")?.as_str()?.parse().ok())
                .collect(),
            // In the dark those that were entered before are the ones known.
            Err(failure) if failure.exit() == Exit::Unreachable && !self.tokens.is_by_key() => {
                let known: Vec<_> = self.tokens.session()?.regions.into_keys().collect();
                if known.is_empty() {
                    return Err(failure);
                }
                known
            }
            Err(failure) => return Err(failure),
        };
        match slugs.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Failure::NotFound("You may enter no region in this tenant.".into())),
            several => {
                let list: Vec<_> = several.iter().map(Slug::as_str).collect();
                Err(Failure::Usage(format!(
                    "Say which region with --region: {}.",
                    list.join(", ")
                )))
            }
        }
    }

    /// The tenant that a path of the global names: `--tenant`, or the one in force.
    pub fn tenant(&self) -> Result<String, Failure> {
        if let Some(tenant) = &self.flags.tenant {
            return tenant_key(tenant);
        }
        let in_force = self.tokens.session()?.tenant;
        in_force
            .map(|tenant| tenant.id)
            .ok_or_else(|| Failure::Usage("Say which tenant with --tenant.".into()))
    }

    /// To work in a tenant it must be in force: switching is deliberate, and `--tenant` only makes sure.
    pub fn in_force(&self, asked: Option<&str>) -> Result<(), Failure> {
        let Some(asked) = asked else { return Ok(()) };
        if self.tokens.is_by_key() {
            return Err(Failure::Usage(
                "An API key works in its own tenant: leave --tenant out.".into(),
            ));
        }
        match self.tokens.session()?.tenant {
            Some(TenantRef { id, slug }) if asked == id || asked == slug => Ok(()),
            Some(TenantRef { slug, .. }) => Err(Failure::Failed(format!(
                "The tenant in force is {slug}: run `exarch tenant switch {asked}` first."
            ))),
            None => Err(Failure::Failed(format!(
                "No tenant is in force: run `exarch tenant switch {asked}` first."
            ))),
        }
    }

    /// Names for the ids in a list, where a person is going to read it; ids where names are not theirs to see.
    pub async fn names(&self, api: &Api, paths: &[&str]) -> Result<Names, Failure> {
        if !self.out.wants_names() {
            return Ok(Names::default());
        }
        match names::of(api, paths).await {
            Err(failure) if matches!(failure.exit(), Exit::Denied | Exit::NotFound) => Ok(Names::default()),
            other => other,
        }
    }

    /// Makes sure that the person means it.
    pub async fn confirm(&self, what: &str) -> Result<(), Failure> {
        if self.flags.yes {
            return Ok(());
        }
        if !terminal::present() {
            return Err(Failure::Usage(format!("{what} Say so with --yes.")));
        }
        match terminal::ask(&format!("{what} [y/N] ")).await?.to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::Failed("Nothing was done.".into())),
        }
    }

    /// Changes what is at `path` as it stands now, and shows it.
    pub async fn update(&self, api: &Api, path: &str, body: &Value) -> Result<(), Failure> {
        self.out.one(&api.change(&api.look(path).await?, body).await?)
    }

    /// Whether the person is one of the provider's staff, and what the global says of them.
    pub async fn me(&self, global: &Api) -> Result<(Value, bool), Failure> {
        let me = global.get("/v1/me").await?;
        let staff = me
            .get("system")
            .and_then(Value::as_array)
            .is_some_and(|roles| !roles.is_empty());
        Ok((me, staff))
    }
}

/// A slug or an id, safe in a path.
pub fn tenant_key(text: &str) -> Result<String, Failure> {
    let is_id = text.parse::<exarch_common_base::TenantId>().is_ok();
    if is_id || text.parse::<Slug>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(Failure::Usage(format!(
        "{text:?} is neither the slug nor the id of a tenant."
    )))
}
