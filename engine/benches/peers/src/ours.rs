//! `flow`'s side: the real driver on the real journal, as in `engine/benches/journal.rs`.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flow_engine::clock::SystemClock;
use flow_engine::driver::{Engine, NewRun, Stop};
use flow_engine::event::Observers;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;
use flow_engine::signal::Actor;
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::child::{Child, Spec};
use crate::contender::{Contender, Ground, Running};

/// A step that does nothing.
#[derive(Serialize, Deserialize)]
struct Nothing;

#[async_trait]
impl Step for Nothing {
    const KIND: &'static str = "bench.nothing";
    type Output = ();

    fn summary(&self) -> String {
        "nothing".into()
    }

    async fn run(&self, _cx: &Cx) -> std::result::Result<(), StepError> {
        Ok(())
    }
}

fn plan(steps: u64) -> Plan {
    let mut planner = Planner::new("bench", "1", "nowhere", "bench");
    planner.phase("all", "all", OnFailure::Park, |p| {
        for n in 0..steps {
            p.step(&format!("all/{n}"), Nothing);
        }
    });
    planner.finish().expect("the keys differ")
}

/// Plans, starts and drives one run.
async fn drive(journal: Arc<SledJournal>, n: u64, steps: u64) {
    let engine = Engine {
        journal,
        registry: Arc::new(Registry::default().with::<Nothing>()),
        resources: Resources::default(),
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "bench".into(),
        wait_for_people: false,
    };
    let by = Actor {
        name: "bench".into(),
        from: "here".into(),
    };
    let new = NewRun {
        id: format!("r-bench-{n:06}").parse().expect("a run's name"),
        plan: plan(steps),
        by,
        reason: String::new(),
        request: None,
    };
    let (driver, _handle) = engine.start(new).await.expect("it starts");
    let (_, stop) = driver.drive().await.expect("it drives");
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

/// The worker: reads `RUNS STEPS` a line from its standard input, answers with the seconds they took.
///
/// The time includes what the peers' time includes: handing the runs in.
pub(crate) fn work(dir: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    let (journal, _) = SledJournal::open(&dir.join("journal"), &OpenOptions::default())?;
    let journal = Arc::new(journal);
    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    let mut done = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (runs, steps) = line.split_once(' ').ok_or("two numbers were expected")?;
        let (runs, steps): (u64, u64) = (runs.parse()?, steps.parse()?);
        let start = Instant::now();
        runtime.block_on(async {
            let tasks: Vec<_> = (done..done + runs)
                .map(|n| tokio::spawn(drive(Arc::clone(&journal), n, steps)))
                .collect();
            for task in tasks {
                task.await.expect("no panic");
            }
        });
        writeln!(out, "{}", start.elapsed().as_secs_f64())?;
        done += runs;
    }
    Ok(())
}

/// `flow`, as a process of its own.
pub(crate) struct Ours;

struct Worker(Child);

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "flow"
    }

    fn start(&self, ground: &Ground, trace: Option<&Path>) -> Result<Box<dyn Running>> {
        let dir = ground.fresh("flow")?;
        let spec = Spec::new(&ground.tools.me, &dir)
            .args(["flow-worker".into(), dir.clone().into_os_string()])
            .traced(trace);
        let mut child = spec.spawn()?;
        child.expect_line("ready", Duration::from_secs(30))?;
        Ok(Box::new(Worker(child)))
    }
}

impl Running for Worker {
    fn drive(&mut self, runs: u64, steps: u64, limit: Duration) -> Result<Duration> {
        self.0.ask(runs, steps, limit)
    }

    fn stop(self: Box<Self>) -> Result<()> {
        self.0.stop()
    }
}
