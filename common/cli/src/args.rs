//! The flags that every command takes, and the table of commands.
use crate::{
    Failure, agent, api_key, apply, audit, binding, break_glass, cluster, context::Context, continuity, entitlement,
    host, invitation, lease, login, logout, manual, membership, provider_access, region, resource, role, sessions,
    tenant, times, user, version, whoami, why, workload,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use exarch_common_base::Slug;
use std::{path::PathBuf, time::Duration};

/// The federation at the command line.
#[derive(Parser, Debug)]
#[command(
    name = "exarch",
    version,
    about = "The federation at the command line: sign in once, work in every region you may enter",
    after_help = "Exit codes: 0 ok, 1 error, 2 usage, 3 denied, 4 not found, 5 conflict, 6 unreachable",
    max_term_width = 110
)]
pub struct Cli {
    /// The flags of all commands.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For people with wide terminals: ids whole, times exact
    Wide,
    /// For programs
    Json,
    /// The same, for those who rather read that
    Yaml,
    /// What another command takes to name a thing, one a line
    Name,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Flags of all commands")]
pub struct Flags {
    /// How to print: table, wide (whole ids, exact times), name, or json and yaml as the server answered, with problems in the same
    /// form on standard error
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, hide_possible_values = true)]
    pub output: Format,
    /// Which sign-in to use: its name in the configuration directory
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "EXARCH_PROFILE",
        default_value = "default"
    )]
    pub profile: Slug,
    /// The region to work in; not needed by those who may enter one only
    #[arg(long, global = true, value_name = "SLUG")]
    pub region: Option<Slug>,
    /// The tenant; the one in force where not given
    #[arg(long, global = true, value_name = "SLUG|ID")]
    pub tenant: Option<String>,
    /// Use an API key in the place of a sign-in: the file with its secret, or - for standard input; see --global-url, --region-url
    #[arg(long, global = true, value_name = "FILE", env = "EXARCH_API_KEY_FILE")]
    pub api_key_file: Option<PathBuf>,
    /// With --api-key-file: the global, which knows a federated key
    #[arg(long, global = true, value_name = "URL", env = "EXARCH_GLOBAL_URL")]
    pub global_url: Option<String>,
    /// With --api-key-file: the region that knows a regional key
    #[arg(long, global = true, value_name = "URL", env = "EXARCH_REGION_URL")]
    pub region_url: Option<String>,
    /// How long to wait for an answer [30s], and with --wait for the end [5m]
    #[arg(long, global = true, value_name = "DURATION", value_parser = times::duration)]
    pub timeout: Option<Duration>,
    /// Do not ask before something ends
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Print only ids, or the secret where there is one, and no remarks
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// No colours; NO_COLOR in the environment does the same
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// What a document is.
const APPLY: &str = "\
Make what is described in documents: create what is missing, change what differs, leave alone what is as it should be.

A document has `kind` (Tenant, Entitlement, Membership, Cluster, Host, Resource or Workload), `spec`, and where it is not the \
tenant in force and the only region, `tenant` and `region`. A `spec` is what the API takes to create such a thing, with names \
where it wants ids: `cluster`, `resource`, `user` (an address), `regions`. What a `spec` leaves out stays as it is; `null` \
means none, open or without a limit. Nothing is deleted, and nothing is renamed: a thing is found by its name.

All documents are read before anything is sent. Then they are applied in the order in which they rest on each other, up to \
the first that is refused.

  kind: Resource
  region: eu-north
  spec: { cluster: north, name: ledger, kind: volume, ttl_ms: 30000 }";

