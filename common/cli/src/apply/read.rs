//! Files, directories and standard input as trees that know their lines. What comes from outside is read within limits and
//! strictly: no anchors, aliases or tags, no key twice, nothing deep, nothing long.
use super::Fault;
use crate::Failure;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, Spanned, budget::BudgetBreach};
use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Bytes of one source at most.
const LARGEST: u64 = 1024 * 1024;
/// Levels of one document at most; ours have four.
const DEEPEST: usize = 16;
/// Documents of one run at most.
const MOST: usize = 1000;
const NO_ALIAS: &str = "anchors and aliases are not read";
const TOO_DEEP: &str = "it is nested too deep";
/// What a file in a directory ends in to be read.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Where a document was found.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its file, as it was given.
    pub file: String,
    /// How many files were read before it.
    pub place: usize,
    /// Which of the file's documents, from 1.
    pub number: usize,
}

/// A value and the line it begins in.
#[derive(Clone, Debug)]
pub struct Node {
    /// From 1.
    pub line: u64,
    /// The value.
    pub value: Tree,
}

/// What JSON has.
#[derive(Clone, Debug)]
pub enum Tree {
    /// Nothing.
    Null,
    /// Yes or no; no document of ours says either.
    Bool,
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Members in their order, each with the line of its key.
    Object(Vec<(String, u64, Node)>),
}

impl Tree {
    /// What it is called in a sentence.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool => "yes or no",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// All documents of the sources, in their order; `-` is standard input.
///
/// # Errors
/// A source that cannot be read. Faults in what was read are gathered instead.
pub fn all(sources: &[PathBuf], faults: &mut Vec<Fault>) -> Result<Vec<(Source, Node)>, Failure> {
    let (mut documents, mut place) = (Vec::new(), 0);
    for source in sources {
        let before = documents.len() + faults.len();
        for file in files(source)? {
            let text = text(&file)?;
            let name = if is_input(&file) {
                "standard input".to_owned()
            } else {
                file.display().to_string()
            };
            parse(&name, place, &text, &mut documents, faults);
            place += 1;
            if documents.len() > MOST {
                return Err(Failure::Usage(format!(
                    "These are more than {MOST} documents: apply them in parts."
                )));
            }
        }
        if documents.len() + faults.len() == before {
            return Err(Failure::Usage(format!("{}: there is no document.", source.display())));
        }
    }
    Ok(documents)
}

fn is_input(file: &Path) -> bool {
    file == Path::new("-")
}

/// The files of a source: of a directory those that are YAML or JSON by their name, in the order of their names.
fn files(source: &Path) -> Result<Vec<PathBuf>, Failure> {
    if is_input(source) || !source.is_dir() {
        return Ok(vec![source.to_owned()]);
    }
    let unreadable = |e: io::Error| Failure::Usage(format!("{}: {e}", source.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(source).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let ours = path
            .extension()
            .is_some_and(|end| ENDINGS.iter().any(|known| end == *known));
        if ours && !hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn text(file: &Path) -> Result<String, Failure> {
    let unreadable = |e: io::Error| Failure::Usage(format!("{}: {e}", file.display()));
    let mut bytes = Vec::new();
    // Never more than the limit: what is named may be a device or a pipe without an end.
    if is_input(file) {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    }
    .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::Usage(format!("{}: it is larger than 1 MiB.", file.display())));
    }
    String::from_utf8(bytes).map_err(|_| Failure::Usage(format!("{}: it is not UTF-8.", file.display())))
}

/// The documents of a text. JSON needs no reader of its own: YAML includes it.
fn parse(file: &str, place: usize, text: &str, documents: &mut Vec<(Source, Node)>, faults: &mut Vec<Fault>) {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_anchors: 0,
            max_aliases: 0,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let mut bytes = text.as_bytes();
    for (at, read) in serde_saphyr::read_with_options::<_, Node>(&mut bytes, options).enumerate() {
        let number = at + 1;
        let file = file.to_owned();
        match read {
            Ok(node) => documents.push((Source { file, place, number }, node)),
            Err(e) => faults.push(Fault {
                source: Source { file, place, number },
                line: e.location().map_or(1, |at| at.line()),
                reason: reason(&e),
            }),
        }
    }
}

/// What is wrong, without the place, which is told before it, and without advice for programmers.
fn reason(e: &serde_saphyr::Error) -> String {
    match e.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => format!("{key} is given twice"),
        serde_saphyr::Error::Budget { breach, .. } => match breach {
            BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. } => NO_ALIAS.into(),
            BudgetBreach::Depth { .. } => TOO_DEEP.into(),
            _ => "it is too much for one document".into(),
        },
        other => {
            let told = other.to_string();
            let told = told.rsplit_once(" at line ").map_or(told.as_str(), |(told, _)| told);
            let told = told.replace("recursion limit exceeded", TOO_DEEP);
            told.replace("alias references unknown anchor", NO_ALIAS)
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<Tree>::deserialize(deserializer)?;
        Ok(Self {
            line: read.referenced.line(),
            value: read.value,
        })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTree)
    }
}

struct AnyTree;

