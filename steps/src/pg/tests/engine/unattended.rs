//! A frozen database whose driver is gone.

mod again;

use crate::means::psql::text::ident;
use crate::means::read_only;
use crate::means::read_only::freeze::Freeze;
use crate::means::read_only::watchdog::Heartbeat;
use crate::means::read_only::watchdog::Opening;
use crate::means::read_only::watchdog::Watchdog;
use std::path::Path;
use std::time::Duration;

use flow_engine::clock::Timestamp;
use flow_engine::event::{Observer, Observers};
use flow_engine::record::Wait;
use flow_engine::run::append_signal;
use flow_engine::signal::Signal;

use super::super::cluster::database;
use super::*;
use crate::means::host::job::{self, JobSpec, Probe};
use crate::means::lease::Lease;
use crate::means::read_only::watchdog::whose;

mod restoring;

/// Waits for a person: a driver that stays for nobody leaves.
#[derive(Serialize, Deserialize)]
pub(super) struct Pause;

#[async_trait::async_trait]
impl Step for Pause {
    const KIND: &'static str = "test.pause";
    type Output = ();

    fn summary(&self) -> String {
        "wait for a word".into()
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        if cx.signals().next().is_some() {
            return Ok(());
        }
        Err(StepError::Wait(Wait {
            who: "qa".into(),
            what: "a word".into(),
            answer: Some(flow_engine::answer::Answer::Text { max: 100 }),
            until: None,
        }))
    }
}

const RUN: &str = "r-unattended";
const SECONDS: u64 = 8;

struct Bench {
    dir: tempfile::TempDir,
    pg: Pg,
    journal: Arc<MemoryJournal>,
}

