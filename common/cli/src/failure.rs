//! Why a command did not do what it was asked, and the exit code that says so to scripts.
use crate::{args::Format, output::written, profile::ProfileError, tables::printable};
use exarch_common_http::{ProblemDocument, client::ClientError};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// The exit codes, one for each thing a script may want to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Anything without a code of its own.
    Error = 1,
    /// The command line, or an answer to a question, cannot be used.
    Usage = 2,
    /// Not signed in, or not allowed.
    Denied = 3,
    /// There is no such thing, or it is not yours to know.
    NotFound = 4,
    /// It is taken, held or changed meanwhile.
    Conflict = 5,
    /// No answer, or none for the time being.
    Unreachable = 6,
}

impl Exit {
    /// The code for an HTTP status.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Denied,
            404 | 410 => Self::NotFound,
            409 | 412 => Self::Conflict,
            502..=504 => Self::Unreachable,
            _ => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line cannot be used as it is.
    #[error("{0}")]
    Usage(String),
    /// Nobody is signed in.
    #[error("{0}")]
    Denied(String),
    /// A name that names nothing.
    #[error("{0}")]
    NotFound(String),
    /// Somebody else was faster.
    #[error("{0}")]
    Conflict(String),
    /// Documents that cannot be used, fault by fault.
    #[error("{}", faulty(.0.len()))]
    Faults(Vec<String>),
    /// Something that happened to one of several things.
    #[error("{what}: {cause}")]
    Of {
        /// To which.
        what: String,
        /// What happened.
        cause: Box<Failure>,
    },
    /// Whatever else, in a sentence.
    #[error("{0}")]
    Failed(String),
    /// A call without a good answer.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// The profile cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Standard input or output broke.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self::Failed(sentence)
    }
}

fn faulty(n: usize) -> String {
    let faults = if n == 1 {
        "is a fault".to_owned()
    } else {
        format!("are {n} faults")
    };
    format!("Nothing was done: there {faults} in the documents.")
}

impl Failure {
    /// The same, told of one of several things.
    #[must_use]
    pub fn of(self, what: String) -> Self {
        Self::Of {
            what,
            cause: Box::new(self),
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Faults(_) | Self::Call(ClientError::Address { .. }) => Exit::Usage,
            Self::Conflict(_) => Exit::Conflict,
            Self::Of { cause, .. } => cause.exit(),
            Self::Denied(_) => Exit::Denied,
            Self::NotFound(_) => Exit::NotFound,
            Self::Call(ClientError::Problem(problem)) => Exit::of_status(problem.document.status),
            Self::Call(ClientError::Unexpected { status, .. }) => Exit::of_status(status.as_u16()),
            Self::Call(ClientError::Unreachable { .. }) => Exit::Unreachable,
            Self::Call(ClientError::Tls(_) | ClientError::Answer { .. })
            | Self::Failed(_)
            | Self::Profile(_)
            | Self::Output(_) => Exit::Error,
        }
    }

    /// The server's problem, if it was one.
    pub fn problem(&self) -> Option<&ProblemDocument> {
        self.call().and_then(ClientError::problem)
    }

    fn call(&self) -> Option<&ClientError> {
        match self {
            Self::Call(e) => Some(e),
            Self::Of { cause, .. } => cause.call(),
            _ => None,
        }
    }

    /// As a problem document: the server's own, or one of ours in the same form.
    fn document(&self) -> Value {
        if let Some(problem) = self.problem()
            && let Ok(mut document) = serde_json::to_value(problem)
        {
            if let Self::Of { .. } = self {
                document["detail"] = json!(self.to_string());
            }
            return document;
        }
        let (slug, title) = match self.exit() {
            Exit::Usage => ("usage", "Usage"),
            Exit::Denied => ("not-signed-in", "Not signed in"),
            Exit::NotFound => ("not-found", "Not found"),
            Exit::Conflict => ("conflict", "Conflict"),
            Exit::Unreachable => ("unreachable", "Unreachable"),
            Exit::Error | Exit::Ok => ("failed", "Failed"),
        };
        let mut document =
            json!({ "type": format!("urn:exarch:problem:{slug}"), "title": title, "detail": self.to_string() });
        if let Self::Faults(faults) = self {
            document["errors"] = faults.iter().map(|fault| json!({ "reason": fault })).collect();
        }
        document
    }

