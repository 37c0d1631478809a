//! Names where ids are asked for: whatever a list shows can be typed.
use crate::{
    Failure,
    api::Api,
    tables::{Names, short},
};
use serde_json::Value;

/// A kind of thing that commands name.
#[derive(Debug)]
pub struct Kind {
    /// What people call one.
    pub word: &'static str,
    /// What they call several.
    pub plural: &'static str,
    /// How its ids begin.
    pub prefix: &'static str,
    /// Where an item of its list has its names (JSON pointers).
    pub names: &'static [&'static str],
}

impl Kind {
    /// Whether the text is an id of this kind, whole.
    pub fn is_id(&self, text: &str) -> bool {
        let digits = text.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix('_'));
        digits.is_some_and(|digits| {
            digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    }
}

/// The id of what `text` names: an id is taken as it is, a name or a shortened id is looked up in the list at `path`,
/// in `cluster` alone if given.
///
/// # Errors
/// Not found, or several of that name.
pub async fn resolve(api: &Api, kind: &Kind, path: &str, text: &str, cluster: Option<&str>) -> Result<String, Failure> {
    if kind.is_id(text) {
        return Ok(text.to_owned());
    }
    pick(kind, text, &api.some(path, &within(cluster), usize::MAX).await?)
}

/// The filter of a list for what lies in `cluster`.
pub fn within(cluster: Option<&str>) -> Vec<(&'static str, &str)> {
    cluster.map(|cluster| ("cluster_id", cluster)).into_iter().collect()
}

/// The same, in a list that is at hand.
pub fn pick(kind: &Kind, text: &str, items: &[Value]) -> Result<String, Failure> {
    let string = |item: &Value, pointer: &str| item.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let named = |item: &Value| kind.names.iter().any(|at| string(item, at).as_deref() == Some(text));
    let found = items.iter().filter_map(|item| {
        let id = string(item, "/id").filter(|id| kind.is_id(id))?;
        (id == text || short(&id) == text || named(item)).then_some(id)
    });
    match found.collect::<Vec<_>>().as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::NotFound(format!("There is no {} {text:?}.", kind.word))),
        several => Err(Failure::Failed(format!(
            "{text:?} names {} {}: give the id of one of {}.",
            several.len(),
            kind.plural,
            several.join(", "),
        ))),
    }
}

/// Names of everything in the lists at `paths`, by id.
pub async fn of(api: &Api, paths: &[&str]) -> Result<Names, Failure> {
    let mut names = Names::default();
    for path in paths {
        for item in api.list(path).await? {
            let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
            names.0.extend(text("id").zip(text("name")));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;
    use serde_json::json;

    const HOST: Kind = Kind {
        word: "host",
        plural: "hosts",
        prefix: "hst",
        names: &["/name"],
    };
    const A: &str = "hst_01978c3e4f1a7c0e9f0a3b5d000000aa";
    const B: &str = "hst_01978c3e4f1a7c0e9f0a3b5d000000bb";
    const C: &str = "hst_01978c3e4f1a7c0e9f0a3b5d000000cc";

    fn hosts() -> Vec<Value> {
        vec![
            json!({"id": A, "name": "edge-1", "cluster_id": "clu_1"}),
            json!({"id": B, "name": "edge-1", "cluster_id": "clu_2"}),
            json!({"id": C, "name": "edge-2", "cluster_id": "clu_2"}),
        ]
    }

    #[test]
    fn a_name_a_whole_id_and_a_shortened_one_all_find_it() {
        for text in ["edge-2", C, "hst_000000cc"] {
            assert_eq!(pick(&HOST, text, &hosts()).unwrap(), C);
        }
    }

    #[test]
    fn a_name_that_names_several_is_refused_with_their_ids() {
        let refused = pick(&HOST, "edge-1", &hosts()).unwrap_err();
        assert_eq!(refused.exit(), Exit::Error);
        let told = refused.to_string();
        assert!(told.contains(A) && told.contains(B) && !told.contains(C), "{told}");
    }

    #[test]
    fn a_name_that_names_nothing_is_not_found() {
        for text in ["edge-3", "edge", "", "hst_00cc"] {
            assert_eq!(
                pick(&HOST, text, &hosts()).unwrap_err().exit(),
                Exit::NotFound,
                "{text}"
            );
        }
    }

    #[test]
    fn an_id_of_another_kind_is_a_name_and_nothing_else_is_an_id() {
        assert!(HOST.is_id(A));
        for text in [
            "hst_",
            "clu_01978c3e4f1a7c0e9f0a3b5d000000aa",
            "hst_../../v1/x",
            "edge-1",
        ] {
            assert!(!HOST.is_id(text), "{text}");
        }
        // What a list gives as an id becomes a path: nothing else than an id may.
        let hostile = [json!({"id": "hst_/../../other", "name": "edge-1"})];
        assert!(pick(&HOST, "edge-1", &hostile).is_err());
    }
}
