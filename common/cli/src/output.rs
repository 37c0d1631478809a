//! Standard output and standard error, by the flags.
use crate::{
    args::{Flags, Format},
    failure::Failure,
    live::Live,
    tables::{self, Column, Names, Style},
};
use exarch_common_base::Ambient;
use serde_json::{Value, json};
use std::{
    env,
    io::{self, IsTerminal, Write},
};

/// In which way something that goes on is printed.
#[derive(Clone, Copy, Debug)]
pub enum Printing {
    /// A line of JSON a change.
    Data,
    /// A line with the name alone, or the id.
    Handles(fn(&Value) -> String),
    /// A line of a table a change.
    Lines,
    /// The whole table, again and again in the same place.
    Screen,
}

impl PartialEq for Printing {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Where answers and remarks go.
#[derive(Debug)]
pub struct Output {
    format: Format,
    quiet: bool,
    color: bool,
    terminal: bool,
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
            terminal: io::stdout().is_terminal(),
            ambient,
        }
    }

    /// Whether a program reads what is printed.
    pub fn is_data(&self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    /// Whether a person looks at standard error and wants to see how far things are.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && !self.is_data() && io::stderr().is_terminal()
    }

    /// Whether names alone are wanted, or ids.
    fn handle(&self) -> Option<fn(&Value) -> String> {
        match (self.format, self.quiet) {
            (_, true) => Some(id),
            (Format::Name, _) => Some(name),
            _ => None,
        }
    }

    /// In which way something that goes on is printed.
    pub fn printing(&self) -> Printing {
        match self.handle() {
            Some(handle) => Printing::Handles(handle),
            None if self.is_data() => Printing::Data,
            None if self.terminal => Printing::Screen,
            None => Printing::Lines,
        }
    }

    /// A list that goes on.
    pub fn live(&self, what: &'static str, columns: &'static [Column]) -> Live<'_> {
        Live::new(self, what, columns)
    }

    /// How tables are set now.
    pub fn style(&self) -> Style {
        Style {
            color: self.color,
            wide: self.format == Format::Wide,
            now: self.ambient.now(),
        }
    }

    /// Whether names of things are to be looked up: only people in front of a table need them.
    pub fn wants_names(&self) -> bool {
        !self.is_data() && self.handle().is_none()
    }

    /// A list. `what` is the plural of what is in it.
    pub fn list(&self, what: &str, columns: &[Column], items: &[Value], names: &Names) -> Result<(), Failure> {
        if self.is_data() {
            return self.data(&json!({ "items": items }));
        }
        if let Some(handle) = self.handle() {
            // What is not there yet has no id.
            let handles = items.iter().map(handle).filter(|handle| !handle.is_empty());
            return handles.into_iter().try_for_each(|handle| self.print(&handle));
        }
        if items.is_empty() {
            self.remark(&format!("There are no {what}."));
            return Ok(());
        }
        self.print(&tables::list(columns, items, names, self.style()))
    }

    /// One thing.
    pub fn one(&self, value: &Value) -> Result<(), Failure> {
        if self.is_data() {
            return self.data(value);
        }
        if let Some(handle) = self.handle() {
            return self.print(&handle(value));
        }
        self.print(&tables::detail(value, self.style()))
    }

    /// An action that was done: a remark for people, for programs what the server answered, if anything.
    pub fn done(&self, answer: &Value, remark: &str) -> Result<(), Failure> {
        self.remark(remark);
        if self.is_data() && !answer.is_null() {
            return self.data(answer);
        }
        Ok(())
    }

    /// A table below the fields of one thing; nothing for programs, who have it in the fields.
    pub fn below(&self, columns: &[Column], items: &[Value], names: &Names) -> Result<(), Failure> {
        if !self.wants_names() || items.is_empty() {
            return Ok(());
        }
        let table = tables::list(columns, items, names, self.style());
        self.print(&format!("\n{table}"))
    }

    /// Something with a secret in it that is shown this once.
    pub fn secret(&self, value: &Value, shown: &Shown<'_>) -> Result<(), Failure> {
        let (label, secret) = shown.secret;
        if self.is_data() {
            return self.data(value);
        }
        if self.handle().is_some() {
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
    fn data(&self, value: &Value) -> Result<(), Failure> {
        self.print(&written(value, self.format)?)
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

/// A value in the form that programs asked for: YAML, or JSON for all others.
///
/// # Errors
/// None that are known; a value always has both forms.
pub fn written(value: &Value, format: Format) -> Result<String, Failure> {
    match format {
        Format::Yaml => {
            let text = serde_saphyr::to_string(value).map_err(|e| Failure::Failed(e.to_string()))?;
            Ok(text.trim_end().to_owned())
        }
        _ => serde_json::to_string_pretty(value).map_err(|e| Failure::Failed(e.to_string())),
    }
}

fn first(value: &Value, keys: &[&str]) -> String {
    let text = keys.iter().find_map(|key| value.get(key)?.as_str());
    tables::printable(text.unwrap_or_default())
}

/// By what a thing is named for good.
fn id(value: &Value) -> String {
    first(value, &["id", "slug"])
}

/// By what people name it; by its id where it has no name.
fn name(value: &Value) -> String {
    first(value, &["slug", "name", "email", "id"])
}
