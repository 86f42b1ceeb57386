//! Every kind of step that acts on production, forward and backward, with a lease that another run has taken.

use flow_engine::driver::Stop;
use flow_engine::plan::{Effect, Plan};
use flow_engine::record::{ParkReason, Verdict};
use flow_engine::registry::Registry;
use flow_engine::signal::Order;
use flow_engine::step::Step as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::lease::{HostLease, ReleaseLease};
use crate::means::host::Hosts;
use crate::means::reach::testing::{Bench, Change, Say, failure, plan};
use crate::means::read_only::freeze::Freeze;
use crate::{code, deploy, pg, pm2, watch};

/// Another run takes the lease, as after `flow unlock --lost`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Theft {
    file: String,
}

#[async_trait]
impl flow_engine::step::Step for Theft {
    const KIND: &'static str = "test.theft";
    type Output = bool;

    fn summary(&self) -> String {
        "steals".into()
    }

    async fn run(&self, _: &Cx) -> Result<bool, StepError> {
        std::fs::write(
            &self.file,
            crate::means::lease::guard::json(&held("r-other", 1)),
        )
        .unwrap();
        Ok(true)
    }
}

fn own() -> Registry {
    Registry::default()
        .with::<HostLease>()
        .with::<ReleaseLease>()
        .with::<Theft>()
}

fn real() -> Registry {
    own()
        .with::<code::CodeSnapshot>()
        .with::<deploy::Deploy>()
        .with::<pg::Baseline>()
        .with::<Freeze>()
        .with::<pg::Integrity>()
        .with::<pg::MigrationsApplied>()
        .with::<pg::RecordState>()
        .with::<pg::RestoreProof>()
        .with::<pg::TakeBackup>()
        .with::<pg::Thaw>()
        .with::<pm2::Online>()
        .with::<pm2::Processes>()
        .with::<pm2::Restarted>()
        .with::<watch::Watch>()
}

/// Steps of the same kinds that do nothing and give an [`answer`]: what was done before the theft.
macro_rules! done {
    ($($name:ident $kind:expr),*) => {
        $(
            #[derive(Serialize, Deserialize)]
            struct $name {
                #[serde(flatten)]
                params: serde_json::Map<String, Value>,
            }

            #[async_trait]
            impl flow_engine::step::Step for $name {
                const KIND: &'static str = $kind;
                type Output = Value;

                fn summary(&self) -> String {
                    "was done".into()
                }

                async fn run(&self, _: &Cx) -> Result<Value, StepError> {
                    Ok(answer($kind))
                }
            }
        )*

        fn done() -> Registry {
            own()$(.with::<$name>())*
        }
    };
}

done!(
    Code code::CodeSnapshot::KIND,
    Deployed deploy::Deploy::KIND,
    Base pg::Baseline::KIND,
    Frozen Freeze::KIND,
    State pg::RecordState::KIND,
    Listed pm2::Processes::KIND
);

struct Theatre {
    rig: Rig,
    bench: Bench,
    started: Arc<Mutex<Vec<Command>>>,
}

impl Theatre {
    fn new(registry: fn() -> Registry) -> Self {
        let started = Arc::new(Mutex::new(Vec::new()));
        let host = Recorder {
            inner: Local::new("here"),
            started: Arc::clone(&started),
        };
        let mut bench = Bench::new(registry);
        bench.hosts = Hosts::new().with(host);
        Theatre {
            rig: Rig {
                dir: tempfile::tempdir().unwrap(),
            },
            bench,
            started,
        }
    }

    /// The lease, then these steps, then what the caller adds.
    fn plan(&self, nodes: &[(&str, &str, Value)], last: bool) -> Plan {
        let lease = HostLease::in_folder("here", self.rig.path("lease"));
        let theft = Theft {
            file: self.rig.path("lease/held"),
        };
        let mut plan = plan(
            |p| {
                p.step("prod/lease", lease);
                if !last {
                    p.step("prod/theft", theft.clone());
                }
            },
            |p| {
                for (key, _, _) in nodes {
                    p.step(key, Change);
                }
                if last {
                    p.step("prod/theft", theft.clone());
                    p.step("prod/end", Say::new(1));
                }
            },
        );
        for node in &mut plan.nodes {
            if let Some((_, kind, params)) = nodes.iter().find(|(key, _, _)| *key == node.key) {
                (*kind).clone_into(&mut node.kind);
                node.params = params.clone();
                node.effect = Effect::Changes;
            }
        }
        plan
    }

    /// That nothing but guarded commands, and mere looks at the lease, reached the host since it was taken.
    fn nothing_unguarded(&self, what: &str) {
        for command in self.started.lock().unwrap().iter() {
            let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
            let own = words.get(2) == Some(&"flow-lease");
            let about_the_lease = words.contains(&self.rig.path("lease").as_str());
            let identity = words.iter().any(|w| w.starts_with("cat /etc/machine-id"));
            assert!(own || about_the_lease || identity, "{what}: {command:?}");
        }
    }
}

fn database() -> Value {
    json!({"host": "here", "user": "u", "name": "d", "maintenance": "template1"})
}

fn state() -> Value {
    json!({"taken_at": 1, "system_identifier": "1", "server_version": "16", "database": "d", "tables": {}, "migrations": [],
        "schema_digest": "x", "shape_digest": "x"})
}

fn backup() -> Value {
    json!({"path": "/nowhere/b", "bytes": 1, "raw_bytes": 1, "sha256": "", "raw_sha256": "", "compression": "zstd",
        "seconds": 1, "tool_version": "", "previous_raw_bytes": null, "state": state()})
}

fn processes() -> Value {
    json!({"apps": [{"id": 0, "name": "api", "status": "online", "restarts": 0, "pid": 7, "version": null, "logs": []}]})
}