    /// For people: a sentence, and below it what else the server said.
    fn text(&self) -> String {
        let mut text = format!("exarch: {}", printable(&self.to_string()));
        if let Self::Faults(faults) = self {
            for fault in faults {
                text.push_str(&format!("\n  {}", printable(fault)));
            }
        }
        let Some(problem) = self.problem() else { return text };
        let mut line = |label: &str, value: &str| {
            text.push_str("\n  ");
            text.push_str(&printable(&format!("{label}: {value}")));
        };
        for error in &problem.errors {
            line(&error.pointer, &error.reason);
        }
        for (name, value) in &problem.members {
            line(name, value.as_str().unwrap_or(&value.to_string()));
        }
        if let Some(decision) = &problem.decision_id {
            line("why", &format!("exarch why {decision}"));
        }
        if let Some(request) = &problem.request_id {
            line("request", request);
        }
        if let Some(ClientError::Problem(received)) = self.call()
            && let Some(wait) = received.retry_after
        {
            line("try again in", &format!("{} s", wait.as_secs()));
        }
        text
    }
}

/// Tells a failure on standard error in the format asked for, and gives its exit code.
pub fn tell(failure: &Failure, format: Format) -> Exit {
    let line = match format {
        Format::Table | Format::Wide | Format::Name => failure.text(),
        Format::Json => failure.document().to_string(),
        Format::Yaml => written(&failure.document(), format).unwrap_or_else(|_| failure.text()),
    };
    // Nobody may be reading; the exit code still says it.
    let _ = writeln!(io::stderr(), "{line}");
    failure.exit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_http::client::ReceivedProblem;
    use std::{collections::BTreeMap, time::Duration};

    fn refused(status: u16, slug: &str) -> Failure {
        let document = ProblemDocument {
            kind: format!("urn:exarch:problem:{slug}"),
            title: "Title".into(),
            status,
            detail: Some("A sentence.".into()),
            request_id: Some("req_1".into()),
            decision_id: None,
            errors: Vec::new(),
            members: BTreeMap::from([("remaining_ms".to_owned(), json!(1200))]),
        };
        Failure::Call(ClientError::Problem(Box::new(ReceivedProblem {
            document,
            retry_after: Some(Duration::from_secs(3)),
            headers: Default::default(),
        })))
    }

    #[test]
    fn every_problem_has_the_exit_code_of_the_conventions() {
        for (status, exit) in [
            (400, Exit::Error),
            (401, Exit::Denied),
            (402, Exit::Error),
            (403, Exit::Denied),
            (404, Exit::NotFound),
            (409, Exit::Conflict),
            (410, Exit::NotFound),
            (412, Exit::Conflict),
            (422, Exit::Error),
            (429, Exit::Error),
            (500, Exit::Error),
            (503, Exit::Unreachable),
        ] {
            assert_eq!(refused(status, "x").exit(), exit, "{status}");
        }
        let base = || "https://global".to_owned();
        let unreachable = ClientError::Unreachable {
            base: base(),
            reason: "refused".into(),
        };
        assert_eq!(Failure::from(unreachable).exit(), Exit::Unreachable);
        let address = ClientError::Address {
            url: "ftp://x".into(),
            reason: "no".into(),
        };
        assert_eq!(Failure::from(address).exit(), Exit::Usage);
        let foreign = ClientError::Unexpected {
            base: base(),
            status: reqwest::StatusCode::BAD_GATEWAY,
        };
        assert_eq!(Failure::from(foreign).exit(), Exit::Unreachable);
        assert_eq!(Failure::Usage("x".into()).exit(), Exit::Usage);
        assert_eq!(Failure::Denied("x".into()).exit(), Exit::Denied);
        assert_eq!(Failure::NotFound("x".into()).exit(), Exit::NotFound);
        assert_eq!(Failure::from("x".to_owned()).exit(), Exit::Error);
        let codes = [
            Exit::Ok,
            Exit::Error,
            Exit::Usage,
            Exit::Denied,
            Exit::NotFound,
            Exit::Conflict,
            Exit::Unreachable,
        ];
        assert_eq!(codes.map(|exit| exit as u8), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_refusal_is_told_with_its_members_and_request() {
        assert_eq!(
            refused(409, "lease-held").text(),
            "exarch: A sentence.\n  remaining_ms: 1200\n  request: req_1\n  try again in: 3 s"
        );
        let document = refused(409, "lease-held").document();
        assert_eq!(document["type"], "urn:exarch:problem:lease-held");
        assert_eq!(document["remaining_ms"], 1200);
    }

    #[test]
    fn a_failure_of_our_own_has_the_form_of_a_problem() {
        let document = Failure::NotFound("There is no cluster \"a\".".into()).document();
        assert_eq!(document["type"], "urn:exarch:problem:not-found");
        assert_eq!(document["detail"], "There is no cluster \"a\".");
    }

    #[test]
    fn what_a_server_says_cannot_steer_the_terminal() {
        let failure = Failure::Failed("a\u{1b}[2Jb".into());
        assert!(!failure.text().contains('\u{1b}'));
    }
}
