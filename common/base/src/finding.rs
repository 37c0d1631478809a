//! What a doctor finds: one thing that was looked at, and what to do where it is not well.
use serde::Serialize;
use std::fmt;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, dotted, as `database.app`.
    pub check: String,
    /// How it stands.
    pub outcome: Outcome,
    /// What one sees.
    pub symptom: String,
    /// Why it is so; nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to do about it; nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Well.
    Ok,
    /// Not well.
    Bad,
    /// Could not be looked at, because something else is not well.
    Unknown,
}

impl Finding {
    /// All is well.
    pub fn ok(check: impl Into<String>, symptom: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            outcome: Outcome::Ok,
            symptom: symptom.into(),
            cause: None,
            remedy: None,
        }
    }

    /// Something is not well.
    pub fn bad(
        check: impl Into<String>,
        symptom: impl Into<String>,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            cause: Some(cause.into()),
            remedy: Some(remedy.into()),
            outcome: Outcome::Bad,
            ..Self::ok(check, symptom)
        }
    }

    /// It could not be looked at, for this reason.
    pub fn unknown(check: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            outcome: Outcome::Unknown,
            ..Self::ok(check, "could not be looked at")
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.outcome {
            Outcome::Ok => "[+]",
            Outcome::Bad => "[-]",
            Outcome::Unknown => "[?]",
        };
        write!(f, "{mark} {}: {}", self.check, self.symptom)?;
        for (word, text) in [("cause", &self.cause), ("remedy", &self.remedy)] {
            if let Some(text) = text {
                write!(f, "\n      {word}: {text}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_well_is_told_with_cause_and_remedy() {
        let bad = Finding::bad("clock", "40 s ahead", "no time service", "run one");
        assert_eq!(
            bad.to_string(),
            "[-] clock: 40 s ahead\n      cause: no time service\n      remedy: run one"
        );
        assert_eq!(Finding::ok("clock", "right").to_string(), "[+] clock: right");
    }
}