impl Bench {
    async fn new() -> Bench {
        Bench {
            dir: tempfile::tempdir().unwrap(),
            pg: database(SHOP).await,
            journal: Arc::default(),
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn watchdog(&self, seconds: u64, job_seconds: u64) -> Watchdog {
        let lease = Lease {
            host: "here".into(),
            dir: self.path("lease"),
            epoch: 1,
            machine_id: String::new(),
            hostname: "here".into(),
        };
        Watchdog {
            lease: Arg::Value(lease),
            jobs: self.path("jobs"),
            seconds,
            job_seconds,
        }
    }

    fn plan(&self, watchdog: &Watchdog) -> flow_engine::plan::Plan {
        self.plan_of(watchdog, false)
    }

    /// With `baseline` there is a backup before the freeze, and a baseline after the pause.
    fn plan_of(&self, watchdog: &Watchdog, baseline: bool) -> flow_engine::plan::Plan {
        let (db, dir) = (self.pg.db.clone(), self.path(""));
        let mut p = Planner::new("release", "1", "prod", "test");
        p.phase("prod", "Production", OnFailure::Rollback, |p| {
            let watchdog = Some(watchdog.clone());
            let backup = TakeBackup {
                db: db.clone(),
                dir: dir.clone(),
                prefix: "prod".into(),
                critical: Vec::new(),
                compression: Compression::Zstd,
                min_free_bytes: 1,
            };
            let earlier = baseline.then(|| p.step("prod/backup", backup));
            let freeze = Freeze {
                db: db.clone(),
                ended_by: None,
                watchdog: watchdog.clone(),
            };
            p.step("prod/freeze", freeze);
            p.step("prod/pause", Pause);
            if let Some(earlier) = &earlier {
                let baseline = Baseline {
                    db: db.clone(),
                    dir,
                    earlier: earlier.into(),
                    restore_if_started: "prod/thaw".into(),
                    ask_if_started: None,
                    lease: None,
                    watchdog: watchdog.clone(),
                };
                p.step("prod/baseline", baseline);
            }
            let look = None;
            p.step("prod/thaw", Thaw { db, look, watchdog });
        });
        p.finish().unwrap()
    }

    fn engine(&self, heartbeat: Option<&Arc<Heartbeat>>) -> Engine {
        let all = heartbeat.map(|h| Arc::clone(h) as Arc<dyn Observer>);
        Engine {
            registry: Arc::new(registry().with::<Pause>()),
            observers: Observers::new(
                all.into_iter().collect(),
                flow_engine::event::Masked::default(),
            ),
            ..engine(&self.journal)
        }
    }

    /// Freezes, and leaves production to itself.
    async fn left_alone(&self, watchdog: &Watchdog) {
        self.left_in(self.plan(watchdog)).await;
    }

    async fn left_in(&self, plan: flow_engine::plan::Plan) {
        let new = NewRun {
            id: RUN.parse().unwrap(),
            plan,
            by: Actor {
                name: "developer".into(),
                from: "test".into(),
            },
            reason: "a test".into(),
            request: None,
        };
        let (driver, _handle) = self.engine(None).start(new).await.unwrap();
        let (run, stop) = driver.drive().await.unwrap();
        assert_eq!(stop, Stop::WaitingForPeople, "{}", told(&run));
        assert!(self.is_read_only().await);
    }

    /// Goes on to the end.
    async fn resumed(&self) -> Arc<Run> {
        let id = RUN.parse().unwrap();
        let mut run = Run::load(&*self.journal, &id).await.unwrap();
        let word = Signal {
            step: "prod/pause".into(),
            id: "1".into(),
            by: run.by.clone(),
            body: "{}".into(),
            at: run.updated,
        };
        append_signal(&*self.journal, &mut run, word).await.unwrap();
        let (driver, _handle) = self.engine(None).resume(&id).await.unwrap();
        let (run, stop) = driver.drive().await.unwrap();
        assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
        run
    }

    /// Asked beside the database: the timer ends every session in it.
    async fn is_read_only(&self) -> bool {
        read_only::is_on(&self.pg).await.unwrap()
    }

    /// Bounded widely: a slow machine is no failure.
    async fn until_writable(&self) {
        for _ in 0..120 {
            if !self.is_read_only().await {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("it stays read-only");
    }

    fn opened(&self) -> String {
        let path = self.path("lease/watchdog/r-unattended/opened");
        for _ in 0..100 {
            if let Ok(text) = std::fs::read_to_string(&path) {
                return text;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("it left no word");
    }

    /// The timers of this bench, by their processes.
    fn timers(&self) -> Vec<String> {
        let name = self.path("lease/watchdog");
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let ours = processes.filter(|process| {
            let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(&name)
        });
        ours.map(|process| process.file_name().into_string().unwrap())
            .collect()
    }

    fn job(&self, script: &str) -> JobSpec {
        JobSpec::new(self.path("jobs"), RUN, "prod-deploy", script)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_that_nobody_drives_lets_writers_in_again_and_says_so() {
    let bench = Bench::new().await;
    bench.left_alone(&bench.watchdog(SECONDS, 60)).await;
    let mut pool = bench.pg.session().await.unwrap();
    pool.ask("SELECT 1;").await.unwrap();
    bench.until_writable().await;
    let opened = bench.opened();
    assert!(opened.trim().ends_with(" -"), "no job was ended: {opened}");
    let stuck = pool
        .ask("INSERT INTO public.\"AuditLog\" VALUES ('x');")
        .await;
    assert!(
        stuck.is_err(),
        "a session that would stay read-only is ended"
    );
    bench
        .pg
        .query("INSERT INTO public.\"AuditLog\" VALUES ('y');")
        .await
        .expect("writers are in");
    bench.resumed().await;
    assert_eq!(
        bench.timers(),
        Vec::<String>::new(),
        "no process is left behind"
    );
    assert!(!Path::new(&bench.path("lease/watchdog/r-unattended")).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_freeze_was_ended_before_its_baseline_freezes_again_and_has_every_row() {
    let bench = Bench::new().await;
    let watchdog = bench.watchdog(SECONDS, 60);
    bench.left_in(bench.plan_of(&watchdog, true)).await;
    bench.until_writable().await;
    bench.opened();
    let write = "INSERT INTO public.\"AuditLog\" VALUES ('a customer');";
    bench.pg.query(write).await.expect("writers are in");
    let run = bench.resumed().await;
    let (before, baseline): (Backup, Backup) =
        (out(&run, "prod/backup"), out(&run, "prod/baseline"));
    let rows = |backup: &Backup| backup.state.tables["public.AuditLog"].rows;
    assert_eq!(rows(&baseline), rows(&before) + 1);
    assert!(!bench.is_read_only().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_runs_is_waited_for_and_then_writers_are_let_in() {
    let bench = Bench::new().await;
    let go = bench.path("job-go");
    let job = bench.job(&format!("until [ -e {go} ]; do sleep 0.2; done"));
    job::launch(&Local::new("here"), &job).await.unwrap();
    bench.left_alone(&bench.watchdog(SECONDS, 3600)).await;
    tokio::time::sleep(Duration::from_secs(SECONDS + 6)).await;
    assert!(bench.is_read_only().await, "the deploy still runs");
    std::fs::write(go, "").unwrap();
    bench.until_writable().await;
    assert!(bench.opened().trim().ends_with(" -"), "{}", bench.opened());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_has_had_its_time_is_ended_and_named_and_nothing_else_is() {
    let bench = Bench::new().await;
    let host = Local::new("here");
    let ours = bench.job("sleep 600");
    let foreign = JobSpec::new(bench.path("jobs"), "r-other", "prod-deploy", "sleep 600");
    for job in [&ours, &foreign] {
        job::launch(&host, job).await.unwrap();
    }
    bench.left_alone(&bench.watchdog(SECONDS, 1)).await;
    bench.until_writable().await;
    assert!(
        bench.opened().trim().ends_with(" prod-deploy.1"),
        "{}",
        bench.opened()
    );
    assert!(matches!(
        job::probe(&host, &ours).await.unwrap(),
        Probe::Done { code: 143, .. }
    ));
    assert!(matches!(
        job::probe(&host, &foreign).await.unwrap(),
        Probe::Running { .. }
    ));
    job::kill(&host, &foreign, Duration::from_secs(5))
        .await
        .unwrap();
    let run = bench.resumed().await;
    assert_eq!(run.verdict(), Some(Verdict::Completed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_whose_freeze_is_another_runs_by_now_opens_nothing() {
    let bench = Bench::new().await;
    bench.left_alone(&bench.watchdog(SECONDS, 60)).await;
    std::fs::write(bench.path("lease/watchdog/armed"), "r-other\n").unwrap();
    tokio::time::sleep(Duration::from_secs(SECONDS + 8)).await;
    assert!(bench.is_read_only().await, "it is the other run's freeze");
    assert_eq!(
        bench.timers(),
        Vec::<String>::new(),
        "and the timer has ended itself"
    );
    let host = Local::new("here");
    let guardian = whose(&host, &bench.path("lease")).await.unwrap().unwrap();
    assert_eq!((guardian.run.as_str(), guardian.alive), ("r-other", false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_is_there_keeps_production_frozen_and_starts_a_dead_timer_again() {
    let bench = Bench::new().await;
    let watchdog = bench.watchdog(SECONDS, 60);
    bench.left_alone(&watchdog).await;
    // What a restart of the host leaves: the files, and no timer.
    for timer in bench.timers() {
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-9", &timer]).status().unwrap().success());
    }
    let host = Local::new("here");
    let dead = whose(&host, &bench.path("lease")).await.unwrap().unwrap();
    assert!(!dead.alive, "{dead:?}");
    let hosts = Arc::new(Hosts::new().with(Local::new("here")));
    let heartbeat = Arc::new(Heartbeat::new(hosts));
    let run = Run::load(&*bench.journal, &RUN.parse().unwrap())
        .await
        .unwrap();
    heartbeat.begin(&run);
    tokio::time::sleep(Duration::from_secs(2 * SECONDS + 4)).await;
    assert!(bench.is_read_only().await, "somebody drives");
    let alive = whose(&host, &bench.path("lease")).await.unwrap().unwrap();
    assert!(alive.alive, "{alive:?}");
    drop(heartbeat);
    bench.until_writable().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_closed_for_a_swap_is_opened_as_well() {
    let bench = Bench::new().await;
    bench.left_alone(&bench.watchdog(SECONDS, 60)).await;
    let sql = format!(
        "ALTER DATABASE {} ALLOW_CONNECTIONS false;",
        ident(&bench.pg.db.name)
    );
    bench.pg.maintenance().query(&sql).await.unwrap();
    assert!(bench.pg.query("SELECT 1;").await.is_err());
    for _ in 0..120 {
        if bench.pg.query("SELECT 1;").await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!bench.is_read_only().await);
}

#[test]
fn the_timers_word_is_read_strictly() {
    let opening = Opening::parse("1795000000 prod-deploy.1,prod-deploy.2").unwrap();
    assert_eq!(opening.at, Timestamp(1_795_000_000_000));
    assert_eq!(opening.ended, ["prod-deploy.1", "prod-deploy.2"]);
    assert!(
        opening
            .in_words()
            .contains("had ended the job prod-deploy.1, prod-deploy.2")
    );
    assert!(Opening::parse("1795000000 -").unwrap().ended.is_empty());
    for rubbish in ["", "-", "x -", "99999999999999999999 -"] {
        assert_eq!(Opening::parse(rubbish), None, "{rubbish}");
    }
}
