//! `exarch membership`: who has which roles in the tenant in force.
use crate::{
    Failure,
    api::Api,
    context::Context,
    listing::{self, At, Listing},
    names::{self, Kind},
    tables::{Column, column},
    times,
    user::USER,
};
use clap::{ArgGroup, Subcommand};
use exarch_common_base::{RegionId, Slug};
use serde_json::{Value, json};

const MEMBERSHIP: Kind = Kind {
    word: "membership",
    plural: "memberships",
    prefix: "mem",
    names: &["/user/email", "/user/id"],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the people of the tenant and their roles
    List,
    /// Show the people of the tenant and their roles, and then how they change, until Ctrl-C
    Watch,
    /// Give a person roles in the tenant
    Grant {
        /// Address or id of somebody who can sign in already
        #[arg(long)]
        user: String,
        /// A role of tenant scope, as tenant-admin or auditor; may be given several times; none for who gets roles in single clusters only
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Only this region, by slug or id; may be given several times; all of the tenant's where not given
        #[arg(long = "only-region", value_name = "REGION")]
        regions: Vec<String>,
        /// When it ends by itself
        #[arg(long, value_name = "TIME", value_parser = times::instant)]
        until: Option<String>,
    },
    /// Change a membership; what is not named stays as it is
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Id, or the person's address
        #[arg(value_name = "MEMBERSHIP|EMAIL")]
        membership: String,
        /// A role in the place of those before; may be given several times
        #[arg(long = "role", value_name = "ROLE", group = "change")]
        roles: Vec<String>,
        /// Only this region, by slug or id; may be given several times
        #[arg(long = "only-region", value_name = "REGION", group = "change")]
        regions: Vec<String>,
        /// All regions of the tenant
        #[arg(long, group = "change", conflicts_with = "regions")]
        all_regions: bool,
        /// When it ends by itself
        #[arg(long, value_name = "TIME", value_parser = times::instant, group = "change")]
        until: Option<String>,
        /// It does not end by itself
        #[arg(long, group = "change", conflicts_with = "until")]
        open: bool,
    },
    /// End a membership, and the sessions that rest on it
    Revoke {
        /// Id, or the person's address
        #[arg(value_name = "MEMBERSHIP|EMAIL")]
        membership: String,
    },
}

const COLUMNS: &[Column] = &[
    column("EMAIL", |r| r.text("/user/email")),
    column("NAME", |r| r.text("/user/display_name")),
    column("ROLES", |r| r.text("/roles")),
    column("REGIONS", |r| r.text("/regions")),
    column("UNTIL", |r| r.age("/until")),
    column("AGE", |r| r.age("/created_at")),
    column("ID", |r| r.id("/id")),
];

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    let path = format!("/v1/tenants/{}/memberships", cx.tenant()?);
    let watching = matches!(command, Command::Watch);
    let global = cx.global_in_tenant().await?;
    match command {
        Command::List | Command::Watch => {
            let listing = Listing::new("memberships", COLUMNS, At::Tenant, path);
            listing::show(cx, watching, &listing).await
        }
        Command::Grant {
            user,
            roles,
            regions,
            until,
        } => {
            let mut body = json!({ "roles": roles });
            body[if USER.is_id(&user) { "user_id" } else { "email" }] = json!(user);
            if !regions.is_empty() {
                body["regions"] = json!(region_ids(&global, &regions).await?);
            }
            if let Some(until) = until {
                body["until"] = json!(until);
            }
            cx.out.one(&global.post(&path, &body).await?)
        }
        Command::Update {
            membership,
            roles,
            regions,
            all_regions,
            until,
            open,
        } => {
            let id = names::resolve(&global, &MEMBERSHIP, &path, &membership, None).await?;
            let mut body = json!({});
            if !roles.is_empty() {
                body["roles"] = json!(roles);
            }
            if all_regions {
                body["regions"] = Value::Null;
            } else if !regions.is_empty() {
                body["regions"] = json!(region_ids(&global, &regions).await?);
            }
            if open || until.is_some() {
                body["until"] = json!(until);
            }
            cx.update(&global, &format!("{path}/{id}"), &body).await
        }
        Command::Revoke { membership } => {
            let id = names::resolve(&global, &MEMBERSHIP, &path, &membership, None).await?;
            cx.confirm(&format!(
                "{membership} loses the roles in this tenant, and is signed out of it."
            ))
            .await?;
            global.delete(&format!("{path}/{id}")).await?;
            cx.out.remark(&format!("{id} has ended."));
            Ok(())
        }
    }
}

/// Ids of the regions that are given by slug or id.
///
/// # Errors
/// One may not be entered.
pub async fn region_ids(global: &Api, regions: &[String]) -> Result<Vec<String>, Failure> {
    if regions.iter().all(|region| region.parse::<RegionId>().is_ok()) {
        return Ok(regions.to_vec());
    }
    let mine = global.list("/v1/me/regions").await?;
    let id = |region: &String| {
        if region.parse::<RegionId>().is_ok() {
            return Ok(region.clone());
        }
        let slug: Option<Slug> = region.parse().ok();
        let found = mine
            .iter()
            .find(|item| slug.as_ref().is_some_and(|slug| item["slug"] == slug.as_str()));
        let found = found.ok_or_else(|| Failure::NotFound(format!("You may enter no region {region:?}.")))?;
        let id = found.get("id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| Failure::Usage(format!("Give the id of {region}: the global does not tell it.")))
    };
    regions.iter().map(id).collect()
}
