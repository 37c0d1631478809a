//! A list that goes on, as it is printed: drawn anew at a terminal, line by line elsewhere.
use crate::{
    Failure,
    output::{Output, Printing},
    tables::{self, Column, Names},
};
use serde_json::{Value, json};

/// The most a page has; of a full one nothing is known of what it does not show.
const FULL: usize = 100;

/// What is shown now.
#[derive(Debug)]
pub struct Live<'a> {
    out: &'a Output,
    what: &'static str,
    columns: &'static [Column],
    names: Names,
    /// As the list has them.
    rows: Vec<Value>,
    /// Of the columns of lines, as wide as the widest so far; none before the first line.
    widths: Vec<usize>,
    trouble: Option<String>,
    begun: bool,
}

fn id(item: &Value) -> Option<&str> {
    item.get("id").or_else(|| item.get("slug"))?.as_str()
}

/// What leads from one page to another, the oldest first.
fn changes(before: &[Value], after: &[Value]) -> Vec<(&'static str, Value)> {
    let find = |rows: &[Value], item: &Value| rows.iter().find(|row| id(row) == id(item)).cloned();
    let gone = before
        .iter()
        .filter(|item| after.len() < FULL && find(after, item).is_none());
    let mut changes: Vec<_> = gone.rev().map(|item| ("removed", item.clone())).collect();
    for item in after.iter().rev() {
        match find(before, item) {
            None => changes.push(("added", item.clone())),
            Some(row) if row != *item => changes.push(("changed", item.clone())),
            Some(_) => {}
        }
    }
    changes
}

impl<'a> Live<'a> {
    /// Of nothing yet.
    pub fn new(out: &'a Output, what: &'static str, columns: &'static [Column]) -> Self {
        Self {
            out,
            what,
            columns,
            names: Names::default(),
            rows: Vec::new(),
            widths: Vec::new(),
            trouble: None,
            begun: false,
        }
    }

    /// The page as it is now: the first one, or one after a break.
    pub fn page(&mut self, items: Vec<Value>, names: Names) -> Result<(), Failure> {
        self.names = names;
        let changes = changes(&self.rows, &items);
        self.rows = items;
        let (first, trouble) = (!self.begun, self.trouble.take());
        self.begun = true;
        if self.out.printing() == Printing::Screen {
            return self.draw();
        }
        if trouble.is_some() {
            self.out.remark("It goes on.");
        }
        if first && changes.is_empty() {
            self.out.remark(&format!("There are no {} yet.", self.what));
        }
        changes.iter().try_for_each(|(change, item)| self.line(change, item))
    }

    /// Names that came to be known.
    pub fn know(&mut self, names: Names) {
        self.names = names;
    }

    /// One item came, changed or went.
    pub fn change(&mut self, change: &str, item: Value) -> Result<(), Failure> {
        let at = self.rows.iter().position(|row| id(row) == id(&item));
        match (change, at) {
            ("removed", Some(at)) => drop(self.rows.remove(at)),
            (_, Some(at)) => self.rows[at] = item.clone(),
            ("removed", None) => {}
            (_, None) => {
                self.rows.insert(0, item.clone());
                self.rows.truncate(FULL);
            }
        }
        match self.out.printing() {
            Printing::Screen => self.draw(),
            _ => self.line(change, &item),
        }
    }

    /// What is shown is not of now.
    pub fn trouble(&mut self, sentence: &str) -> Result<(), Failure> {
        let told = self.trouble.replace(sentence.to_owned()).is_some();
        match self.out.printing() {
            Printing::Screen => self.draw(),
            _ if told => Ok(()),
            _ => {
                self.out.remark(sentence);
                Ok(())
            }
        }
    }

    fn draw(&self) -> Result<(), Failure> {
        let (width, height) = crossterm::terminal::size().unwrap_or((80, 24));
        // above and below: the head, an empty line, what was left out, the cursor
        let most = usize::from(height).saturating_sub(5).max(1);
        let head = match &self.trouble {
            None => format!("{}, live; Ctrl-C ends", self.what),
            Some(trouble) => format!("{}, as last seen: {trouble}", self.what),
        };
        let mut text: String = tables::printable(&head).chars().take(width.into()).collect();
        text.push_str("\n\n");
        if self.rows.is_empty() {
            text.push_str(&format!("There are no {}.", self.what));
        } else {
            let shown = self.rows.iter().take(most);
            text.push_str(&tables::list(self.columns, shown, &self.names, self.out.style()));
        }
        if self.rows.len() > most {
            text.push_str(&format!("\n… and {} more", self.rows.len() - most));
        }
        // From the top left, over what was there: the eye sees no empty screen in between.
        self.out.print(&format!("\x1b[H\x1b[2J{text}"))
    }

    fn line(&mut self, change: &str, item: &Value) -> Result<(), Failure> {
        match self.out.printing() {
            Printing::Data => self.out.print(&json!({ "change": change, "item": item }).to_string()),
            Printing::Handles(handle) => self.out.print(&format!("{change} {}", handle(item))),
            Printing::Lines | Printing::Screen => {
                let first = self.widths.is_empty();
                let row = tables::cells(self.columns, item, &self.names, self.out.style());
                if first {
                    self.widths = self.columns.iter().map(|column| column.title().len()).collect();
                    // what is on the first page says how wide the columns are
                    for item in &self.rows {
                        let cells = tables::cells(self.columns, item, &self.names, self.out.style());
                        tables::widen(&mut self.widths, &cells);
                    }
                }
                tables::widen(&mut self.widths, &row);
                if first {
                    let titles: Vec<_> = self.columns.iter().map(|column| column.title().to_owned()).collect();
                    self.out.print(&format!(
                        "{:<8}  {}",
                        "CHANGE",
                        tables::aligned(self.columns, &titles, &self.widths)
                    ))?;
                }
                self.out.print(&format!(
                    "{change:<8}  {}",
                    tables::aligned(self.columns, &row, &self.widths)
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: u32, state: &str) -> Value {
        json!({"id": id.to_string(), "state": state})
    }

    #[test]
    fn after_a_break_only_what_is_different_is_told() {
        let before = [item(3, "a"), item(2, "a"), item(1, "a")];
        let after = [item(4, "a"), item(3, "b"), item(1, "a")];
        assert_eq!(
            changes(&before, &after),
            [
                ("removed", item(2, "a")),
                ("changed", item(3, "b")),
                ("added", item(4, "a"))
            ]
        );
        assert_eq!(changes(&before, &before), []);
    }

    #[test]
    fn what_a_full_page_does_not_show_is_not_gone() {
        let after: Vec<_> = (1..=100).rev().map(|n| item(n, "a")).collect();
        assert_eq!(changes(&[item(0, "a")], &after[..]).len(), 100);
    }
}
