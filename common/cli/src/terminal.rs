//! Questions to the person at the terminal, and lines of standard input.
use crate::Failure;
use exarch_common_base::SecretString;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Write};

/// Bytes of one line at most.
const LONGEST: u64 = 16 * 1024;

/// Whether there is a person to ask.
pub fn present() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The next line of standard input without its end; nothing when there is none.
pub async fn line() -> Result<Option<SecretString>, Failure> {
    // Off this thread, so that an interruption is noticed while we wait.
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let read = io::stdin().lock().take(LONGEST).read_line(&mut line)?;
        Ok::<_, io::Error>((read > 0).then_some(line))
    });
    let line = read
        .await
        .map_err(|e| Failure::Failed(e.to_string()))?
        .map_err(|e| Failure::Failed(format!("cannot read standard input: {e}")))?;
    Ok(line.map(|line| without_end(&line).into()))
}

/// Only the end of the line goes: passwords are never trimmed.
pub fn without_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Asks; the answer is seen.
pub async fn ask(question: &str) -> Result<String, Failure> {
    use exarch_common_base::ExposeSecret;
    prompt(question)?;
    let answer = line()
        .await?
        .ok_or_else(|| Failure::Usage("There was no answer.".into()))?;
    Ok(answer.expose_secret().trim().to_owned())
}

/// Asks; the answer is not shown.
pub async fn ask_secret(question: &str) -> Result<SecretString, Failure> {
    let silence = Silence::new()?;
    prompt(question)?;
    let answer = line().await;
    drop(silence);
    prompt("\n")?;
    answer?.ok_or_else(|| Failure::Usage("There was no answer.".into()))
}

/// Says something that the person has to see, whatever else is kept quiet.
pub fn tell(text: &str) -> Result<(), Failure> {
    prompt(text)
}

fn prompt(text: &str) -> Result<(), Failure> {
    let mut stderr = io::stderr();
    write!(stderr, "{text}")?;
    Ok(stderr.flush()?)
}

/// The terminal without echo, until dropped.
struct Silence(Termios);

impl Silence {
    fn new() -> Result<Self, Failure> {
        let refused = |e| Failure::Failed(format!("cannot silence the terminal: {e}"));
        let before = tcgetattr(io::stdin()).map_err(refused)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).map_err(refused)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // There is nothing left to try when the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::without_end;

    #[test]
    fn of_a_line_only_its_end_is_taken_off() {
        assert_eq!(without_end(" pass word \r\n"), " pass word ");
        assert_eq!(without_end("x"), "x");
        assert_eq!(without_end("x\n\n"), "x\n");
    }
}
