use super::*;
use crate::Text;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
struct Inner {
    count: u8,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Sample {
    name: Text<8>,
    #[serde(default)]
    parts: Vec<Inner>,
}

fn refusal(text: impl AsRef<[u8]>) -> (u16, String, Vec<(String, String)>) {
    let problem = parse::<Sample>(text.as_ref()).unwrap_err();
    let document = problem.document();
    let errors = document.errors.iter().map(|e| (e.pointer.clone(), e.reason.clone()));
    (document.status, document.slug().to_owned(), errors.collect())
}

fn at(text: impl AsRef<[u8]>) -> (u16, String) {
    let (status, _, errors) = refusal(text);
    (status, errors.first().map(|e| e.0.clone()).unwrap_or_default())
}

#[test]
fn a_plain_body_is_read() {
    let read: Sample = parse(br#" {"name": "a\u00e9", "parts": [{"count": 3}]} "#).unwrap();
    assert_eq!((&*read.name, read.parts), ("aé", vec![Inner { count: 3 }]));
}

#[test]
fn nesting_ends_at_the_limit_and_ten_thousand_levels_break_nothing() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(parse_value(nested(MAX_DEPTH).as_bytes()).is_ok());
    for n in [MAX_DEPTH + 1, 10_000, 500_000] {
        let problem = parse_value(nested(n).as_bytes()).unwrap_err();
        assert_eq!(problem.status(), 400);
        assert!(problem.to_string().contains("deeper"), "{problem}");
    }
    assert_eq!(
        parse_value("{\"a\":".repeat(10_000).as_bytes()).unwrap_err().status(),
        400
    );
}

#[test]
fn a_key_that_occurs_twice_is_refused_at_every_level_and_in_every_spelling() {
    assert_eq!(at(r#"{"name":"a","name":"a"}"#), (400, "/name".into()));
    assert_eq!(at(r#"{"name":"a","n\u0061me":"b"}"#), (400, "/name".into()));
    assert_eq!(
        at(r#"{"name":"a","parts":[{"count":1},{"count":1,"count":2}]}"#),
        (400, "/parts/1/count".into())
    );
    assert_eq!(at(r#"{"x":{"":1,"":2}}"#), (400, "/x/".into()));
}

#[test]
fn nul_is_refused_in_values_and_keys() {
    assert_eq!(at(r#"{"name":"a\u0000b"}"#), (422, "/name".into()));
    assert_eq!(at(r#"{"name":"a","x":["\u0000"]}"#), (422, "/x/0".into()));
    assert_eq!(at(r#"{"a\u0000/":1}"#).0, 422);
    assert_eq!(
        at(b"{\"name\":\"a\0b\"}"),
        (400, String::new()),
        "unescaped it is no JSON"
    );
}

#[test]
fn what_is_no_json_is_malformed() {
    for text in [
        "",
        " ",
        "{",
        "nul",
        "{\"name\":\"a\"} x",
        "{'name':'a'}",
        "[1,]",
        "01",
        "NaN",
        "1e999",
        "\"\\ud800\"",
        "\u{feff}{}",
    ] {
        let (status, slug, _) = refusal(text);
        assert_eq!((status, &*slug), (400, "malformed-json"), "{text:?}");
    }
    assert_eq!(refusal(b"{\"name\":\"\xff\"}").0, 400);
    assert_eq!(refusal(b"\xc0\x80").0, 400);
}

#[test]
fn unknown_fields_are_refused_at_every_level_with_their_places() {
    let (status, _, errors) = refusal(r#"{"name":"a","parts":[{"count":1,"x/y":2}],"more":{"deep":1}}"#);
    assert_eq!(status, 422);
    let places: Vec<_> = errors.iter().map(|e| &*e.0).collect();
    assert_eq!(places, ["/more", "/parts/0/…"]);
}

#[test]
fn a_wrong_value_is_named_by_pointer_and_not_repeated() {
    assert_eq!(
        at(r#"{"name":"a","parts":[{"count":300}]}"#),
        (422, "/parts/0/count".into())
    );
    let (status, _, errors) = refusal(r#"{"name":{"password":"hunter2"}}"#);
    assert_eq!(status, 422);
    assert!(!format!("{errors:?}").contains("hunter2"));
    let (_, _, errors) = refusal(r#"{"name":"a","parts":"hunter2"}"#);
    assert_eq!(errors, [("/parts".into(), "expected a sequence".into())]);
    let (_, _, errors) = refusal("{}");
    assert!(errors[0].1.contains("missing field `name`"), "{errors:?}");
}

#[test]
fn a_text_has_a_length_and_no_control_characters() {
    for text in ["", "123456789", "a\\nb", " a", "a\\u007f"] {
        assert_eq!(at(format!(r#"{{"name":"{text}"}}"#)), (422, "/name".into()), "{text:?}");
    }
    assert!(
        parse::<Sample>("{\"name\":\"éééééééé\"}".as_bytes()).is_ok(),
        "characters are counted, not bytes"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[^\0]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[^\0]{0,4}", inner, 0..5).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

/// Writes each object with its first key once more at the end, if there is an object with a key at all.
fn doubled(value: &Value, done: &mut bool) -> String {
    match value {
        Value::Object(map) => {
            let mut parts: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{}:{}", Value::from(k.as_str()), doubled(v, done)))
                .collect();
            if let Some(key) = map.keys().next() {
                parts.push(format!("{}:0", Value::from(key.as_str())));
                *done = true;
            }
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => {
            let parts: Vec<_> = items.iter().map(|v| doubled(v, done)).collect();
            format!("[{}]", parts.join(","))
        }
        leaf => leaf.to_string(),
    }
}

proptest! {
    #[test]
    fn what_was_written_reads_back(value in any_json()) {
        prop_assert_eq!(parse_value(value.to_string().as_bytes()).unwrap(), value);
    }

    #[test]
    fn a_doubled_key_is_found_wherever_it_is(value in any_json()) {
        let mut done = false;
        let text = doubled(&value, &mut done);
        prop_assert_eq!(parse_value(text.as_bytes()).is_err(), done, "{}", text);
    }

    #[test]
    fn no_bytes_break_the_reader_and_what_it_takes_is_json(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = parse_value(&bytes) {
            prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
        }
    }

    #[test]
    fn texts_near_json_break_nothing(text in r#"[\[\]{}:,"\\u0-9a-e \-.]{0,40}"#) {
        if let Ok(value) = parse_value(text.as_bytes()) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }
}

#[test]
fn what_the_caller_made_up_is_repeated_only_when_it_can_be_a_mistyped_name() {
    let at = |body: &str| {
        let problem = parse::<Sample>(body.as_bytes()).unwrap_err();
        serde_json::to_string(problem.document()).unwrap()
    };
    assert!(at(r#"{"name": "a", "nmae": 1}"#).contains("/nmae"));
    for secret in ["amber1-birch2", "EXAMPLESECRET", "ebt_AaIg4G7", "a b", &"x".repeat(33)] {
        for body in [
            format!("{{\"name\": \"a\", \"{secret}\": 1}}"),
            format!("{{\"{secret}\": 1, \"{secret}\": 2}}"),
        ] {
            assert!(!at(&body).contains(secret), "{}", at(&body));
        }
    }
    assert_eq!(
        reason("unknown variant `s, expected x`, expected `a` or `b`"),
        "expected `a` or `b`"
    );
}
