//! What an operator is offered, over the states a run can be in.

use super::*;
use flow_engine::run::Life;
use flow_engine::run::options::{Act, AnswersOnRecord, Choice, Question};

fn options(bench: &Bench) -> Vec<Choice> {
    bench.run.options(&AnswersOnRecord::default())
}

/// What leads on, one word each; what is answered with its step.
fn leading(choices: &[Choice]) -> Vec<String> {
    let leading = choices.iter().filter(|choice| choice.leads_on);
    let words = leading.map(|choice| match &choice.act {
        Act::Answer(asked) => format!("answer {}", asked.step),
        Act::Resume => "resume".into(),
        Act::Export => "export".into(),
        Act::Order(Order::Settle { done, .. }) => format!("settle {done}"),
        Act::Order(order) => order.verb().into(),
    });
    words.collect()
}

fn unwound(kind: FailureKind) -> Bench {
    let mut bench = Bench::prepared("true");
    bench.start(ONE).start(TWO).unwind().undo(TWO);
    bench.take(Record::UndoFailed {
        step: TWO,
        kind,
        failure: Failure::new("it broke"),
        retry_at: None,
    });
    let why = if kind == FailureKind::Unreached {
        ParkReason::UndoUnreached { step: TWO }
    } else {
        ParkReason::UndoFailed { step: TWO }
    };
    bench.park(why);
    bench
}

fn stopped(kind: FailureKind, why: ParkReason) -> Bench {
    let mut bench = Bench::new();
    bench.start(LOOK).fail(LOOK, kind).park(why);
    bench
}

fn in_production(kind: FailureKind, why: ParkReason) -> Bench {
    let mut bench = Bench::prepared("true");
    bench.start(ONE).start(TWO).end(ONE, "1").fail(TWO, kind);
    bench.park(why);
    bench
}

fn finished(verdict: Verdict) -> Bench {
    let mut bench = Bench::prepared("true");
    bench.did(ONE, "1").did(TWO, "2");
    if verdict == Verdict::Completed {
        bench.did(THREE, "3").did(TELL, "4");
    } else {
        bench.unwind();
        for step in [TWO, ONE] {
            bench.undo(step).undone(step);
        }
    }
    bench.finish(verdict);
    bench
}

fn asking() -> Bench {
    let mut bench = Bench::new();
    bench.start(LOOK).take(waiting(LOOK, "qa", None, 0));
    bench
}

/// A name, a run, and what leads on from there.
fn states() -> Vec<(&'static str, Bench, &'static [&'static str])> {
    let step = LOOK;
    let unreadable = |step| ParkReason::Unreadable {
        step,
        why: "unknown".into(),
    };
    let mut begun = Bench::new();
    begun.start(LOOK);
    let mut changing = Bench::prepared("true");
    changing.start(ONE);
    let mut undoing = Bench::prepared("true");
    undoing.start(ONE).unwind();
    let mut lost = Bench::new();
    lost.park(unreadable(LOOK));
    vec![
        ("new", Bench::new(), &["resume"]),
        ("under way", begun, &["resume"]),
        ("production changes", changing, &["resume"]),
        ("asking", asking(), &["answer prep/look"]),
        ("undoing", undoing, &["resume"]),
        (
            "failed early",
            stopped(FailureKind::Failed, ParkReason::StepFailed { step }),
            &["retry", "cancel"],
        ),
        (
            "refused",
            stopped(FailureKind::Refused, ParkReason::Refused { step }),
            &["retry", "cancel"],
        ),
        (
            "unreached",
            stopped(FailureKind::Unreached, ParkReason::Unreached { step }),
            &["resume", "cancel"],
        ),
        ("unreadable", lost, &["resume", "cancel"]),
        (
            "unknown, settles not",
            stopped(FailureKind::Unknown, ParkReason::Unknown { step }),
            &["settle false", "cancel"],
        ),
        (
            "unknown in production",
            in_production(FailureKind::Unknown, ParkReason::Unknown { step: TWO }),
            &["settle true", "settle false", "rollback"],
        ),
        (
            "failed in production",
            in_production(FailureKind::Failed, ParkReason::StepFailed { step: TWO }),
            &["retry", "rollback"],
        ),
        (
            "undo failed",
            unwound(FailureKind::Failed),
            &["retry", "skip"],
        ),
        (
            "undo unreached",
            unwound(FailureKind::Unreached),
            &["resume", "skip"],
        ),
        (
            "completed",
            finished(Verdict::Completed),
            &["export", "rollback"],
        ),
        ("rolled back", finished(Verdict::RolledBack), &["export"]),
    ]
}

#[test]
fn every_state_offers_what_leads_on_from_there_and_nothing_else() {
    for (name, bench, wanted) in states() {
        assert_eq!(leading(&options(&bench)), wanted, "{name}");
    }
}

#[test]
fn an_order_is_among_the_options_exactly_when_the_run_accepts_it() {
    for (name, bench, _) in states() {
        let mut orders = vec![Order::Retry, Order::Rollback, Order::Cancel];
        for node in &bench.run.plan.nodes {
            let step = node.key.clone();
            orders.push(Order::Skip { step: step.clone() });
            orders.push(Order::Settle {
                step: step.clone(),
                done: true,
            });
            orders.push(Order::Settle { step, done: false });
        }
        let offered = options(&bench);
        for order in orders {
            let accepted = bench.run.accepts(&order).is_ok();
            let act = Act::Order(order);
            let times = offered.iter().filter(|choice| choice.act == act).count();
            assert_eq!(times, usize::from(accepted), "{name}: {act:?}");
        }
        assert!(offered[0].leads_on, "{name}: never nothing");
        let whys = offered.iter().all(|choice| !choice.why.is_empty());
        assert!(whys, "{name}");
    }
}

#[test]
fn what_is_answered_asks_for_a_driver_and_not_for_the_answer_again() {
    let mut bench = asking();
    bench.take(answer("prep/look", "a-1"));
    let answers = AnswersOnRecord {
        complete: BTreeSet::from([LOOK]),
        ..AnswersOnRecord::default()
    };
    let choices = bench.run.options(&answers);
    assert_eq!(leading(&choices), ["resume"]);
    assert!(choices[0].why.contains("`prep/look` is answered"));
}

#[test]
fn a_run_that_people_stopped_is_led_on_by_their_new_answer_before_a_retry() {
    let bench = stopped(FailureKind::Refused, ParkReason::Refused { step: LOOK });
    assert!(matches!(bench.run.life, Life::Parked { .. }));
    let again = Question {
        step: "prep/look".into(),
        who: "qa".into(),
        answer: Answer::choice(["yes", "no"]),
    };
    let answers = AnswersOnRecord {
        again: vec![again],
        ..AnswersOnRecord::default()
    };
    let choices = bench.run.options(&answers);
    assert_eq!(leading(&choices), ["answer prep/look", "retry", "cancel"]);
    assert!(choices[1].why.contains("without a new answer"));
}
