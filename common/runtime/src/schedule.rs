//! Work in the background: jobs by the clock on the wall, and reconcilers.
use anyhow::Context;
use exarch_common_base::Ambient;
use std::{future::Future, sync::Arc, time::Duration, time::Instant};
use tokio::sync::{Mutex, Notify};
use tokio_cron_scheduler::{Job, JobScheduler};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Jobs that start by a cron expression with seconds, in UTC: `*/30 * * * * *` is every half minute.
pub struct Schedule {
    scheduler: JobScheduler,
    runs: TaskTracker,
    ambient: Ambient,
}

impl Schedule {
    /// Without jobs.
    pub async fn new(ambient: Ambient) -> anyhow::Result<Self> {
        Ok(Self {
            scheduler: JobScheduler::new().await.context("the scheduler did not start")?,
            runs: TaskTracker::new(),
            ambient,
        })
    }

    /// Adds a job. A run that would overlap the one before it is left out and counted; an error is logged and counted, and
    /// the next run comes at its time.
    pub async fn add<F, R>(&self, name: &'static str, cron: &str, job: F) -> anyhow::Result<()>
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let one = OneAtATime::new(name, self.ambient.clone());
        let (job, runs) = (Arc::new(job), self.runs.clone());
        let entry = Job::new_async(cron, move |_, _| {
            let (one, job) = (one.clone(), job.clone());
            Box::pin(runs.track_future(async move { one.run(|| job()).await }))
        })
        .with_context(|| format!("{cron:?} is no schedule for the job {name}"))?;
        self.scheduler
            .add(entry)
            .await
            .with_context(|| format!("the job {name} could not be added"))?;
        Ok(())
    }

    /// Runs the jobs until `stop`, then waits for the runs under way.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        self.scheduler.start().await.context("the scheduler did not start")?;
        stop.cancelled().await;
        self.scheduler.shutdown().await.context("the scheduler did not stop")?;
        self.runs.close();
        self.runs.wait().await;
        Ok(())
    }
}

/// What a job keeps between its runs.
#[derive(Clone)]
struct OneAtATime {
    name: &'static str,
    running: Arc<Mutex<()>>,
    ambient: Ambient,
}

impl OneAtATime {
    fn new(name: &'static str, ambient: Ambient) -> Self {
        Self {
            name,
            running: Arc::new(Mutex::new(())),
            ambient,
        }
    }

    async fn run<R: Future<Output = anyhow::Result<()>>>(&self, job: impl FnOnce() -> R) {
        let Ok(_running) = self.running.try_lock() else {
            metrics::counter!("exarch_job_skipped_total", "job" => self.name).increment(1);
            tracing::warn!(
                job = self.name,
                "the run before is still under way; this one is left out"
            );
            return;
        };
        let started = Instant::now();
        let outcome = job().await;
        report("job", self.name, &outcome.map(|()| 0), started.elapsed(), &self.ambient);
    }
}

/// Compares what is with what should be, and makes it so. It takes no input: whatever it needs, it looks up.
pub trait Reconcile: Send + 'static {
    /// For the log and metrics.
    const NAME: &'static str;
    /// From the end of a pass to the next one at the latest.
    const EVERY: Duration;
    /// One comparison; answers how many things it changed. Running it twice does no harm.
    fn pass(&mut self) -> impl Future<Output = anyhow::Result<u64>> + Send;
}

/// Wakes a reconciler before its time. It carries nothing: a lost nudge is repaired by the next pass.
#[derive(Clone, Debug, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// For one reconciler.
    pub fn new() -> Self {
        Self::default()
    }

    /// A pass that begins after this call will come at once; several calls make one pass.
    pub fn now(&self) {
        self.0.notify_one();
    }
}

/// Passes at once, then at every nudge and after every [`Reconcile::EVERY`], until `stop`. A failed pass is logged and
/// counted; the next one comes at its time.
pub async fn run_reconciler<R: Reconcile>(mut reconciler: R, nudge: Nudge, ambient: Ambient, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let started = Instant::now();
        let outcome = reconciler.pass().await;
        report("reconciler", R::NAME, &outcome, started.elapsed(), &ambient);
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = nudge.0.notified() => {}
            () = tokio::time::sleep(R::EVERY) => {}
        }
    }
}

