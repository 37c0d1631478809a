//! Server-sent events as a list's watch sends them: bytes in, events out. Only what our servers send is read: `event` and
//! `data`; comments keep the connection alive and say nothing (HTML, 9.2.6).
use serde_json::Value;

/// The longest event: a whole page of a list.
const LONGEST: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its data, as JSON.
    pub data: Value,
}

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EventError {
    /// It goes on without an end.
    #[error("an event is longer than {LONGEST} bytes")]
    Long,
    /// It is no JSON.
    #[error("an event of the kind {0:?} is not readable")]
    Unreadable(String),
}

/// What is left of a line, and of an event, between two reads.
#[derive(Debug, Default)]
pub struct Events {
    rest: Vec<u8>,
    name: String,
    data: String,
}

impl Events {
    /// The events that end within these bytes.
    ///
    /// # Errors
    /// [`EventError`]; the stream is of no use after it.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<Event>, EventError> {
        let mut events = Vec::new();
        self.rest.extend_from_slice(bytes);
        if self.rest.len() + self.data.len() > LONGEST {
            return Err(EventError::Long);
        }
        let mut from = 0;
        while let Some(end) = self.rest[from..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.rest[from..from + end]).into_owned();
            from += end + 1;
            events.extend(self.line(line.trim_end_matches('\r'))?);
        }
        self.rest.drain(..from);
        Ok(events)
    }

    fn line(&mut self, line: &str) -> Result<Option<Event>, EventError> {
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            if data.is_empty() {
                return Ok(None);
            }
            let parsed = serde_json::from_str(&data).map_err(|_| EventError::Unreadable(name.clone()))?;
            return Ok(Some(Event { name, data: parsed }));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // a comment, or a field that nothing here needs
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const STREAM: &str = ": hello\n\nevent: page\nretry: 1000\ndata: {\"items\":\ndata: []}\n\n: still here\n\nevent:added\r\ndata:{\"id\":\"é\"}\r\n\r\n";

    #[test]
    fn events_are_the_same_however_the_bytes_arrive() {
        let all = [
            Event {
                name: "page".into(),
                data: json!({"items": []}),
            },
            Event {
                name: "added".into(),
                data: json!({"id": "é"}),
            },
        ];
        for size in 1..STREAM.len() {
            let mut events = Events::default();
            let read: Vec<_> = STREAM
                .as_bytes()
                .chunks(size)
                .flat_map(|bytes| events.read(bytes).unwrap())
                .collect();
            assert_eq!(read, all, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused_and_an_unfinished_one_is_none() {
        let mut events = Events::default();
        assert_eq!(events.read(b"event: added\ndata: {\"id\": 1}\n").unwrap(), []);
        let broken = Events::default().read(b"event: added\ndata: {\n\n");
        assert_eq!(broken, Err(EventError::Unreadable("added".into())));
        let endless = vec![b'x'; LONGEST + 1];
        assert_eq!(Events::default().read(&endless), Err(EventError::Long));
    }
}
