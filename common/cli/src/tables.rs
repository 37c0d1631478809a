//! What people see: lists as aligned columns, one thing as its fields. Pure: values, names and the time go in, text comes
//! out.
use crate::times;
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table, presets};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap};
use time::OffsetDateTime;

/// What stands where there is nothing.
const NOTHING: &str = "-";

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Text,
    Number,
    State,
}

/// A column of a list: its title, and how a row fills it.
#[derive(Debug)]
pub struct Column {
    title: &'static str,
    look: Look,
    cell: fn(&Row<'_>) -> String,
}

/// A column of text.
pub const fn column(title: &'static str, cell: fn(&Row<'_>) -> String) -> Column {
    Column {
        title,
        look: Look::Text,
        cell,
    }
}

/// A column of numbers, to the right.
pub const fn number(title: &'static str, cell: fn(&Row<'_>) -> String) -> Column {
    Column {
        title,
        look: Look::Number,
        cell,
    }
}

/// A column of states: green is as it should be, red is not.
pub const fn state(title: &'static str, cell: fn(&Row<'_>) -> String) -> Column {
    Column {
        title,
        look: Look::State,
        cell,
    }
}

impl Column {
    /// What stands above it.
    pub fn title(&self) -> &'static str {
        self.title
    }
}

/// Names of things by their ids.
#[derive(Clone, Debug, Default)]
pub struct Names(pub BTreeMap<String, String>);

/// How a table is set.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With colours.
    pub color: bool,
    /// With whole ids and exact times.
    pub wide: bool,
    /// From when ages count.
    pub now: OffsetDateTime,
}

/// One item of a list.
#[derive(Debug)]
pub struct Row<'a> {
    value: &'a Value,
    names: &'a Names,
    style: Style,
}

impl Row<'_> {
    fn at(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer).filter(|value| !value.is_null())
    }

    /// What is at the JSON pointer.
    pub fn text(&self, pointer: &str) -> String {
        self.at(pointer).map_or_else(|| NOTHING.to_owned(), plain)
    }

    /// An id, shortened: a kind and its last eight digits, which commands take for the whole.
    pub fn id(&self, pointer: &str) -> String {
        self.brief(&self.text(pointer))
    }

    fn brief(&self, id: &str) -> String {
        if self.style.wide {
            id.to_owned()
        } else {
            short(id).into_owned()
        }
    }

    /// The name of what the id there names; the shortened id where that is not known.
    pub fn name(&self, pointer: &str) -> String {
        let id = self.text(pointer);
        self.names
            .0
            .get(&id)
            .map_or_else(|| self.brief(&id), |name| printable(name))
    }

    /// Of the items of the list there, those that have `wanted` at `test`: what they have at `show`.
    pub fn those(&self, list: &str, (test, wanted): (&str, &str), show: &str) -> String {
        let items = self.at(list).and_then(Value::as_array).into_iter().flatten();
        let those = items.filter(|item| item.pointer(test).and_then(Value::as_str) == Some(wanted));
        let shown: Vec<String> = those.filter_map(|item| item.pointer(show).map(plain)).collect();
        if shown.is_empty() {
            NOTHING.to_owned()
        } else {
            shown.join(", ")
        }
    }

    /// Of the list of changes there, each with its field, what was and what is.
    pub fn changes(&self, list: &str) -> String {
        let items = self.at(list).and_then(Value::as_array).into_iter().flatten();
        let told = items.map(|item| {
            let [field, from, to] = ["field", "from", "to"].map(|key| plain(&item[key]));
            format!("{field}: {from} → {to}")
        });
        let told: Vec<_> = told.collect();
        if told.is_empty() {
            NOTHING.to_owned()
        } else {
            told.join("; ")
        }
    }

    /// How long ago, or until.
    pub fn age(&self, pointer: &str) -> String {
        if self.style.wide {
            return self.text(pointer);
        }
        let time = self.at(pointer).and_then(Value::as_str).and_then(times::parse);
        time.map_or_else(|| NOTHING.to_owned(), |time| times::age(self.style.now, time))
    }

    /// A number of milliseconds.
    pub fn millis(&self, pointer: &str) -> String {
        let n = self.at(pointer).and_then(Value::as_f64);
        n.map_or_else(|| NOTHING.to_owned(), times::millis)
    }
}

