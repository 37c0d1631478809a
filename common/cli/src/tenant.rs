//! `exarch tenant`: the register for staff, one's own tenants for everybody else, and which one is in force.
use crate::{
    Failure, bootstrap,
    context::{Context, tenant_key},
    listing::{self, At, Listing},
    login,
    names::{self, Kind},
    session::read,
    tables::{Column, Names, column, state},
};
use clap::Subcommand;
use exarch_common_base::Slug;
use serde_json::{Value, json};

const TENANT: Kind = Kind {
    word: "tenant",
    plural: "tenants",
    prefix: "ten",
    names: &["/slug"],
};

/// Verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the tenants of the federation, or those you belong to
    List,
    /// Show the tenants of the federation, and then how they change, until Ctrl-C; for staff
    Watch,
    /// Show one tenant
    Get {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        key: String,
    },
    /// Make a tenant, with its first administrator
    Create {
        /// Its name in commands; never used again
        #[arg(value_name = "TENANT")]
        slug: Slug,
        /// Its name for people
        #[arg(long)]
        name: String,
        /// Address of the first administrator
        #[arg(long, value_name = "EMAIL", requires = "admin_name")]
        admin_email: Option<String>,
        /// How the first administrator is shown
        #[arg(long, value_name = "NAME", requires = "admin_email")]
        admin_name: Option<String>,
    },
    /// Give a tenant another name for people; its slug stays
    Update {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        key: String,
        /// Its new name
        #[arg(long)]
        name: String,
    },
    /// Suspend a tenant: for billing it still reads, in an incident its administrators and auditors do, held it cannot be deleted
    Suspend {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        key: String,
        /// What the suspension leaves to the tenant
        #[arg(long, value_parser = ["billing", "incident", "hold"])]
        cause: String,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
    },
    /// Make a suspended tenant active again
    Resume {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        key: String,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
    },
    /// Begin the deletion of a tenant: its workloads stop, and only exports still work
    Delete {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        key: String,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
    },
    /// Stop the deletion of a tenant; it is held until it is resumed
    Restore {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        key: String,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
    },
    /// Show what the tenant in force asks of its people, or change it
    Settings {
        /// Whether everybody in the tenant gives a second factor at each sign-in
        #[arg(long, value_parser = ["optional", "required"])]
        second_factor: Option<String>,
    },
    /// Put another of your tenants in force; the session for the one before ends
    Switch {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        key: String,
    },
}

const REGISTER: &[Column] = &[
    column("TENANT", |r| r.text("/slug")),
    column("NAME", |r| r.text("/name")),
    state("STATE", |r| r.text("/state")),
    column("SINCE", |r| r.age("/state_since")),
    column("AGE", |r| r.age("/created_at")),
    column("ID", |r| r.id("/id")),
];

const MINE: &[Column] = &[
    column("TENANT", |r| r.text("/slug")),
    column("NAME", |r| r.text("/name")),
    state("IN FORCE", |r| r.text("/in_force")),
    column("ID", |r| r.id("/id")),
];

fn register() -> Listing {
    Listing::new("tenants", REGISTER, At::Global, "/v1/tenants")
}

