//! Logs and metrics of a process.
use crate::settings::Log;
use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    io::{IsTerminal, stderr},
    sync::OnceLock,
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterFn, filter_fn},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// The filter that the text says: a level or directives as `info,sqlx=warn`.
pub(crate) fn filter(text: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(text).with_context(|| format!("{text:?} is no log filter; use info or info,sqlx=warn"))
}

/// Libraries trace what goes over the wire: headers with tokens, statements with values. Of them no filter takes more than debug.
fn no_wires() -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(|what| *what.level() < Level::TRACE || what.target().starts_with("exarch"))
}

/// Starts the log on standard error.
pub fn init_logs(log: &Log) -> anyhow::Result<()> {
    let (filter, handle) = reload::Layer::new(filter(&log.filter)?);
    let json = match log.format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let lines = if json {
        // The request's id and the like are fields of the line, wherever the line was written.
        lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed()
    } else {
        lines.boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(no_wires())
        .with(lines)
        .try_init()
        .context("the log was started twice")?;
    // A second start was refused above.
    let _ = FILTER.set(handle);
    Ok(())
}

/// Another filter for the log that was started: a closure that puts it in force.
///
/// # Errors
/// The filter is none; the one in force stays.
pub fn next_log_filter(text: &str) -> anyhow::Result<impl FnOnce() + Send + use<>> {
    let next = filter(text)?;
    Ok(move || {
        if let Some(handle) = FILTER.get()
            && let Err(error) = handle.reload(next)
        {
            tracing::error!(%error, "the log's filter could not be changed");
        }
    })
}

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder, once for the process, and says what was built: `exarch_build_info{service,version}`.
    pub fn install(service: &'static str, version: &'static str) -> anyhow::Result<Self> {
        static INSTALLED: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
        let installed = INSTALLED.get_or_init(|| {
            PrometheusBuilder::new()
                .set_buckets_for_metric(
                    Matcher::Suffix("_seconds".into()),
                    &[
                        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
                    ],
                )
                .and_then(PrometheusBuilder::install_recorder)
                .map_err(|e| e.to_string())
        });
        let handle = installed
            .clone()
            .map_err(|e| anyhow::anyhow!("the metrics did not start: {e}"))?;
        metrics::describe_gauge!("exarch_build_info", "Always 1; the labels say what runs");
        metrics::gauge!("exarch_build_info", "service" => service, "version" => version).set(1.0);
        Ok(Self(handle))
    }

    /// Prometheus text.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds recorded values together until `stop`; without it they pile up when nobody scrapes.
    pub async fn keep_up(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut every = tokio::time::interval(Duration::from_secs(5));
        loop {
            tokio::select! {
                _ = every.tick() => self.0.run_upkeep(),
                () = stop.cancelled() => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_say_what_runs_and_time_in_buckets() {
        let shown = Metrics::install("exarch-test", "1.2.3").unwrap();
        metrics::histogram!("exarch_test_seconds").record(0.003);
        let text = shown.render();
        assert!(
            text.contains(r#"exarch_build_info{service="exarch-test",version="1.2.3"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"exarch_test_seconds_bucket{le="0.005"} 1"#), "{text}");
        assert!(
            Metrics::install("exarch-test", "1.2.3").is_ok(),
            "a second install gives the same metrics"
        );
    }

    #[test]
    fn a_bad_log_filter_is_named() {
        let refused = init_logs(&Log {
            filter: "info,,=x=y".into(),
            format: LogFormat::Json,
        })
        .unwrap_err();
        assert!(refused.to_string().contains("info,,=x=y"), "{refused}");
        assert!(next_log_filter("info,,=x=y").is_err());
    }

    #[test]
    fn no_filter_shows_what_libraries_trace() {
        #[derive(Clone, Default)]
        struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::registry()
            .with(filter("trace").unwrap())
            .with(no_wires())
            .with(tracing_subscriber::fmt::layer().with_writer(move || writer.clone()));
        tracing::subscriber::with_default(log, || {
            tracing::trace!(target: "h2::hpack", "canary of a header");
            tracing::trace!(target: "exarch_common_http", "one of ours");
            tracing::debug!(target: "h2::codec", "a frame");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("one of ours") && text.contains("a frame"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
