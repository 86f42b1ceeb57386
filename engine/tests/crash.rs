//! Kill a run at every point, with every step misbehaving in every way, and let the operator go on or turn back: the
//! world's own ledger says whether anything was lost, doubled or left behind.

use std::collections::BTreeMap;

use flow_engine::clock::Timestamp;
use flow_engine::driver::Stop;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::{ParkReason, Record, Verdict};
use flow_engine::run::{Run, append_order, append_signal};
use flow_engine::signal::{Actor, Order, Signal};
use flow_engine::sim::{Behaviour, SimStep, Simulation, World};

const KEYS: [&str; 6] = ["a/one", "a/two", "b/left", "b/right", "b/last", "c/end"];

fn plan(odd: usize, behaviour: Behaviour) -> Plan {
    let step = |i: usize| SimStep {
        behaviour: if i == odd {
            behaviour
        } else {
            Behaviour::Works
        },
        undoable: i != 1,
    };
    let mut p = Planner::new("sim", "1", "prod", "sim");
    p.phase("a", "before", OnFailure::Park, |p| {
        p.step(KEYS[0], step(0));
        p.step(KEYS[1], step(1));
    });
    p.phase("b", "in production", OnFailure::Rollback, |p| {
        p.parallel("both", |p| {
            p.step(KEYS[2], step(2));
            p.step(KEYS[3], step(3));
        });
        p.step(KEYS[4], step(4));
    });
    p.phase("c", "after", OnFailure::Rollback, |p| {
        p.step(KEYS[5], step(5));
    });
    p.finish().expect("a plan")
}

/// What the operator does with a run that rests, and between two lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    GoesOn,
    TurnsBack,
    TurnsBackAfterDeath,
}

#[derive(Clone, Copy)]
struct Case {
    odd: usize,
    behaviour: Behaviour,
    operator: Operator,
    kill_at: u64,
    kill_again_after: u64,
}

impl Case {
    fn name(&self) -> String {
        format!(
            "{} {:?}, operator {:?}, killed at {} and {} later",
            KEYS[self.odd], self.behaviour, self.operator, self.kill_at, self.kill_again_after
        )
    }
}

/// Plays a case to its end and returns how many kill points it passed.
async fn play(case: &Case) -> u64 {
    let world = World::dying_at(case.kill_at);
    let sim = Simulation::new(world.clone(), plan(case.odd, case.behaviour));
    let mut verdict = None;
    for life in 1..=20 {
        let stop = sim
            .live()
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", case.name()));
        if stop.is_none() && life == 1 {
            let again = if case.kill_again_after > 0 {
                world.ticks() + case.kill_again_after
            } else {
                0
            };
            world.die_at(again);
        } else if stop.is_none() {
            world.die_at(0);
        }
        let Some(mut run) = sim.run().await.expect("readable") else {
            continue;
        };
        match stop {
            Some(Stop::Finished(v)) => {
                verdict = Some(v);
                break;
            }
            None if life == 1
                && case.operator == Operator::TurnsBackAfterDeath
                && run.accepts(&Order::Rollback).is_ok() =>
            {
                order(&sim, &mut run, Order::Rollback).await;
            }
            None => {}
            Some(Stop::Parked(why)) => answer(&sim, &mut run, &why, case.operator).await,
            Some(Stop::WaitingForPeople) => say_yes(&sim, &mut run).await,
            Some(Stop::Interrupted) => panic!("{}: interrupted by nobody", case.name()),
        }
    }
    let verdict = verdict.unwrap_or_else(|| panic!("{}: no end after 20 lives", case.name()));
    check(&sim, verdict, case).await;
    world.ticks()
}

async fn answer(sim: &Simulation, run: &mut Run, why: &ParkReason, operator: Operator) {
    let back = operator != Operator::GoesOn && run.accepts(&Order::Rollback).is_ok();
    let what = match why {
        _ if back => Order::Rollback,
        ParkReason::Unknown { step } => {
            let key = run.plan.nodes[*step as usize].key.clone();
            Order::Settle {
                step: key,
                done: true,
            }
        }
        _ => Order::Retry,
    };
    order(sim, run, what).await;
}

async fn order(sim: &Simulation, run: &mut Run, order: Order) {
    let by = Actor {
        name: "operator".into(),
        from: "test".into(),
    };
    append_order(&*sim.journal, run, order, by, "because", Timestamp(1))
        .await
        .expect("accepted");
}

async fn say_yes(sim: &Simulation, run: &mut Run) {
    let waiting: Vec<u32> = run.waiting().map(|(step, _)| step).collect();
    for step in waiting {
        let key = run.plan.nodes[step as usize].key.clone();
        let by = Actor {
            name: "somebody".into(),
            from: "test".into(),
        };
        let signal = Signal {
            step: key,
            id: "yes".into(),
            by,
            body: "{}".into(),
            at: Timestamp(1),
        };
        append_signal(&*sim.journal, run, signal)
            .await
            .expect("accepted");
    }
}