impl<'de> Visitor<'de> for AnyTree {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON has")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, _yes: bool) -> Result<Tree, E> {
        Ok(Tree::Bool)
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Tree, E> {
        Ok(Tree::Number(n.into()))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Tree, E> {
        Ok(Tree::Number(n.into()))
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<Tree, E> {
        Number::from_f64(n)
            .map(Tree::Number)
            .ok_or_else(|| E::custom("this is no number of JSON"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(key) = members.next_key::<Spanned<String>>()? {
            object.push((key.value, key.referenced.line(), members.next_value()?));
        }
        Ok(Tree::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(Source, Node)>, Vec<String>) {
        let (mut documents, mut faults) = (Vec::new(), Vec::new());
        parse("a.yaml", 0, text, &mut documents, &mut faults);
        (documents, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn documents_keep_their_order_and_lines() {
        let (documents, faults) = read("# a comment\n---\nkind: Cluster\nspec:\n  name: north\n---\n---\nkind: Host\n");
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(documents.len(), 2, "an empty one is none");
        let Tree::Object(members) = &documents[0].1.value else {
            panic!("no object")
        };
        assert_eq!((members[0].0.as_str(), members[0].1), ("kind", 3));
        let Tree::Object(spec) = &members[1].2.value else {
            panic!("no object")
        };
        assert_eq!((spec[0].0.as_str(), spec[0].1), ("name", 5));
        assert_eq!(documents[1].0.number, 2);
    }

    #[test]
    fn json_is_read_with_its_lines_tabs_and_escapes() {
        let (documents, faults) =
            read("{\n\t\"kind\": \"Cluster\",\n\t\"spec\": {\"name\": \"a\\/b\\u00e9\", \"n\": [1, null, true]}\n}\n");
        assert_eq!(faults, Vec::<String>::new());
        let Tree::Object(members) = &documents[0].1.value else {
            panic!("no object")
        };
        assert_eq!(members[1].1, 3);
        let Tree::Object(spec) = &members[1].2.value else {
            panic!("no object")
        };
        assert!(matches!(&spec[0].2.value, Tree::Text(text) if text == "a/bé"));
        assert!(matches!(&spec[1].2.value, Tree::List(items) if items.len() == 3));
    }

    #[test]
    fn hostile_documents_are_refused_with_their_line() {
        let deep = format!("a: {}1{}", "[".repeat(40), "]".repeat(40));
        let mut blocks = String::new();
        for level in 0..40 {
            blocks.push_str(&format!("{}a:\n", " ".repeat(level)));
        }
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        for (text, line, reason) in [
            ("kind: Host\nkind: Cluster\n", 2, "kind is given twice"),
            ("spec:\n  name: a\n  name: b\n", 3, "name is given twice"),
            ("a: 1\nb: &x 2\n", 2, NO_ALIAS),
            ("b: *x\n", 1, NO_ALIAS),
            (bomb, 1, NO_ALIAS),
            (
                "a: 1\nb: !!python/object:os.system ls\n",
                2,
                "unsupported tag `!!python/object:os.system`",
            ),
            ("a: !secret x\n", 1, "unsupported tag `!secret`"),
            ("%TAG ! tag:x,2026:\n---\na: !x 1\n", 3, "unsupported tag `!x`"),
            (&deep, 1, TOO_DEEP),
            (&blocks, 17, TOO_DEEP),
            ("a: x\0y\n", 1, "unexpected character: `\\u{0}'"),
            ("a: [1, 2\n", 1, "unclosed bracket '['"),
            (
                "a:\n\tb: 1\n",
                2,
                "tabs disallowed within this context (block indentation)",
            ),
            (
                "a: .nan\n",
                1,
                "non-finite float `.nan` rejected by the configured policy",
            ),
            ("a: 1\n---\na: 1\na: 2\n", 4, "a is given twice"),
        ] {
            let (documents, faults) = read(text);
            let number = text.matches("a: 1\n---").count() + 1;
            assert_eq!(documents.len(), number - 1, "{documents:?}");
            assert_eq!(faults, [format!("a.yaml, document {number}, line {line}: {reason}")]);
        }
    }

    #[test]
    fn words_that_older_yaml_took_for_yes_and_no_are_text() {
        let (documents, _) = read("[no, on, y, 012, 1_000, 2026-01-01T00:00:00Z, ~, null, '', 0x10, 1e3]");
        let Tree::List(items) = &documents[0].1.value else {
            panic!("no list")
        };
        let words: Vec<_> = items.iter().map(|item| item.value.word()).collect();
        assert_eq!(words[..3], ["text"; 3]);
        assert_eq!(words[5], "text");
        assert_eq!(words[6..9], ["nothing", "nothing", "text"]);
    }

    #[test]
    fn what_is_huge_endless_or_not_there_is_refused() {
        let mut faults = Vec::new();
        let directory = tempfile::tempdir().unwrap();
        let huge = directory.path().join("huge.yaml");
        fs::write(&huge, vec![b'a'; LARGEST as usize + 1]).unwrap();
        let latin = directory.path().join("latin.json");
        fs::write(&latin, b"{\"a\": \"\xe9\"}").unwrap();
        let (empty, mut refuse) = (directory.path().join("empty"), |path: &Path, why: &str| {
            let refused = all(&[path.to_owned()], &mut faults).unwrap_err();
            assert_eq!(refused.exit(), crate::Exit::Usage);
            assert!(refused.to_string().contains(why), "{refused}");
        });
        fs::create_dir(&empty).unwrap();
        refuse(&huge, "1 MiB");
        refuse(Path::new("/dev/zero"), "1 MiB");
        refuse(&latin, "UTF-8");
        refuse(&empty, "no document");
        refuse(&directory.path().join("none.yaml"), "No such file");
    }

    #[test]
    fn a_directory_is_its_yaml_and_json_files_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.yml", "b: 1"),
            ("a.json", "{\"a\": 1}"),
            ("c.txt", "{"),
            (".hidden.yaml", "{"),
        ] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        fs::create_dir(directory.path().join("d.yaml")).unwrap();
        let mut faults = Vec::new();
        let documents = all(&[directory.path().to_owned()], &mut faults).unwrap();
        assert!(faults.is_empty());
        let files: Vec<_> = documents
            .iter()
            .map(|(source, _)| source.file.rsplit('/').next().unwrap())
            .collect();
        assert_eq!(files, ["a.json", "b.yml"]);
    }
}
