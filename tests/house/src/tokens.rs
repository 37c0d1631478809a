//! Just enough of Rust's grammar to see names and not be fooled by comments and strings.

/// A name, a number or one character of punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    pub line: usize,
}

/// The tokens of a source, without comments, strings, characters and lifetimes.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = match first {
            c if c.is_whitespace() => (c.len_utf8(), false),
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (block_comment(rest), false),
            '"' => (string(rest), false),
            '\'' => (quote(rest), false),
            c if c == '_' || c.is_alphanumeric() => match literal(rest) {
                Some(length) => (length, false),
                None => (word(rest), true),
            },
            c => (c.len_utf8(), true),
        };
        let (text, after) = rest.split_at(length);
        if keep {
            found.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    found
}

fn word(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric())
        .unwrap_or(text.len())
}

fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// From the opening quote to behind the closing one.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character or a lifetime.
fn quote(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => text[3..].find('\'').map_or(text.len(), |at| at + 4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1 + word(&text[1..]),
    }
}

/// A prefixed string or character: `r#"…"#`, `b"…"`, `br"…"`, `c"…"`, `b'x'`.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|prefix| {
        text.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('"') || rest.starts_with('\'') || raw(rest))
    })?;
    let rest = &text[prefix.len()..];
    let length = match rest.chars().next()? {
        '\'' if prefix == "b" => quote(rest),
        '\'' => return None,
        _ if prefix.ends_with('r') => {
            let hashes = rest.find('"')?;
            let end = format!("\"{}", &rest[..hashes]);
            rest[hashes + 1..]
                .find(&end)
                .map_or(rest.len(), |at| hashes + 1 + at + end.len())
        }
        '"' => string(rest),
        _ => return None,
    };
    Some(prefix.len() + length)
}

/// Whether `#`s and a quote follow, as against a raw name (`r#type`).
fn raw(text: &str) -> bool {
    text.starts_with('#') && text.trim_start_matches('#').starts_with('"')
}

/// The tokens without the modules that are built for tests only.
pub fn shipped<'a>(all: &[Token<'a>]) -> Vec<Token<'a>> {
    const TEST_MODULE: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        if is(&all[at..], &TEST_MODULE) && all.get(at + 9).is_some_and(|token| token.text == "{") {
            at = behind_braces(all, at + 9);
        } else {
            kept.push(all[at]);
            at += 1;
        }
    }
    kept
}

/// Whether the tokens begin with these words.
pub fn is(tokens: &[Token<'_>], words: &[&str]) -> bool {
    tokens.len() >= words.len() && words.iter().zip(tokens).all(|(word, token)| *word == token.text)
}

/// The place behind the brace that closes the one at `open`.
pub fn behind_braces(all: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in all.iter().enumerate().skip(open) {
        match token.text {
            "{" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" => depth -= 1,
            _ => {}
        }
    }
    all.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_strings_characters_and_lifetimes_are_not_names() {
        let source = r##"
            // tokio
            /* sqlx /* axum */ tokio */
            fn f<'tokio>(x: &'tokio str) { g("tokio \" sqlx", r#"axum " "#, b"sqlx", '"', '\'', b'"', 'é'); } // sqlx
            br"tokio"; real
        "##;
        let names: Vec<_> = texts(source).into_iter().filter(|text| text.len() > 1).collect();
        assert_eq!(names, ["fn", "str", "real"]);
    }

    #[test]
    fn names_keep_their_lines_and_raw_names_are_names() {
        let found = tokens("let r#type = \"two\nlines\";\nsqlx::query");
        let line = |text| found.iter().find(|token| token.text == text).map(|token| token.line);
        assert_eq!(line("type"), Some(1));
        assert_eq!(line("query"), Some(3));
    }

    #[test]
    fn a_test_module_is_left_out_and_what_follows_it_is_not() {
        let source = "fn a() {} #[cfg(test)] mod tests { fn b() { {} } } fn c() {}";
        let all = tokens(source);
        let kept = shipped(&all);
        let names: Vec<_> = kept
            .iter()
            .map(|token| token.text)
            .filter(|text| text.len() == 1)
            .collect();
        assert!(names.contains(&"a") && names.contains(&"c") && !names.contains(&"b"));
    }
}