/// One line when something was done or went wrong, and the metrics of every run.
fn report(kind: &'static str, name: &'static str, outcome: &anyhow::Result<u64>, took: Duration, ambient: &Ambient) {
    let labels = [("kind", kind), ("name", name)];
    metrics::histogram!("exarch_background_run_seconds", &labels).record(took);
    let result = match outcome {
        Ok(changed) => {
            metrics::gauge!("exarch_background_last_success_timestamp_seconds", &labels)
                .set(ambient.now().unix_timestamp() as f64);
            if *changed > 0 {
                tracing::info!(kind, name, changed, "a background pass made changes");
            }
            "ok"
        }
        Err(e) => {
            tracing::error!(kind, name, error = format!("{e:#}"), "a background run failed");
            "error"
        }
    };
    metrics::counter!("exarch_background_runs_total", "kind" => kind, "name" => name, "result" => result).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::{mpsc, oneshot};

    fn ambient() -> Ambient {
        Ambient::manual(time::OffsetDateTime::UNIX_EPOCH, 1).0
    }

    #[tokio::test]
    async fn a_scheduled_job_starts_and_its_last_run_is_waited_for() {
        let schedule = Schedule::new(Ambient::system()).await.unwrap();
        let (started, mut starts) = mpsc::unbounded_channel();
        let finished = Arc::new(AtomicU32::new(0));
        let count = finished.clone();
        schedule
            .add("every-second", "* * * * * *", move || {
                let (started, count) = (started.clone(), count.clone());
                async move {
                    started.send(()).unwrap();
                    tokio::task::yield_now().await;
                    count.fetch_add(1, Ordering::SeqCst);
                    anyhow::bail!("a failed run does not end the schedule")
                }
            })
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(schedule.run(stop.clone()));
        starts.recv().await.unwrap();
        starts.recv().await.unwrap();
        stop.cancel();
        running.await.unwrap().unwrap();
        assert!(finished.load(Ordering::SeqCst) >= 2);
    }

    #[tokio::test]
    async fn an_expression_that_is_no_schedule_names_the_job() {
        let schedule = Schedule::new(ambient()).await.unwrap();
        let refused = schedule
            .add("probes", "every day", || async { Ok(()) })
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("probes"), "{refused}");
        schedule
            .add("probes", "*/30 * * * * *", || async { Ok(()) })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_run_never_overlaps_the_one_before() {
        let one = OneAtATime::new("slow", ambient());
        let (go, wait) = oneshot::channel::<()>();
        let (in_it, inside) = oneshot::channel::<()>();
        let first = {
            let one = one.clone();
            tokio::spawn(async move {
                one.run(|| async {
                    in_it.send(()).unwrap();
                    wait.await?;
                    Ok(())
                })
                .await;
            })
        };
        inside.await.unwrap();
        one.run(|| async { panic!("the second run began beside the first") })
            .await;
        go.send(()).unwrap();
        first.await.unwrap();
        let again = Arc::new(AtomicU32::new(0));
        one.run(|| async {
            again.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .await;
        assert_eq!(again.load(Ordering::SeqCst), 1);
    }

    struct Counting(mpsc::UnboundedSender<u32>, u32);

    impl Reconcile for Counting {
        const NAME: &'static str = "counting";
        const EVERY: Duration = Duration::from_secs(3600);

        async fn pass(&mut self) -> anyhow::Result<u64> {
            self.1 += 1;
            self.0.send(self.1)?;
            if self.1 == 1 {
                anyhow::bail!("the first pass fails");
            }
            Ok(1)
        }
    }

    #[tokio::test]
    async fn a_nudge_wakes_a_reconciler_also_after_a_failed_pass_and_a_stop_ends_it() {
        let (tx, mut passes) = mpsc::unbounded_channel();
        let (nudge, stop) = (Nudge::new(), CancellationToken::new());
        let running = tokio::spawn(run_reconciler(Counting(tx, 0), nudge.clone(), ambient(), stop.clone()));
        assert_eq!(passes.recv().await, Some(1));
        nudge.now();
        assert_eq!(passes.recv().await, Some(2));
        stop.cancel();
        running.await.unwrap();
        assert_eq!(passes.recv().await, None);
    }

    struct Often(mpsc::UnboundedSender<()>);

    impl Reconcile for Often {
        const NAME: &'static str = "often";
        const EVERY: Duration = Duration::from_millis(1);

        async fn pass(&mut self) -> anyhow::Result<u64> {
            self.0.send(())?;
            Ok(0)
        }
    }

    #[tokio::test]
    async fn without_a_nudge_the_next_pass_comes_by_itself() {
        let (tx, mut passes) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let running = tokio::spawn(run_reconciler(Often(tx), Nudge::new(), ambient(), stop.clone()));
        for _ in 0..3 {
            passes.recv().await.unwrap();
        }
        stop.cancel();
        running.await.unwrap();
    }
}