/// Runs a verb.
pub async fn run(cx: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::List => {
            let global = cx.global().await?;
            let (me, staff) = cx.me(&global).await?;
            if staff {
                return listing::show(cx, false, &register()).await;
            }
            cx.out.list("tenants", MINE, &mine(&me), &Names::default())
        }
        Command::Watch => listing::show(cx, true, &register()).await,
        Command::Get { key } => {
            let key = tenant_key(&key)?;
            let global = cx.global().await?;
            let (me, staff) = cx.me(&global).await?;
            if staff {
                return cx.out.one(&global.get(&format!("/v1/tenants/{key}")).await?);
            }
            let mine = mine(&me);
            let id = names::pick(&TENANT, &key, &mine)?;
            mine.iter()
                .filter(|tenant| tenant["id"] == id)
                .try_for_each(|tenant| cx.out.one(tenant))
        }
        Command::Create {
            slug,
            name,
            admin_email,
            admin_name,
        } => {
            let mut body = json!({ "slug": slug, "name": name });
            if let Some((email, shown)) = admin_email.zip(admin_name) {
                body["admin"] = json!({ "email": email, "display_name": shown });
            }
            let answer = cx.global().await?.post("/v1/tenants", &body).await?;
            bootstrap::person(cx, &answer, &answer["admin"])
        }
        Command::Update { key, name } => {
            let global = cx.global().await?;
            cx.update(
                &global,
                &format!("/v1/tenants/{}", tenant_key(&key)?),
                &json!({ "name": name }),
            )
            .await
        }
        Command::Suspend { key, cause, reason } => {
            step(cx, &key, "suspend", &json!({ "cause": cause, "reason": reason })).await
        }
        Command::Resume { key, reason } => step(cx, &key, "resume", &json!({ "reason": reason })).await,
        Command::Delete { key, reason } => {
            let asked = format!("The workloads of tenant {key} stop, and its people can only export.");
            cx.confirm(&asked).await?;
            step(cx, &key, "delete", &json!({ "reason": reason })).await
        }
        Command::Restore { key, reason } => step(cx, &key, "restore", &json!({ "reason": reason })).await,
        Command::Settings { second_factor } => {
            let path = format!("/v1/tenants/{}/settings", cx.tenant()?);
            let global = cx.global_in_tenant().await?;
            match second_factor {
                Some(demand) => cx.update(&global, &path, &json!({ "second_factor": demand })).await,
                None => cx.out.one(&global.get(&path).await?),
            }
        }
        Command::Switch { key } => switch(cx, &tenant_key(&key)?).await,
    }
}

/// One step of a tenant's life; answers the tenant as it is then.
async fn step(cx: &Context, key: &str, action: &str, body: &Value) -> Result<(), Failure> {
    let path = format!("/v1/tenants/{}/{action}", tenant_key(key)?);
    cx.out.one(&cx.global().await?.post(&path, body).await?)
}

fn mine(me: &Value) -> Vec<Value> {
    let mut tenants = me.get("tenants").and_then(Value::as_array).cloned().unwrap_or_default();
    for tenant in &mut tenants {
        tenant["in_force"] = json!(tenant.get("id") == me.pointer("/tenant/id"));
    }
    tenants
}

async fn switch(cx: &Context, key: &str) -> Result<(), Failure> {
    let locked = cx.tokens.store().lock().await?;
    let (global, session) = cx.tokens.fresh_under(&locked).await?;
    let now = cx.ambient.now();
    let api = cx.tokens.anonymous(&global)?.bearer(session.access.token);
    let (pair, tenant) = login::begun(api.post("/v1/me/tenant", &json!({ "tenant": key })).await?)?;
    let mut profile = locked.load()?;
    profile.session = Some(pair.begin(session.user.clone(), tenant.clone(), now));
    // The pair before it has ended: what replaces it is on disk before anything else can fail.
    locked.save_session(&mut profile).await?;
    if tenant.is_none() {
        let (global, session) = cx.tokens.fresh_under(&locked).await?;
        let me = cx
            .tokens
            .anonymous(&global)?
            .bearer(session.access.token)
            .get("/v1/me")
            .await?;
        let in_force = me
            .get("tenant")
            .cloned()
            .filter(|tenant| !tenant.is_null())
            .map(read)
            .transpose()?;
        let mut profile = locked.load()?;
        if let Some(session) = &mut profile.session {
            session.tenant = in_force;
        }
        locked.save(&profile)?;
    }
    let tenant = locked.load()?.session.and_then(|session| session.tenant);
    let slug = tenant.as_ref().map_or(key, |tenant| tenant.slug.as_str());
    cx.out.remark(&format!("The tenant in force is {slug}."));
    if cx.out.is_data() {
        cx.out.one(&json!({ "tenant": tenant }))
    } else {
        Ok(())
    }
}
