//! How far something is that takes its time: a wheel or a bar on standard error while a person looks at it, nothing otherwise.
//! Whoever interrupts it is told what goes on without them.
use crate::output::Output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// How often the wheel turns.
const TURN: Duration = Duration::from_millis(120);

/// Something under way, until [`Progress::end`].
#[derive(Debug)]
pub struct Progress<'a> {
    out: &'a Output,
    bar: ProgressBar,
    interrupted: Option<String>,
}

impl<'a> Progress<'a> {
    /// Begins. `total` steps make a bar, none a wheel; `interrupted` is told when it is dropped before its end.
    pub fn begin(out: &'a Output, what: &str, total: Option<usize>, interrupted: String) -> Self {
        let target = if out.shows_progress() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(total.map(|n| n as u64), target);
        let form = match total {
            Some(_) => "[{bar:20}] {pos}/{len} {msg}",
            None => "{spinner} {msg} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(crate::tables::printable(what));
        bar.enable_steady_tick(TURN);
        Self {
            out,
            bar,
            interrupted: Some(interrupted),
        }
    }

    /// The next step, and what would be told if it were interrupted.
    pub fn step(&mut self, what: &str, interrupted: String) {
        self.bar.set_message(crate::tables::printable(what));
        self.interrupted = Some(interrupted);
    }

    /// One step is done.
    pub fn done(&self) {
        self.bar.inc(1);
    }

    /// A remark, above the wheel.
    pub fn remark(&self, text: &str) {
        self.bar.suspend(|| self.out.remark(text));
    }

    /// It has ended, well or not.
    pub fn end(mut self) {
        self.interrupted = None;
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if let Some(text) = self.interrupted.take() {
            self.out.remark(&text);
        }
    }
}
