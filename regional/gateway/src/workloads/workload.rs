//! A workload, and what may be asked of it.
use exarch_common_base::{AgentId, ClusterId, Fence, ResourceId, WorkloadId};
use exarch_common_http::Versioned;
use exarch_common_wire::agent::{Driver, WorkloadState};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, Schema,
        schema::{AdditionalProperties, Type},
    },
};

/// Arguments of a program, itself included, at most.
const ARGUMENTS: usize = 64;
/// Bytes of an argument or a path at most.
const LONGEST: usize = 4096;

/// A workload, also as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Workload {
    /// Its id.
    #[schema(value_type = String, pattern = "^wrk_[0-9a-f]{32}$")]
    pub id: WorkloadId,
    /// Its cluster.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    pub cluster_id: ClusterId,
    /// Its name, unique in the cluster.
    pub name: String,
    /// What must be leased before it starts.
    #[schema(value_type = String, pattern = "^res_[0-9a-f]{32}$")]
    pub resource_id: ResourceId,
    /// How it runs.
    pub driver: WorkloadDriver,
    /// The agents it is or was assigned to, and what they say.
    pub agents: Vec<Assigned>,
    /// Rises with each change that people make.
    pub version: u64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl Workload {
    /// Where it is.
    pub fn path(&self) -> String {
        format!("/v1/workloads/{}", self.id)
    }

    /// As an answer.
    pub fn versioned(self) -> Versioned<Self> {
        Versioned {
            version: self.version,
            body: self,
        }
    }
}

/// What people asked of a workload on one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// Run.
    Run,
    /// Wait for the lease while another holds it, then run.
    Wait,
    /// Stop, or stay stopped.
    Stop,
}

impl Desired {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Wait => "wait",
            Self::Stop => "stop",
        }
    }

    /// The wish of a word; none for any other.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Run, Self::Wait, Self::Stop]
            .into_iter()
            .find(|desired| desired.as_str() == word)
    }
}

/// A workload on one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Assigned {
    /// The agent.
    #[schema(value_type = String, pattern = "^agt_[0-9a-f]{32}$")]
    pub agent_id: AgentId,
    /// Its name.
    pub agent: String,
    /// What people asked for.
    pub desired: Desired,
    /// When they did.
    #[serde(with = "time::serde::rfc3339")]
    pub changed_at: OffsetDateTime,
    /// What the agent last said; absent before its first word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
}

/// What an agent said of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reported {
    /// `waiting`, `running`, `stopped`, `failed` or `fenced`.
    #[schema(value_type = String)]
    pub state: WorkloadState,
    /// One sentence for people.
    pub detail: String,
    /// The fence under which it runs or ran.
    #[schema(value_type = Option<String>)]
    pub fence: Option<Fence>,
    /// When it said so.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// How a workload runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum WorkloadDriver {
    /// A supervised child in its own process group.
    Process {
        /// Program and arguments.
        argv: Vec<String>,
        /// The volume whose guard must accept the fence: an absolute path on the agent's host.
        volume: String,
    },
}

/// Written out, since what the derived description cannot say would be refused: other members, texts that are too long, and what is no path of
/// a file.
impl PartialSchema for WorkloadDriver {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let argument = text().max_length(Some(LONGEST)).pattern(Some(r"^[^\x00]*$"));
        let argv = ArrayBuilder::new()
            .items(argument)
            .min_items(Some(1))
            .max_items(Some(ARGUMENTS))
            .description(Some(
                "Program and arguments; the program has a name of at least one character.",
            ));
        let volume = text()
            .pattern(Some(r"^/[^\x00-\x1f\x7f-\x9f]*[^/\x00-\x1f\x7f-\x9f]$"))
            .max_length(Some(LONGEST))
            .description(Some(
                "The volume whose guard must accept the fence: an absolute path on the agent's host.",
            ));
        let process = ObjectBuilder::new()
            .description(Some("A supervised child in its own process group."))
            .property("kind", text().enum_values(Some(["process"])))
            .property("argv", argv)
            .property("volume", volume)
            .required("kind")
            .required("argv")
            .required("volume")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        OneOfBuilder::new()
            .description(Some("How a workload runs."))
            .item(process)
            .into()
    }
}

impl ToSchema for WorkloadDriver {}

impl WorkloadDriver {
    /// Where and why it cannot be accepted, as a JSON pointer below it and a reason.
    pub fn fault(&self) -> Option<(String, String)> {
        let Self::Process { argv, volume } = self;
        if !(1..=ARGUMENTS).contains(&argv.len()) {
            return Some(("/argv".to_owned(), format!("expected 1 to {ARGUMENTS} items")));
        }
        if argv[0].is_empty() {
            return Some(("/argv/0".to_owned(), "expected a program".to_owned()));
        }
        if let Some(at) = argv.iter().position(|argument| argument.len() > LONGEST) {
            return Some((format!("/argv/{at}"), format!("expected at most {LONGEST} bytes")));
        }
        let plain = volume.len() <= LONGEST && !volume.chars().any(char::is_control);
        if !plain || !volume.starts_with('/') || volume.ends_with('/') {
            return Some(("/volume".to_owned(), "expected the absolute path of a file".to_owned()));
        }
        None
    }

    /// As agents receive it.
    pub fn for_agent(self) -> Driver {
        let Self::Process { argv, volume } = self;
        Driver::Process { argv, volume }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(argv: &[&str], volume: &str) -> WorkloadDriver {
        WorkloadDriver::Process {
            argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
            volume: volume.to_owned(),
        }
    }

    #[test]
    fn a_driver_that_no_agent_could_run_is_told_where_it_is_wrong() {
        let long = "x".repeat(LONGEST + 1);
        for (driver, at) in [
            (driver(&[], "/v"), "/argv"),
            (driver(&["x"; ARGUMENTS + 1], "/v"), "/argv"),
            (driver(&[""], "/v"), "/argv/0"),
            (driver(&["x", &long], "/v"), "/argv/1"),
            (driver(&["x"], ""), "/volume"),
            (driver(&["x"], "v"), "/volume"),
            (driver(&["x"], "/v/"), "/volume"),
            (driver(&["x"], "/v\n"), "/volume"),
            (driver(&["x"], &format!("/{long}")), "/volume"),
        ] {
            assert_eq!(driver.fault().expect("it is wrong").0, at, "{driver:?}");
        }
        assert_eq!(driver(&["x"; ARGUMENTS], "/srv/volume.img").fault(), None);
        assert_eq!(driver(&["sh", "", "line\nbreak"], "/v").fault(), None);
    }

    #[test]
    fn every_wish_comes_back_from_its_word_and_no_other_word_is_one() {
        for desired in [Desired::Run, Desired::Wait, Desired::Stop] {
            assert_eq!(Desired::parse(desired.as_str()), Some(desired));
        }
        assert_eq!(Desired::parse("Run"), None);
    }

    #[test]
    fn agents_read_what_people_wrote() {
        let written = serde_json::to_value(driver(&["a", "b"], "/v")).unwrap();
        let read: Driver = serde_json::from_value(written).unwrap();
        assert_eq!(read, driver(&["a", "b"], "/v").for_agent());
    }
}