/// A list as aligned columns, with titles.
pub fn list<'a>(columns: &[Column], rows: impl IntoIterator<Item = &'a Value>, names: &Names, style: Style) -> String {
    let color = style.color;
    let mut table = bare(color);
    table.set_header(columns.iter().map(|column| {
        let title = Cell::new(column.title);
        if color {
            title.add_attribute(Attribute::Bold)
        } else {
            title
        }
    }));
    for value in rows {
        let row = Row { value, names, style };
        table.add_row(columns.iter().map(|column| {
            let text = (column.cell)(&row);
            match tint(&text).filter(|_| color && column.look == Look::State) {
                Some(tint) => Cell::new(text).fg(tint),
                None => Cell::new(text),
            }
        }));
    }
    for (at, column) in columns.iter().enumerate() {
        if let Some(set) = table.column_mut(at) {
            set.set_padding((0, 3));
            if column.look == Look::Number {
                set.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.trim_fmt()
}

/// The cells of one row, for a line of its own.
pub fn cells(columns: &[Column], value: &Value, names: &Names, style: Style) -> Vec<String> {
    let row = Row { value, names, style };
    columns.iter().map(|column| (column.cell)(&row)).collect()
}

/// Makes room for these cells.
pub fn widen(widths: &mut [usize], cells: &[String]) {
    for (width, cell) in widths.iter_mut().zip(cells) {
        *width = cell.chars().count().max(*width);
    }
}

/// Cells in one line, each as wide as its column.
pub fn aligned(columns: &[Column], cells: &[String], widths: &[usize]) -> String {
    let cells = columns.iter().zip(cells).zip(widths);
    let padded: Vec<_> = cells
        .map(|((column, cell), width)| match column.look {
            Look::Number => format!("{cell:>width$}"),
            Look::Text | Look::State => format!("{cell:<width$}"),
        })
        .collect();
    padded.join("   ").trim_end().to_owned()
}

/// One thing as its fields, ids whole, times with their age.
pub fn detail(value: &Value, style: Style) -> String {
    let mut fields = Vec::new();
    flatten("", value, style.now, &mut fields);
    pairs(&fields, style.color)
}

/// Labels and values in two columns.
pub fn pairs(fields: &[(String, String)], color: bool) -> String {
    let mut table = bare(color);
    for (label, text) in fields {
        let label = Cell::new(label.replace('_', " "));
        let label = if color {
            label.add_attribute(Attribute::Dim)
        } else {
            label
        };
        table.add_row([label, Cell::new(text)]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.trim_fmt()
}

fn bare(color: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // The caller knows better than the library whether there are colours: it knows the flags too, and has read NO_COLOR.
    if color {
        crossterm::style::force_color_output(true);
        table.enforce_styling().style_text_only();
    } else {
        table.force_no_tty();
    }
    table
}

/// Fields that stand first, in this order; all others follow in the order of the alphabet.
const FIRST: &[&str] = &[
    "id",
    "slug",
    "name",
    "display_name",
    "email",
    "user",
    "tenant",
    "region",
    "lifecycle",
    "state",
    "health",
    "reason",
];

fn flatten(prefix: &str, value: &Value, now: OffsetDateTime, fields: &mut Vec<(String, String)>) {
    let Value::Object(object) = value else {
        fields.push((prefix.to_owned(), told(value, now)));
        return;
    };
    let mut keys: Vec<&String> = object.keys().collect();
    keys.sort_by_key(|key| (FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()), *key));
    for key in keys {
        let label = if prefix.is_empty() {
            printable(key)
        } else {
            format!("{prefix}.{}", printable(key))
        };
        match &object[key] {
            Value::Null => {}
            inner @ Value::Object(_) => flatten(&label, inner, now, fields),
            other => fields.push((label, told(other, now))),
        }
    }
}

fn told(value: &Value, now: OffsetDateTime) -> String {
    let text = plain(value);
    match times::parse(&text) {
        Some(time) if time > now => format!("{text} ({})", times::age(now, time)),
        Some(time) => format!("{text} ({} ago)", times::age(now, time)),
        None => text,
    }
}

/// A value in one line: of a thing its name, of several a list.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(n) => n.to_string(),
        Value::String(text) => printable(text),
        Value::Array(items) if items.is_empty() => NOTHING.to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(object) => ["slug", "name", "email", "id"]
            .into_iter()
            .find_map(|key| object.get(key))
            .map_or_else(|| printable(&value.to_string()), plain),
    }
}

/// The text without what steers a terminal or turns the direction of writing: names are other people's.
pub fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// `clu_01978c3e4f1a7c0e9f0a3b5d6e7f8091` as `clu_6e7f8091`: the first digits are the time and alike, the last are not.
pub fn short(id: &str) -> Cow<'_, str> {
    match id.split_once('_') {
        Some((kind, digits)) if digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Cow::Owned(format!("{kind}_{}", &digits[24..]))
        }
        _ => Cow::Borrowed(id),
    }
}

