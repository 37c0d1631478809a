//! Standard output and standard error, by the flags.
use crate::{
    args::{Flags, Format},
    failure::Failure,
    tables::{self, Column, Names},
};
use exarch_common_base::Ambient;
use serde_json::{Value, json};
use std::{
    env,
    io::{self, IsTerminal, Write},
};

/// Where answers and remarks go.
#[derive(Debug)]
pub struct Output {
    format: Format,
    quiet: bool,
    color: bool,
    ambient: Ambient,
}

/// What is shown once: a token with the line that takes it, or a password.
#[derive(Debug)]
pub struct Shown<'a> {
    /// What goes before it.
    pub fields: &'a [(&'a str, String)],
    /// The secret itself.
    pub secret: (&'a str, &'a str),
    /// What to do with it.
    pub then: String,
    /// To be run where it is needed.
    pub line: Option<&'a str>,
}

impl Output {
    /// By the flags, the environment and what standard output is.
    pub fn new(flags: &Flags, ambient: Ambient) -> Self {
        let unwanted = flags.no_color || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format: flags.output,
            quiet: flags.quiet,
            color: !unwanted && io::stdout().is_terminal(),
            ambient,
        }
    }

    /// Whether a program reads what is printed.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether names of things are to be looked up: only people in front of a table need them.
    pub fn wants_names(&self) -> bool {
        !self.is_json() && !self.quiet
    }

    /// A list. `what` is the plural of what is in it.
    pub fn list(&self, what: &str, columns: &[Column], items: &[Value], names: &Names) -> Result<(), Failure> {
        if self.is_json() {
            return self.json(&json!({ "items": items }));
        }
        if self.quiet {
            return items.iter().try_for_each(|item| self.print(&handle(item)));
        }
        if items.is_empty() {
            self.remark(&format!("There are no {what}."));
            return Ok(());
        }
        self.print(&tables::list(columns, items, names, self.ambient.now(), self.color))
    }

    /// One thing.
    pub fn one(&self, value: &Value) -> Result<(), Failure> {
        if self.is_json() {
            return self.json(value);
        }
        if self.quiet {
            return self.print(&handle(value));
        }
        self.print(&tables::detail(value, self.ambient.now(), self.color))
    }

    /// An action that was done: a remark for people, for programs what the server answered, if anything.
    pub fn done(&self, answer: &Value, remark: &str) -> Result<(), Failure> {
        self.remark(remark);
        if self.is_json() && !answer.is_null() {
            return self.json(answer);
        }
        Ok(())
    }

    /// A table below the fields of one thing; nothing for programs, who have it in the fields.
    pub fn below(&self, columns: &[Column], items: &[Value], names: &Names) -> Result<(), Failure> {
        if self.is_json() || self.quiet || items.is_empty() {
            return Ok(());
        }
        let table = tables::list(columns, items, names, self.ambient.now(), self.color);
        self.print(&format!("\n{table}"))
    }

    /// Something with a secret in it that is shown this once.
    pub fn secret(&self, value: &Value, shown: &Shown<'_>) -> Result<(), Failure> {
        let (label, secret) = shown.secret;
        if self.is_json() {
            return self.json(value);
        }
        if self.quiet {
            return self.print(secret);
        }
        let fields = shown
            .fields
            .iter()
            .map(|(label, text)| ((*label).to_owned(), tables::printable(text)));
        let fields: Vec<_> = fields.chain([(label.to_owned(), secret.to_owned())]).collect();
        let mut text = tables::pairs(&fields, self.color);
        text.push_str(&format!("\n\n{}", shown.then));
        if let Some(line) = shown.line {
            text.push_str(&format!("\n\n  {}", tables::printable(line)));
        }
        self.print(&text)
    }

    /// A value for programs.
    fn json(&self, value: &Value) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Failed(e.to_string()))?;
        self.print(&text)
    }

    /// Data, as it is.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(io::stdout(), "{text}")?)
    }

    /// A remark, on standard error.
    pub fn remark(&self, text: &str) {
        if !self.quiet {
            // Nobody may be reading; a remark is no reason to fail.
            let _ = writeln!(io::stderr(), "{}", tables::printable(text));
        }
    }
}

/// By what a thing is named in another command.
fn handle(value: &Value) -> String {
    let name = ["id", "slug"].into_iter().find_map(|key| value.get(key)?.as_str());
    tables::printable(name.unwrap_or_default())
}