fn answer(kind: &str) -> Value {
    match kind {
        pg::RecordState::KIND => state(),
        pm2::Processes::KIND => processes(),
        code::CodeSnapshot::KIND => {
            json!({"commit": "a".repeat(40), "branch": null, "version": null, "bundle": "/nowhere/c", "sha256": "",
                "bytes": 1, "untracked": []})
        }
        Freeze::KIND => json!({"read_only": true, "canary": ""}),
        pg::Baseline::KIND => backup(),
        _ => json!({"commit": "", "attempt": 1, "folder": "", "log_bytes": null, "settled": false}),
    }
}

fn value(of: &Value) -> Value {
    json!({"value": of})
}

/// Each kind with parameters that would act on the host `here`.
fn acting(rig: &Rig) -> Vec<(&'static str, Value)> {
    let (db, dir) = (database(), rig.path("backups"));
    let pm2 = json!(["pm2"]);
    vec![
        (Freeze::KIND, json!({"db": db})),
        (pg::Thaw::KIND, json!({"db": db})),
        (
            pg::Baseline::KIND,
            json!({"db": db, "dir": dir, "earlier": value(&backup()), "restore_if_started": "prod/step"}),
        ),
        (
            pg::Integrity::KIND,
            json!({"db": db, "before": value(&backup()), "allowed": []}),
        ),
        (
            pg::MigrationsApplied::KIND,
            json!({"db": db, "expected": []}),
        ),
        (
            pg::RecordState::KIND,
            json!({"db": db, "only_if_started": "prod/step"}),
        ),
        (
            pg::TakeBackup::KIND,
            json!({"db": db, "dir": dir, "prefix": "p", "critical": [], "compression": "zstd", "min_free_bytes": 0}),
        ),
        (
            pg::RestoreProof::KIND,
            json!({"db": db, "backup": value(&backup())}),
        ),
        (
            pm2::Processes::KIND,
            json!({"host": "here", "pm2": pm2, "restart_if_started": "prod/step", "settle_seconds": 1, "health": null}),
        ),
        (
            pm2::Online::KIND,
            json!({"host": "here", "pm2": pm2, "expected": value(&processes()), "settle_seconds": 1}),
        ),
        (
            pm2::Restarted::KIND,
            json!({"host": "here", "pm2": pm2, "before": value(&processes()), "settle_seconds": 1}),
        ),
        (
            watch::Watch::KIND,
            json!({"host": "here", "pm2": pm2, "apps": [], "seconds": 1, "errors": [], "allow": [], "health": null, "max_restarts": 0}),
        ),
        (
            code::CodeSnapshot::KIND,
            json!({"host": "here", "dir": rig.path("app"), "backups": dir, "untracked": [], "revert_if_started": "prod/step", "install": null}),
        ),
        (
            deploy::Deploy::KIND,
            json!({"host": "here", "jobs_dir": rig.path("jobs"), "cwd": rig.path(""), "script": ["true"], "env": {},
                "commit": "c".repeat(40), "errors": [], "allow": [], "lease": null, "gate": null,
                "stop_on_undo": {"pm2": pm2}, "timeout_minutes": 1}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acting_step_parks_when_another_run_has_the_lease() {
    let kinds = acting(&Rig::held_by("r", 1)).len();
    for n in 0..kinds {
        let theatre = Theatre::new(real);
        let (kind, params) = acting(&theatre.rig).swap_remove(n);
        let plan = theatre.plan(&[("prod/step", kind, params)], false);
        let (run, stop) = theatre.bench.start("r-one", plan).await;
        assert_eq!(
            stop,
            Stop::Parked(ParkReason::Unknown { step: 2 }),
            "{kind}: {:?}",
            run.steps[2].failure
        );
        let said = failure(&run, "prod/step");
        assert!(
            said.message
                .contains("was taken by run r-other: this run may not touch it any more"),
            "{kind}: {said:?}"
        );
        theatre.nothing_unguarded(kind);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_undo_touches_production_under_another_runs_lease_and_the_run_can_still_be_ended() {
    let mut theatre = Theatre::new(done);
    let mut nodes = Vec::new();
    for (key, kind) in [
        ("prod/state", pg::RecordState::KIND),
        ("prod/processes", pm2::Processes::KIND),
        ("prod/code", code::CodeSnapshot::KIND),
        ("prod/freeze", Freeze::KIND),
        ("prod/baseline", pg::Baseline::KIND),
        ("prod/step", deploy::Deploy::KIND),
    ] {
        let found = acting(&theatre.rig).into_iter().find(|(k, _)| *k == kind);
        nodes.push((key, kind, found.unwrap().1));
    }
    let plan = theatre.plan(&nodes, true);
    let (_, stop) = theatre.bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    theatre.bench.order("r-one", Order::Rollback).await;
    theatre.bench.registry = real;
    for (key, ..) in nodes.iter().rev() {
        let (run, stop) = theatre.bench.resume("r-one").await;
        let (index, _) = run.plan.node(key).unwrap();
        assert_eq!(
            stop,
            Stop::Parked(ParkReason::UndoFailed { step: index }),
            "{key}: {:?}",
            run.steps[index as usize]
        );
        let why = run.steps[index as usize].undo_failure.clone().unwrap().1;
        assert!(why.message.contains("run r-other"), "{key}: {why:?}");
        theatre.nothing_unguarded(key);
        let skip = Order::Skip {
            step: (*key).to_owned(),
        };
        theatre.bench.order("r-one", skip).await;
    }
    let (run, stop) = theatre.bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBackInPart), "{run:?}");
    let left = lock_state(&Local::new("here"), &theatre.rig.path("lease")).await;
    assert_eq!(left.unwrap().held, Some(held("r-other", 1)));
}
