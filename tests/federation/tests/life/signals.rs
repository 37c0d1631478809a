//! SIGTERM, SIGINT and SIGHUP at servers that serve.
use super::{PATIENCE, SERVERS, Said};
use exarch_tests_federation::{Client, Federation};
use rustix::process::Signal;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};

/// Less than the grace that a request under way has.
const AT_ONCE: Duration = Duration::from_secs(3);

pub async fn a_second_signal_ends_a_server_at_once(federation: Arc<Federation>) {
    for (place, first, second) in [
        (SERVERS[0], Signal::TERM, Signal::TERM),
        (SERVERS[1], Signal::TERM, Signal::INT),
    ] {
        let (process, at) = (federation.process(place, 2), federation.replica(place, 2));
        // Under way: the body is still to come.
        let mut slow = TcpStream::connect(("127.0.0.1", at.public)).await.unwrap();
        let head = "POST /v1/auth/sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
        slow.write_all(head.as_bytes()).await.unwrap();
        let said = Said::from_now(&federation, place, 2);
        process.signal(first);
        said.line(&["stopping"]).await;
        federation
            .until(PATIENCE, "nobody new is taken", async || {
                TcpStream::connect(("127.0.0.1", at.public)).await.is_err()
            })
            .await;
        assert!(
            process.pid().is_some(),
            "{place}: it did not wait for what is under way"
        );
        let since = Instant::now();
        process.signal(second);
        federation
            .until(PATIENCE, "it ends", async || process.pid().is_none())
            .await;
        let took = since.elapsed();
        assert!(took < AT_ONCE, "{place}: {took:?} after the second signal");
    }
    federation.up().await.unwrap();
}

/// A file of settings with other text in it until this is dropped.
struct Changed<'a> {
    path: &'a Path,
    before: String,
}

impl<'a> Changed<'a> {
    fn to(path: &'a Path, change: impl FnOnce(&str) -> String) -> Self {
        let before = fs::read_to_string(path).unwrap();
        fs::write(path, change(&before)).unwrap();
        Self { path, before }
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        let _ = fs::write(self.path, &self.before);
    }
}

pub async fn settings_are_read_again_and_those_that_cannot_be_used_change_nothing(federation: Arc<Federation>) {
    for place in SERVERS {
        let (process, replica) = (federation.process(place, 2), federation.replica(place, 2));
        let pid = process.pid();
        let ops = Client::new(replica.ops_url());
        let again = async |words: &[&str]| {
            let said = Said::from_now(&federation, place, 2);
            process.signal(Signal::HUP);
            said.line(words).await
        };
        again(&["nothing has changed"]).await;
        let settings = replica.settings();
        {
            // One setting that can be taken over, and one that cannot.
            let other = format!("{}/another", replica.url());
            let _changed = Changed::to(&settings, |text| {
                let url = text.lines().find(|line| line.starts_with("url = ")).unwrap();
                text.replacen(url, &format!("url = \"{other}\""), 1) + "\n[log]\nfilter = \"debug\"\n"
            });
            let said = Said::from_now(&federation, place, 2);
            let line = again(&["the settings were read again", "log.filter"]).await;
            assert!(!line.contains("public.url"), "{line}");
            said.line(&["need a restart", "public.url"]).await;
            assert_eq!(ops.get("/livez").await.status, 200);
            said.line(&["DEBUG"]).await;
        }
        {
            let _broken = Changed::to(&settings, |text| format!("{text}\n[log]\nfiltre = \"info\"\n"));
            let line = again(&["cannot be used", "those in force stay"]).await;
            assert!(line.contains("filtre"), "the reason is told: {line}");
        }
        {
            // A secret that cannot be used is told by its place, and not what is in it.
            let url = replica.secret("app-url");
            let _broken = Changed::to(&url, |_| "nonsense://x:canary-of-the-reload@y".to_owned());
            let line = again(&["cannot be used", "those in force stay"]).await;
            assert!(!line.contains("canary"), "{line}");
        }
        {
            let url = replica.secret("app-url");
            fs::set_permissions(&url, fs::Permissions::from_mode(0o644)).unwrap();
            let line = again(&["cannot be used", "chmod 600"]).await;
            fs::set_permissions(&url, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(line.contains(url.to_str().unwrap()), "{line}");
        }
        // The filter of before is in force again, and the same process serves.
        again(&["the settings were read again", "log.filter"]).await;
        assert_eq!(process.pid(), pid, "{place}");
        assert_eq!(ops.get("/readyz").await.status, 200);
    }
}