fn tint(text: &str) -> Option<Color> {
    Some(match text {
        "active" | "healthy" | "running" | "ok" | "fresh" | "connected" | "granted" | "approved" | "created"
        | "changed" => Color::Green,
        "registered" | "requested" | "joining" | "draining" | "pending" | "waiting" | "stale" | "old" | "degraded"
        | "partial" | "unknown" | "revoking" | "suspended" | "deleting" | "create" | "change" | "skipped" => {
            Color::Yellow
        }
        "unreachable" | "failed" | "fenced" | "denied" | "expired" | "quarantined" | "disconnected" => Color::Red,
        "removed" | "released" | "revoked" | "stopped" | "ended" | "deleted" => Color::DarkGrey,
        text if text.starts_with("suspended") => Color::Yellow,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);
    const PLAIN: Style = Style {
        color: false,
        wide: false,
        now: NOW,
    };
    const COLORED: Style = Style { color: true, ..PLAIN };
    const COLUMNS: &[Column] = &[
        column("NAME", |r| r.text("/name")),
        column("CLUSTER", |r| r.name("/cluster_id")),
        state("STATE", |r| r.text("/state")),
        number("LATENCY", |r| r.millis("/latency_ms")),
        column("AGE", |r| r.age("/created_at")),
        column("ID", |r| r.id("/id")),
    ];

    fn rows() -> [Value; 2] {
        [
            json!({"id": "hst_01978c3e4f1a7c0e9f0a3b5d6e7f8091", "name": "edge-1", "state": "active", "latency_ms": 3.25,
                   "cluster_id": "clu_00000000000000000000000000000001", "created_at": "2026-06-01T11:57:00Z"}),
            json!({"id": "hst_01978c3e4f1a7c0e9f0a3b5d00000002", "name": "a-long-name\u{1b}[31m", "state": "pending",
                   "latency_ms": 214, "cluster_id": "clu_00000000000000000000000000000002", "created_at": null}),
        ]
    }

    fn names() -> Names {
        Names(BTreeMap::from([(
            "clu_00000000000000000000000000000001".to_owned(),
            "north".to_owned(),
        )]))
    }

    #[test]
    fn a_list_is_aligned_short_and_without_steering() {
        let expected = "\
NAME               CLUSTER        STATE     LATENCY   AGE   ID
edge-1             north          active      3.2ms   3m    hst_6e7f8091
a-long-name\u{fffd}[31m   clu_00000002   pending     214ms   -     hst_00000002";
        assert_eq!(list(COLUMNS, &rows(), &names(), PLAIN), expected);
    }

    #[test]
    fn a_wide_list_has_whole_ids_and_exact_times() {
        let wide = list(COLUMNS, &rows(), &names(), Style { wide: true, ..PLAIN });
        for whole in [
            "hst_01978c3e4f1a7c0e9f0a3b5d6e7f8091",
            "clu_00000000000000000000000000000002",
            "2026-06-01T11:57:00Z",
            "north",
        ] {
            assert!(wide.contains(whole), "{whole} in\n{wide}");
        }
    }

    #[test]
    fn colours_change_no_text() {
        let colored = list(COLUMNS, &rows(), &names(), COLORED);
        assert!(colored.contains("\u{1b}[38;5;10mactive\u{1b}"), "{colored:?}");
        let mut plain = String::new();
        let mut rest = colored.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        plain.push_str(rest);
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(&plain), lines(&list(COLUMNS, &rows(), &names(), PLAIN)));
    }

    #[test]
    fn one_thing_is_its_fields_with_whole_ids() {
        let value = json!({
            "created_at": "2026-06-01T11:00:00Z",
            "until": "2026-06-01T12:15:00Z",
            "roles": ["auditor", "read-only"],
            "tenants": [{"id": "ten_1", "slug": "acme"}],
            "passport": {"version": 7, "acknowledged": null},
            "auto": false,
            "name": "edge-1",
            "id": "hst_01978c3e4f1a7c0e9f0a3b5d6e7f8091",
        });
        let expected = "\
id                 hst_01978c3e4f1a7c0e9f0a3b5d6e7f8091
name               edge-1
auto               no
created at         2026-06-01T11:00:00Z (60m ago)
passport.version   7
roles              auditor, read-only
tenants            acme
until              2026-06-01T12:15:00Z (in 15m)";
        assert_eq!(detail(&value, PLAIN), expected);
    }

    #[test]
    fn what_turns_the_direction_of_writing_is_taken_out() {
        assert_eq!(printable("a\u{202e}b\nc"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(short("ten_x"), "ten_x");
        assert_eq!(short("eu-north"), "eu-north");
    }
}
