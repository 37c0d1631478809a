//! One task for each workload that should run here, and never two for the same one: what it is now begins when nothing is left
//! of what it was. Both would be the same holder of the lease, and neither the region nor the guard would tell them apart.
use exarch_common_base::WorkloadId;
use exarch_common_wire::agent::Assignment;
use std::{collections::HashMap, future::Future};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

struct Task {
    assignment: Assignment,
    cancel: CancellationToken,
    done: JoinHandle<()>,
}

/// The tasks of this host.
#[derive(Default)]
pub(super) struct Tasks {
    running: HashMap<WorkloadId, Task>,
    ending: HashMap<WorkloadId, JoinHandle<()>>,
    tracker: TaskTracker,
}

impl Tasks {
    /// Ends what is not `wanted`, or not as it is, and begins what is; each is told to end by a child of `stop`.
    pub(super) fn converge<F>(
        &mut self,
        wanted: Vec<Assignment>,
        stop: &CancellationToken,
        run: impl Fn(Assignment, CancellationToken) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.ending.retain(|_, done| !done.is_finished());
        for (workload, task) in self.running.extract_if(|_, task| !wanted.contains(&task.assignment)) {
            task.cancel.cancel();
            self.ending.insert(workload, task.done);
        }
        for assignment in wanted {
            let workload = assignment.workload;
            if self.running.contains_key(&workload) {
                continue;
            }
            let cancel = stop.child_token();
            let before = self.ending.remove(&workload);
            let task = run(assignment.clone(), cancel.clone());
            let told = cancel.clone();
            let done = self.tracker.spawn(async move {
                if let Some(before) = before {
                    // one that panicked has ended, too
                    let _ = before.await;
                }
                if !told.is_cancelled() {
                    task.await;
                }
            });
            let task = Task {
                assignment,
                cancel,
                done,
            };
            self.running.insert(workload, task);
        }
    }

    /// Waits until all have ended.
    pub(super) async fn ended(self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_wire::agent::Driver;
    use std::sync::{Arc, Mutex};
    use tokio::sync::Notify;

    fn assignment(program: &str) -> Assignment {
        Assignment {
            workload: "wrk_01978c3e4f1a7c0e9f0a3b5d000000b1".parse().unwrap(),
            name: "web".to_owned(),
            resource: "res_01978c3e4f1a7c0e9f0a3b5d000000b2".parse().unwrap(),
            driver: Driver::Process {
                argv: vec![program.to_owned()],
                volume: "/v".to_owned(),
            },
        }
    }

    /// Tasks that write down their beginning and their end, and end when they are told and `leave` lets them.
    struct Stage {
        told: Arc<Mutex<Vec<String>>>,
        leave: Arc<Notify>,
        stop: CancellationToken,
    }

    impl Stage {
        fn converge(&self, tasks: &mut Tasks, wanted: Vec<Assignment>) {
            tasks.converge(wanted, &self.stop, |assignment, cancel| {
                let Driver::Process { argv, .. } = assignment.driver;
                let (told, leave) = (self.told.clone(), self.leave.clone());
                async move {
                    told.lock().unwrap().push(format!("{} begins", argv[0]));
                    cancel.cancelled().await;
                    leave.notified().await;
                    told.lock().unwrap().push(format!("{} ends", argv[0]));
                }
            });
        }

        fn told(&self) -> Vec<String> {
            self.told.lock().unwrap().clone()
        }
    }

    async fn all_that_can() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_workload_begins_anew_only_when_nothing_is_left_of_it() {
        let stage = Stage {
            told: Arc::default(),
            leave: Arc::default(),
            stop: CancellationToken::new(),
        };
        let mut tasks = Tasks::default();
        stage.converge(&mut tasks, vec![assignment("a")]);
        all_that_can().await;
        // changed, and then stopped and started again while the first is still dying
        stage.converge(&mut tasks, vec![assignment("b")]);
        stage.converge(&mut tasks, Vec::new());
        stage.converge(&mut tasks, vec![assignment("c")]);
        all_that_can().await;
        assert_eq!(stage.told(), ["a begins"]);
        stage.leave.notify_one();
        all_that_can().await;
        assert_eq!(stage.told(), ["a begins", "a ends", "c begins"]);
        stage.stop.cancel();
        stage.leave.notify_one();
        tasks.ended().await;
        assert_eq!(stage.told().last().map(String::as_str), Some("c ends"));
    }

    #[tokio::test]
    async fn what_is_wanted_as_it_is_goes_on() {
        let stage = Stage {
            told: Arc::default(),
            leave: Arc::default(),
            stop: CancellationToken::new(),
        };
        let mut tasks = Tasks::default();
        stage.converge(&mut tasks, vec![assignment("a")]);
        stage.leave.notify_one();
        stage.converge(&mut tasks, vec![assignment("a")]);
        all_that_can().await;
        assert_eq!(stage.told(), ["a begins"]);
        stage.stop.cancel();
        tasks.ended().await;
    }
}
