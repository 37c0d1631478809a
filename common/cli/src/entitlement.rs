//! `exarch entitlement`: which tenant may use which region, by the provider's staff.
use crate::{
    Failure,
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column},
    times,
};
use clap::{ArgGroup, Subcommand};
use serde_json::json;

const ENTITLEMENT: Kind = Kind {
    word: "entitlement",
    plural: "entitlements",
    prefix: "ent",
    names: &["/region/slug"],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the regions that --tenant is entitled to
    List,
    /// Show them, and then how they change, until Ctrl-C
    Watch,
    /// Entitle --tenant to --region
    Grant {
        /// From when; now where not given
        #[arg(long, value_name = "TIME", value_parser = times::instant)]
        from: Option<String>,
        /// Until when; open where not given
        #[arg(long, value_name = "TIME", value_parser = times::instant)]
        until: Option<String>,
        /// Clusters at most
        #[arg(long, value_name = "N")]
        clusters: Option<u32>,
        /// Hosts at most
        #[arg(long, value_name = "N")]
        hosts: Option<u32>,
        /// Leases active at one time at most
        #[arg(long, value_name = "N")]
        leases: Option<u32>,
    },
    /// Change an entitlement of --tenant; what is not named stays as it is
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Id, or the region's slug
        #[arg(value_name = "ENTITLEMENT|REGION")]
        entitlement: String,
        /// Until when
        #[arg(long, value_name = "TIME", value_parser = times::instant, group = "change")]
        until: Option<String>,
        /// It does not end by itself
        #[arg(long, group = "change", conflicts_with = "until")]
        open: bool,
        /// Clusters at most, or `unlimited`
        #[arg(long, value_name = "N", value_parser = limit, group = "change")]
        clusters: Option<Limit>,
        /// Hosts at most, or `unlimited`
        #[arg(long, value_name = "N", value_parser = limit, group = "change")]
        hosts: Option<Limit>,
        /// Leases active at one time at most, or `unlimited`
        #[arg(long, value_name = "N", value_parser = limit, group = "change")]
        leases: Option<Limit>,
    },
    /// End an entitlement of --tenant
    Revoke {
        /// Id, or the region's slug
        #[arg(value_name = "ENTITLEMENT|REGION")]
        entitlement: String,
    },
}

/// A number, or none.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Option<u32>);

fn limit(text: &str) -> Result<Limit, String> {
    if text == "unlimited" {
        return Ok(Limit(None));
    }
    let number = text.parse().map_err(|_| "expected a number, or unlimited".to_owned())?;
    Ok(Limit(Some(number)))
}

const COLUMNS: &[Column] = &[
    column("REGION", |r| r.text("/region/slug")),
    column("FROM", |r| r.age("/from")),
    column("UNTIL", |r| r.age("/until")),
    column("CLUSTERS", |r| r.text("/limits/clusters")),
    column("HOSTS", |r| r.text("/limits/hosts")),
    column("LEASES", |r| r.text("/limits/leases")),
    column("ID", |r| r.id("/id")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    // Whose rights change is said, never guessed from the tenant that happens to be in force.
    if cx.flags.tenant.is_none() && !matches!(command, Command::List | Command::Watch) {
        return Err(Failure::Usage("Say whose with --tenant.".into()));
    }
    let path = format!("/v1/tenants/{}/entitlements", cx.tenant()?);
    let watching = matches!(command, Command::Watch);
    let global = cx.global().await?;
    match command {
        Command::List | Command::Watch => {
            let listing = Listing::new("entitlements", COLUMNS, At::Global, path);
            listing::show(cx, watching, &listing).await
        }
        Command::Grant {
            from,
            until,
            clusters,
            hosts,
            leases,
        } => {
            let region = cx.flags.region.as_ref();
            let region = region.ok_or_else(|| Failure::Usage("Say which region with --region.".into()))?;
            let mut body = json!({ "region": region });
            for (key, time) in [("from", from), ("until", until)] {
                if let Some(time) = time {
                    body[key] = json!(time);
                }
            }
            for (key, most) in [("clusters", clusters), ("hosts", hosts), ("leases", leases)] {
                if let Some(most) = most {
                    body["limits"][key] = json!(most);
                }
            }
            cx.out.one(&global.post(&path, &body).await?)
        }
        Command::Update {
            entitlement,
            until,
            open,
            clusters,
            hosts,
            leases,
        } => {
            let id = names::resolve(&global, &ENTITLEMENT, &path, &entitlement, None).await?;
            let mut body = json!({});
            if open || until.is_some() {
                body["until"] = json!(until);
            }
            for (key, most) in [("clusters", clusters), ("hosts", hosts), ("leases", leases)] {
                if let Some(Limit(most)) = most {
                    body["limits"][key] = json!(most);
                }
            }
            cx.update(&global, &format!("{path}/{id}"), &body).await
        }
        Command::Revoke { entitlement } => {
            let id = names::resolve(&global, &ENTITLEMENT, &path, &entitlement, None).await?;
            cx.confirm(&format!("The tenant loses its access to the region ({id})."))
                .await?;
            global.delete(&format!("{path}/{id}")).await?;
            cx.out.remark(&format!("{id} has ended."));
            Ok(())
        }
    }
}
