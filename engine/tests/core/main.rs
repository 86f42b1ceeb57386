//! The pure core by table: records in, what is true and what to do now out. No driver, no journal, no clock.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use flow_engine::answer::Answer;
use flow_engine::clock::Timestamp;
use flow_engine::decide::{Next, next};
use flow_engine::plan::{Effect, Node, OnFailure, Phase, Plan};
use flow_engine::record::{
    Entry, Failure, FailureKind, ParkReason, Payload, Record, Verdict, Wait,
};
use flow_engine::retry::Policy;
use flow_engine::run::Run;
use flow_engine::signal::{Actor, Order, Signal};

mod decisions;
mod facts;
mod illegal;
mod options;
mod orders;

/// The steps of the plan below, by place.
const LOOK: u32 = 0;
const WARN: u32 = 1;
const ONE: u32 = 2;
const TWO: u32 = 3;
const THREE: u32 = 4;
const TELL: u32 = 5;

fn node(key: &str, phase: u32, effect: Effect) -> Node {
    Node {
        key: key.into(),
        phase,
        kind: "test.any".into(),
        version: 1,
        params: serde_json::Value::Null,
        summary: key.into(),
        effect,
        undo: (effect == Effect::Changes).then(|| "undo it".into()),
        group: None,
        only_if: None,
        answered_by: None,
        skippable: false,
        settles: false,
        policy: Policy::default(),
    }
}

/// Looks, warns; changes one and two at once, and three if the look says so; then tells.
fn plan() -> Plan {
    let phase = |key: &str, on_failure| Phase {
        key: key.into(),
        title: key.into(),
        on_failure,
    };
    let mut nodes = vec![
        node("prep/look", 0, Effect::Reads),
        node("prep/warn", 0, Effect::Tells),
        node("prod/one", 1, Effect::Changes),
        node("prod/two", 1, Effect::Changes),
        node("prod/three", 1, Effect::Changes),
        node("after/tell", 2, Effect::Reads),
    ];
    nodes[WARN as usize].skippable = true;
    for beside in [ONE, TWO] {
        nodes[beside as usize].group = Some("both".into());
    }
    nodes[TWO as usize].settles = true;
    nodes[THREE as usize].only_if = Some("prep/look".into());
    Plan {
        workflow: "test".into(),
        protocol: "1".into(),
        planned_by: "flow test".into(),
        environment: "prod".into(),
        facts: BTreeMap::new(),
        phases: vec![
            phase("prep", OnFailure::Park),
            phase("prod", OnFailure::Rollback),
            phase("after", OnFailure::Park),
        ],
        nodes,
    }
}

fn me() -> Actor {
    Actor {
        name: "me".into(),
        from: "here".into(),
    }
}

/// A run, and the moment, which is the number of its last record.
struct Bench {
    run: Run,
    now: Timestamp,
}

impl Bench {
    fn new() -> Bench {
        Bench::of(&plan())
    }

    fn of(plan: &Plan) -> Bench {
        let now = Timestamp(0);
        let record = Record::Created {
            plan: Payload::Inline(plan.to_json()),
            by: me(),
            reason: "a test".into(),
            request: None,
        };
        let run = Run::create(&"r-core".parse().unwrap(), 1, &Entry { at: now, record });
        let run = run.unwrap();
        Bench { run, now }
    }

    /// Takes a record in, or says why it cannot follow; the run is unchanged then.
    fn offer(&mut self, record: Record) -> Result<(), String> {
        let at = Timestamp(self.now.0 + 1);
        let before = self.run.clone();
        match self.run.apply(1, &Entry { at, record }) {
            Ok(()) => {
                assert_eq!(self.run.next_seq, before.next_seq + 1);
                assert_eq!(self.run.updated, at);
                self.now = at;
                Ok(())
            }
            Err(illegal) => {
                assert_eq!(self.run, before, "it is as it was");
                assert_eq!(illegal.seq, before.next_seq);
                Err(illegal.to_string())
            }
        }
    }

    fn take(&mut self, record: Record) -> &mut Self {
        self.offer(record).unwrap();
        self
    }

    fn start(&mut self, step: u32) -> &mut Self {
        let attempt = self.run.steps[step as usize].attempts + 1;
        self.take(Record::Started { step, attempt })
    }

    fn end(&mut self, step: u32, output: &str) -> &mut Self {
        self.take(done(step, output))
    }

    fn did(&mut self, step: u32, output: &str) -> &mut Self {
        self.start(step).end(step, output)
    }

    fn fail(&mut self, step: u32, kind: FailureKind) -> &mut Self {
        self.take(failed(step, kind, None))
    }

    fn park(&mut self, why: ParkReason) -> &mut Self {
        self.take(Record::Parked { why })
    }

    fn order(&mut self, order: Order) -> &mut Self {
        self.take(ordered(order))
    }

    fn unwind(&mut self) -> &mut Self {
        self.take(unwinding())
    }

    fn undo(&mut self, step: u32) -> &mut Self {
        let attempt = self.run.steps[step as usize].undo_attempts + 1;
        self.take(Record::UndoStarted { step, attempt })
    }

    fn undone(&mut self, step: u32) -> &mut Self {
        let report = "undone".into();
        self.take(Record::Undone { step, report })
    }

    fn finish(&mut self, verdict: Verdict) -> &mut Self {
        self.take(Record::Finished { verdict })
    }

    /// Everything before production, with this answer to whether three is wanted.
    fn prepared(wants_three: &str) -> Bench {
        let mut bench = Bench::new();
        bench.did(LOOK, wants_three).did(WARN, "null");
        bench
    }

    /// What to do now, with these steps in flight.
    fn next(&self, in_flight: &[u32]) -> Next {
        next(&self.run, self.now, &set(in_flight))
    }
}

fn set(steps: &[u32]) -> BTreeSet<u32> {
    steps.iter().copied().collect()
}

fn done(step: u32, output: &str) -> Record {
    Record::Done {
        step,
        output: Payload::Inline(output.as_bytes().to_vec()),
    }
}

fn failed(step: u32, kind: FailureKind, retry_at: Option<Timestamp>) -> Record {
    Record::Failed {
        step,
        kind,
        failure: Failure::new("it broke"),
        retry_at,
    }
}

fn undo_failed(step: u32, retry_at: Option<Timestamp>) -> Record {
    Record::UndoFailed {
        step,
        kind: FailureKind::Failed,
        failure: Failure::new("it broke"),
        retry_at,
    }
}

fn ordered(order: Order) -> Record {
    Record::Ordered {
        order,
        by: me(),
        reason: "because".into(),
    }
}

fn unwinding() -> Record {
    Record::Unwinding {
        why: "it failed".into(),
    }
}

fn waiting(step: u32, who: &str, until: Option<Timestamp>, seen: u32) -> Record {
    let wait = Wait {
        who: who.into(),
        what: "a yes".into(),
        answer: (!who.is_empty()).then(|| Answer::choice(["yes", "no"])),
        until,
    };
    Record::Waiting { step, wait, seen }
}

fn answer(step: &str, id: &str) -> Record {
    Record::Signalled(Signal {
        step: step.into(),
        id: id.into(),
        by: me(),
        body: "{}".into(),
        at: Timestamp(1),
    })
}
