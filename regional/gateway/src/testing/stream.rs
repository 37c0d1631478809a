//! A list as a stream, as its reader sees it.
use axum::{body::BodyDataStream, response::Response};
use futures_util::StreamExt;
use serde_json::Value;
use std::time::Duration;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream, and what arrived of it and was not looked at.
pub(crate) struct Stream {
    body: BodyDataStream,
    arrived: String,
}

impl Stream {
    pub(crate) fn of(answer: Response) -> Self {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Self {
            body: answer.into_body().into_data_stream(),
            arrived: String::new(),
        }
    }

    /// The next event, or nothing at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((block, rest)) = self.arrived.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.arrived = rest;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let Some(name) = field("event:") else { continue };
                let data = serde_json::from_str(field("data:").unwrap()).unwrap();
                return Some((name.to_owned(), data));
            }
            let more = tokio::time::timeout(PATIENCE, self.body.next()).await;
            let more = more.expect("an event within reasonable time")?.unwrap();
            self.arrived.push_str(std::str::from_utf8(&more).unwrap());
        }
    }

    /// The data of the next event, which has this name.
    pub(crate) async fn expect(&mut self, name: &str) -> Value {
        let (told, data) = self.event().await.expect("an event and not the end");
        assert_eq!(told, name, "{data}");
        data
    }

    /// The data of the next event with this name about the thing called `id`; others are passed over.
    pub(crate) async fn until(&mut self, name: &str, id: &str) -> Value {
        loop {
            let (told, data) = self.event().await.expect("an event and not the end");
            if told == name && data["id"] == id {
                return data;
            }
        }
    }
}