/// The table of commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Sign in at the global, once for all regions
    Login(login::Login),
    /// End the session, here and in the regions
    Logout,
    /// Who you are, in which tenant, with which roles
    Whoami,
    /// Where you are signed in
    #[command(subcommand)]
    Session(sessions::Command),
    /// Regions of the federation
    #[command(subcommand)]
    Region(region::Command),
    /// Tenants, and which one is in force
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Which tenants may use which regions
    #[command(subcommand)]
    Entitlement(entitlement::Command),
    /// People of the tenant in force
    #[command(subcommand)]
    User(user::Command),
    /// Invitations into the tenant in force
    #[command(subcommand)]
    Invitation(invitation::Command),
    /// Roles of people in the tenant in force
    #[command(subcommand)]
    Membership(membership::Command),
    /// Roles that can be given in the tenant in force, and what they hold
    #[command(subcommand)]
    Role(role::Command),
    /// What software shows in the place of a person, in the tenant in force
    #[command(subcommand)]
    ApiKey(api_key::Command),
    /// Roles of people in single clusters of a region
    #[command(subcommand)]
    Binding(binding::Command),
    /// Clusters in a region
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Hosts of a cluster
    #[command(subcommand)]
    Host(host::Command),
    /// Agents on hosts, and the tokens by which they come in
    #[command(subcommand)]
    Agent(agent::Command),
    /// What can be leased
    #[command(subcommand)]
    Resource(resource::Command),
    /// Who may act on a resource now
    #[command(subcommand)]
    Lease(lease::Command),
    /// What runs under a lease
    #[command(subcommand)]
    Workload(workload::Command),
    /// Make what is described in documents: create what is missing, change what differs, leave alone what is as it should be
    #[command(long_about = APPLY)]
    Apply(apply::Apply),
    /// What keeps working in a region without the global, and until when
    Continuity,
    /// What happened in the tenant: at the global, or in a region with --region
    #[command(subcommand)]
    Audit(audit::Command),
    /// What the provider's staff did to the tenant, and in it: at the global, or in a region with --region
    #[command(subcommand)]
    ProviderAccess(provider_access::Command),
    /// Emergency access of the provider's staff to a tenant
    #[command(subcommand)]
    BreakGlass(break_glass::Command),
    /// What the provider's staff did to the federation
    #[command(subcommand)]
    FederationAudit(audit::Command),
    /// Why something was refused, by the id that the refusal told
    Why {
        /// As dec_…
        #[arg(value_name = "DECISION")]
        decision: String,
    },
    /// Who may do a thing: in the tenant, in a cluster, in the federation; now or at a time that is past
    WhoCan(why::WhoCan),
    /// Print the script by which a shell completes this command
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages, one for each command, into a directory
    #[command(hide = true)]
    Man {
        /// Where to
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// The version of this command
    Version,
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, cx: &Context) -> Result<(), Failure> {
        match self {
            Self::Login(args) => login::run(cx, args).await,
            Self::Logout => logout::run(cx).await,
            Self::Whoami => whoami::run(cx).await,
            Self::Session(command) => sessions::run(cx, command).await,
            Self::Region(command) => region::run(cx, command).await,
            Self::Tenant(command) => tenant::run(cx, command).await,
            Self::Entitlement(command) => entitlement::run(cx, command).await,
            Self::User(command) => user::run(cx, command).await,
            Self::Invitation(command) => invitation::run(cx, command).await,
            Self::Membership(command) => membership::run(cx, command).await,
            Self::Role(command) => role::run(cx, command).await,
            Self::ApiKey(command) => api_key::run(cx, command).await,
            Self::Binding(command) => binding::run(cx, command).await,
            Self::Cluster(command) => cluster::run(cx, command).await,
            Self::Host(command) => host::run(cx, command).await,
            Self::Agent(command) => agent::run(cx, command).await,
            Self::Resource(command) => resource::run(cx, command).await,
            Self::Lease(command) => lease::run(cx, command).await,
            Self::Workload(command) => workload::run(cx, command).await,
            Self::Apply(args) => apply::run(cx, args).await,
            Self::Continuity => continuity::run(cx).await,
            Self::Audit(command) => audit::of_tenant(cx, command).await,
            Self::ProviderAccess(command) => provider_access::run(cx, command).await,
            Self::BreakGlass(command) => break_glass::run(cx, command).await,
            Self::FederationAudit(command) => audit::of_federation(cx, command).await,
            Self::Why { decision } => why::why(cx, &decision).await,
            Self::WhoCan(args) => why::who_can(cx, args).await,
            Self::Completion { shell } => manual::completion(cx, shell),
            Self::Man { directory } => manual::pages(&directory),
            Self::Version => version::run(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_commands_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_all_commands_stand_before_or_after_the_noun() {
        for line in [
            "exarch -o json --region eu-north cluster list",
            "exarch cluster list -o json --region eu-north",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.flags.output, Format::Json);
            assert_eq!(cli.flags.region.unwrap().as_str(), "eu-north");
        }
    }

    #[test]
    fn no_flag_takes_a_secret() {
        fn flags(command: &clap::Command, found: &mut Vec<String>) {
            found.extend(
                command
                    .get_arguments()
                    .filter(|arg| arg.get_action().takes_values())
                    .filter_map(|arg| arg.get_long())
                    .map(str::to_owned),
            );
            command.get_subcommands().for_each(|sub| flags(sub, found));
        }
        let mut found = Vec::new();
        flags(&Cli::command(), &mut found);
        let secret = |flag: &&String| {
            ["password", "token", "secret", "code", "totp"]
                .iter()
                .any(|word| flag.contains(word))
        };
        let by_file = |flag: &&String| flag.ends_with("-file") || flag.ends_with("-stdin");
        let taken: Vec<_> = found.iter().filter(secret).filter(|flag| !by_file(flag)).collect();
        assert_eq!(taken, Vec::<&String>::new());
    }
}