async fn check(sim: &Simulation, verdict: Verdict, case: &Case) {
    let name = case.name();
    let run = sim.run().await.expect("readable").expect("there");
    let standing = sim.world.standing();
    match verdict {
        Verdict::Completed => {
            for key in KEYS {
                assert_eq!(
                    standing.get(key),
                    Some(&true),
                    "{name}: completed without `{key}`"
                );
            }
        }
        Verdict::RolledBack | Verdict::Cancelled => {
            for (key, stands) in &standing {
                let undoable = run.plan.node(key).is_some_and(|(_, n)| n.undo.is_some());
                assert!(!(undoable && *stands), "{name}: `{key}` was left behind");
            }
        }
        Verdict::RolledBackInPart => panic!("{name}: nobody gave up on anything"),
    }
    check_order(sim, &name);
    check_repetitions(sim, case);
    let entries = sim.entries().await.expect("readable");
    let taken_over = |e: &&flow_engine::record::Entry| !matches!(e.record, Record::Acquired { .. });
    let last = entries.iter().rev().find(taken_over).expect("a record");
    assert!(
        matches!(last.record, Record::Finished { .. }),
        "{name}: {last:?} after the end"
    );
    let mut prefix = Run::create(&sim.id, 0, &entries[0]).expect("creates");
    for entry in &entries[1..] {
        prefix
            .apply(0, entry)
            .unwrap_or_else(|e| panic!("{name}: a prefix does not replay: {e}"));
    }
    assert_eq!(flow_engine::audit::rows(&run).len(), KEYS.len());
}

/// Nothing is done after it was undone, and undo goes strictly backwards.
fn check_order(sim: &Simulation, name: &str) {
    let place = |key: &str| KEYS.iter().position(|k| *k == key).expect("a known key");
    let mut undone: Vec<usize> = Vec::new();
    for effect in sim.world.ledger() {
        let at = place(&effect.key);
        if effect.undo {
            assert!(
                undone.iter().all(|u| *u >= at),
                "{name}: `{}` undone out of order",
                effect.key
            );
            undone.push(at);
        } else {
            assert!(
                undone.is_empty(),
                "{name}: `{}` done after the undo began",
                effect.key
            );
        }
    }
}

/// An effect is repeated only by a retry, or once more by the life after a death.
fn check_repetitions(sim: &Simulation, case: &Case) {
    let mut times: BTreeMap<(String, bool), u64> = BTreeMap::new();
    for effect in sim.world.ledger() {
        *times.entry((effect.key, effect.undo)).or_default() += 1;
    }
    let deaths = u64::from(case.kill_at > 0) + u64::from(case.kill_again_after > 0);
    for ((key, undo), n) in times {
        let retried = key == KEYS[case.odd];
        let allowed = 1 + deaths + if retried { 3 } else { 0 };
        assert!(
            n <= allowed,
            "{}: `{key}` {} {n} times",
            case.name(),
            if undo { "undone" } else { "done" }
        );
    }
}

fn paused<F: Future>(body: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(body)
}

const BEHAVIOURS: [Behaviour; 8] = [
    Behaviour::Works,
    Behaviour::Fails,
    Behaviour::FailsOnce,
    Behaviour::Hangs,
    Behaviour::Asks,
    Behaviour::Waits,
    Behaviour::UndoFailsOnce,
    Behaviour::Panics,
];
const OPERATORS: [Operator; 3] = [
    Operator::GoesOn,
    Operator::TurnsBack,
    Operator::TurnsBackAfterDeath,
];

/// A step that hangs for good cannot be completed by retrying; there the operator turns back.
fn sensible(behaviour: Behaviour, operator: Operator) -> bool {
    behaviour != Behaviour::Hangs || operator == Operator::TurnsBack
}

#[test]
fn a_run_killed_at_any_point_ends_with_everything_done_once_or_everything_undone() {
    let mut cases = 0;
    for odd in 0..KEYS.len() {
        for behaviour in BEHAVIOURS {
            for operator in OPERATORS.into_iter().filter(|o| sensible(behaviour, *o)) {
                let alive = Case {
                    odd,
                    behaviour,
                    operator,
                    kill_at: 0,
                    kill_again_after: 0,
                };
                let ticks = paused(play(&alive));
                for kill_at in 1..=ticks {
                    paused(play(&Case { kill_at, ..alive }));
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 4000, "only {cases} deaths were tried");
}

#[test]
fn a_second_death_during_recovery_changes_nothing() {
    for behaviour in [Behaviour::Works, Behaviour::Fails, Behaviour::UndoFailsOnce] {
        for operator in OPERATORS {
            let alive = Case {
                odd: 4,
                behaviour,
                operator,
                kill_at: 0,
                kill_again_after: 0,
            };
            let ticks = paused(play(&alive));
            for kill_at in 1..=ticks {
                for kill_again_after in 1..=12 {
                    paused(play(&Case {
                        kill_at,
                        kill_again_after,
                        ..alive
                    }));
                }
            }
        }
    }
}
