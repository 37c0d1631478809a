//! The project speaks of itself alone: it works wherever it is checked out.
use crate::{File, Violation};

/// Paths and addresses of one machine. Written in pieces, so that this file does not break its own rule.
const OF_ONE_MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("bash_", "jobs"),
    concat!("sqlx", "db "),
    concat!(":54", "99"),
];

/// Mentions of the machine somebody happened to work on.
pub fn of_one_machine(file: &File) -> Vec<Violation> {
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(at, line)| {
            let word = OF_ONE_MACHINE.iter().find(|word| stands_alone(line, word))?;
            Some(format!(
                "{}:{}: speaks of `{word}`, which exists on one machine",
                file.path,
                at + 1
            ))
        })
        .collect()
}

/// Whether the word is there and not the tail of a longer path (`net` before a path of ours is one).
fn stands_alone(line: &str, word: &str) -> bool {
    let before = |at: usize| line[..at].chars().next_back();
    line.match_indices(word).any(|(at, _)| {
        !word.starts_with('/') || before(at).is_none_or(|c| !c.is_alphanumeric() && c != '}' && c != '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_caught() {
        for word in OF_ONE_MACHINE {
            assert_eq!(
                of_one_machine(&File::new("README.md", &format!("first\nsee {word}x"))).len(),
                1,
                "{word}"
            );
        }
        let inside = format!("see net{}x and frame{}x", OF_ONE_MACHINE[0], OF_ONE_MACHINE[0]);
        assert_eq!(of_one_machine(&File::new("README.md", &inside)).len(), 0);
    }
}
