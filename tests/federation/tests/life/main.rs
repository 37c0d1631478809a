//! What processes do while they live: signals, settings read again, databases that go and come; and what they leave behind:
//! never a secret. Two processes of the global and of each gateway, so that one can be stopped while another serves.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod canary;
mod harvest;
mod places;
mod pooler;
mod schema;
mod search;
mod signals;
mod wire;

use exarch_tests_federation::{EU, Federation, suite, tests};
use std::{fs, process::ExitCode, time::Duration};

const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    suite::main_with_replicas(
        tests![
            signals::a_second_signal_ends_a_server_at_once,
            signals::settings_are_read_again_and_those_that_cannot_be_used_change_nothing,
            schema::a_database_that_a_newer_program_migrated_is_refused_by_name,
            wire::a_gateway_that_is_cut_from_its_database_says_so_and_comes_back,
            pooler::a_gateway_behind_a_pooler_serves_leases_and_streams,
            // the last one: it reads what all of them left
            canary::no_secret_is_in_a_log_a_refusal_or_a_process,
        ],
        2,
    )
}

/// The two servers.
const SERVERS: [&str; 2] = ["global", EU];

/// What a process has said in its log.
fn log(federation: &Federation, place: &str, n: u16) -> String {
    fs::read_to_string(federation.process(place, n).log()).unwrap()
}

/// What it says from now on.
struct Said<'a> {
    federation: &'a Federation,
    place: &'a str,
    n: u16,
    from: usize,
}

impl<'a> Said<'a> {
    fn from_now(federation: &'a Federation, place: &'a str, n: u16) -> Self {
        let from = log(federation, place, n).len();
        Self {
            federation,
            place,
            n,
            from,
        }
    }

    fn text(&self) -> String {
        log(self.federation, self.place, self.n).split_off(self.from)
    }

    /// Waits for a line that holds all of `words`; it.
    async fn line(&self, words: &[&str]) -> String {
        let mut found = None;
        let what = format!("{} {} says {words:?}", self.place, self.n);
        let look = async || {
            let text = self.text();
            found = text
                .lines()
                .find(|line| words.iter().all(|word| line.contains(word)))
                .map(str::to_owned);
            found.is_some()
        };
        self.federation.until(PATIENCE, &what, look).await;
        found.unwrap()
    }
}
