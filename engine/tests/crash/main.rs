//! Kill a run at every point, with every step misbehaving in every way, and let the operator go on, turn back, or come
//! with another binary: the world's own ledger says whether anything was lost, doubled, invented or left behind.
//!
//! A violation prints the name of its case. `FLOW_SIM='<name>' cargo test -p flow-engine --test crash` plays only that
//! one; `FLOW_SIM_SEEDS=<n>` changes how many generated cases are played.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use flow_engine::plan::Plan;
use flow_engine::signal::Order;
use flow_engine::sim::{Behaviour, Binary, Meddling, Point, SimStep};

mod judge;
mod model;
mod plans;
mod play;

use plans::{Dice, Family, generated};
use play::{Case, Habit, Kill, Operator, Played, play};

/// What was tried, over all threads.
#[derive(Default)]
struct Tally {
    cases: AtomicU64,
    deaths: AtomicU64,
    second: AtomicU64,
    points: Mutex<BTreeMap<Point, u64>>,
    violations: Mutex<Vec<String>>,
    only: Option<String>,
}

/// One plan and one operator, and how they are called.
struct Setting {
    name: String,
    plan: Plan,
    operator: Operator,
}

fn paused<F: Future>(body: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(body)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no panic while it is held")
}

impl Tally {
    /// Plays a case, unless another one is asked for.
    fn play(&self, name: &str, case: &Case<'_>) -> Option<Played> {
        if self.only.as_ref().is_some_and(|only| only != name) {
            return None;
        }
        self.cases.fetch_add(1, Ordering::Relaxed);
        match paused(play(case)) {
            Ok(played) => {
                self.deaths.fetch_add(played.deaths, Ordering::Relaxed);
                self.second
                    .fetch_add(played.deaths.saturating_sub(1), Ordering::Relaxed);
                Some(played)
            }
            Err(why) => {
                lock(&self.violations).push(format!("{name}: {why}"));
                None
            }
        }
    }

    /// The kill points of a case that nobody disturbs.
    fn quiet(&self, setting: &Setting) -> Option<Played> {
        let case = setting.case();
        match paused(play(&case)) {
            Ok(played) => {
                let mut points = lock(&self.points);
                for point in &played.trace {
                    *points.entry(*point).or_default() += 1;
                }
                Some(played)
            }
            Err(why) => {
                lock(&self.violations).push(format!("{}: {why}", setting.name));
                None
            }
        }
    }

    fn gives_up(&self) -> bool {
        lock(&self.violations).len() >= 5
    }
}

impl Setting {
    fn case(&self) -> Case<'_> {
        Case {
            plan: &self.plan,
            operator: self.operator,
            kills: Vec::new(),
            meddle: None,
            greylist: 0,
        }
    }
}

/// How a process can end at a kill point: between write and sync, what was written may survive or not, and the disk
/// may fail instead.
fn ends(point: Point, after: u64) -> Vec<Kill> {
    let kill = |keeps, breaks| Kill {
        after,
        keeps,
        breaks,
    };
    if point == Point::Written {
        vec![
            kill(false, false),
            kill(true, false),
            kill(false, true),
            kill(true, true),
        ]
    } else {
        vec![kill(false, false)]
    }
}

fn named(kill: Kill) -> String {
    let end = if kill.breaks { "disk fails" } else { "killed" };
    let tail = if kill.keeps { ", tail kept" } else { "" };
    format!("{end} after {}{tail}", kill.after)
}

const HABITS: [Habit; 5] = [
    Habit::GoesOn,
    Habit::Retries,
    Habit::Waives,
    Habit::RollsBack,
    Habit::Cancels,
];

fn operators() -> Vec<Operator> {
    let plain = Operator {
        habit: Habit::GoesOn,
        shies: false,
        regrets: false,
        then: Binary::Same,
    };
    let mut all: Vec<Operator> = HABITS.map(|habit| Operator { habit, ..plain }).into();
    let shy = [Habit::RollsBack, Habit::Cancels];
    all.extend(shy.map(|habit| Operator {
        habit,
        shies: true,
        ..plain
    }));
    all.push(Operator {
        regrets: true,
        ..plain
    });
    let lacking = [Habit::GoesOn, Habit::Waives, Habit::RollsBack];
    all.extend(lacking.map(|habit| Operator {
        habit,
        then: Binary::Lacking,
        ..plain
    }));
    all.push(Operator {
        habit: Habit::RollsBack,
        shies: true,
        then: Binary::Lacking,
        ..plain
    });
    all.push(Operator {
        habit: Habit::Waives,
        shies: true,
        then: Binary::Lacking,
        ..plain
    });
    all.push(Operator {
        then: Binary::Upgraded,
        ..plain
    });
    all.push(Operator {
        then: Binary::Incompatible,
        ..plain
    });
    all
}

fn settings(families: &[Family]) -> Vec<Setting> {
    let mut all = Vec::new();
    for family in families.iter().copied() {
        for odd in family.keys() {
            for behaviour in Behaviour::ALL {
                let plain = SimStep::new(behaviour);
                let plan = family.plan(odd, plain);
                for operator in operators() {
                    let name = format!("{family:?}, `{odd}` {behaviour:?}, {operator:?}");
                    all.push(Setting {
                        name,
                        plan: plan.clone(),
                        operator,
                    });
                }
            }
        }
    }
    all
}

/// Whether this operator does anything that the plain one does not, when nobody dies.
fn matters(setting: &Setting, quiet: &Played) -> bool {
    let operator = setting.operator;
    let plain = operator.habit == Habit::GoesOn || quiet.needed;
    (plain || operator.shies) && (!operator.regrets || quiet.completed)
        || operator.then != Binary::Same
}

/// Spreads the work over the processors; each piece is deterministic by itself.
fn spread<T: Sync>(work: &[T], tally: &Tally, each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(4);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(piece) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if tally.gives_up() {
                        break;
                    }
                    each(piece);
                }
            });
        }
    });
}

fn a_death_at_every_point_loses_doubles_and_invents_nothing(tally: &Tally) {
    let work = settings(&Family::ALL);
    spread(&work, tally, |setting| {
        let Some(quiet) = tally.quiet(setting).filter(|quiet| matters(setting, quiet)) else {
            return;
        };
        for (after, point) in (1..).zip(&quiet.trace) {
            for kill in ends(*point, after) {
                let name = format!("{}, {}", setting.name, named(kill));
                tally.play(
                    &name,
                    &Case {
                        kills: vec![kill],
                        ..setting.case()
                    },
                );
            }
        }
    });
}

fn a_second_death_during_recovery_changes_nothing(tally: &Tally) {
    let work = settings(&[Family::Small]);
    spread(&work, tally, |setting| {
        let Some(quiet) = tally.quiet(setting).filter(|quiet| matters(setting, quiet)) else {
            return;
        };
        for (after, point) in (1..).zip(&quiet.trace) {
            for first in ends(*point, after) {
                let once = Case {
                    kills: vec![first],
                    ..setting.case()
                };
                let Ok(recovered) = paused(play(&once)) else {
                    continue;
                };
                let later = recovered
                    .trace
                    .iter()
                    .skip(usize::try_from(after).expect("small"));
                for (after, point) in (1..).zip(later).take(12) {
                    let second = ends(*point, after)
                        [usize::from(*point == Point::Written && after % 2 == 0)];
                    let name = format!("{}, {}, {}", setting.name, named(first), named(second));
                    tally.play(
                        &name,
                        &Case {
                            kills: vec![first, second],
                            ..setting.case()
                        },
                    );
                }
            }
        }
    });
}

fn an_order_or_a_stop_may_come_at_any_point(tally: &Tally) {
    let plain = |s: &Setting| s.operator.habit == Habit::GoesOn && s.operator.then == Binary::Same;
    let mut work = settings(&[Family::Release]);
    work.retain(|s| plain(s) && !s.operator.regrets && !s.operator.shies);
    spread(&work, tally, |setting| {
        let Some(quiet) = tally.quiet(setting) else {
            return;
        };
        for at in 1..=quiet.trace.len() as u64 {
            for what in [
                Meddling::Order(Order::Rollback),
                Meddling::Order(Order::Cancel),
                Meddling::Stop,
            ] {
                let name = format!("{}, {what:?} at {at}", setting.name);
                tally.play(
                    &name,
                    &Case {
                        meddle: Some((at, what)),
                        ..setting.case()
                    },
                );
            }
        }
    });
}

/// Any plan, any operator, up to three deaths, and somebody who meddles.
fn any(seed: u64, plan: &Plan, kills_within: u64) -> Case<'_> {
    let dice = &mut Dice(seed ^ 0x5eed);
    let kills = (0..dice.below(4))
        .map(|_| {
            let breaks = dice.once_in(8);
            Kill {
                after: 1 + dice.below(kills_within),
                keeps: dice.once_in(2),
                breaks,
            }
        })
        .collect();
    let orders = [
        Meddling::Order(Order::Rollback),
        Meddling::Order(Order::Cancel),
        Meddling::Stop,
    ];
    let which = usize::try_from(dice.below(3)).expect("small");
    let meddle = dice
        .once_in(3)
        .then(|| (1 + dice.below(kills_within), orders[which].clone()));
    let operator = Operator {
        habit: Habit::Fickle(seed),
        shies: dice.once_in(5),
        regrets: dice.once_in(3),
        then: dice.pick(&[
            Binary::Same,
            Binary::Same,
            Binary::Lacking,
            Binary::Upgraded,
            Binary::Incompatible,
        ]),
    };
    Case {
        plan,
        operator,
        kills,
        meddle,
        greylist: u32::try_from(dice.below(3)).expect("small"),
    }
}

fn any_plan_survives_anything(tally: &Tally) {
    let seeds = std::env::var("FLOW_SIM_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(6000);
    let work: Vec<u64> = (1..=seeds).collect();
    spread(&work, tally, |seed| {
        let plan = generated(&mut Dice(*seed));
        tally.play(&format!("seed {seed}"), &any(*seed, &plan, 60));
    });
}

fn the_same_seed_is_the_same_story(tally: &Tally) {
    for seed in 1..=100 {
        let plan = generated(&mut Dice(seed));
        let case = any(seed, &plan, 60);
        let name = format!("seed {seed}");
        if let (Some(a), Some(b)) = (tally.play(&name, &case), tally.play(&name, &case))
            && (a.ledger != b.ledger || a.entries != b.entries)
        {
            lock(&tally.violations).push(format!("{name}: two stories"));
        }
    }
}

type Section = (&'static str, fn(&Tally));

const SECTIONS: [Section; 5] = [
    (
        "a_death_at_every_point_loses_doubles_and_invents_nothing",
        a_death_at_every_point_loses_doubles_and_invents_nothing,
    ),
    (
        "a_second_death_during_recovery_changes_nothing",
        a_second_death_during_recovery_changes_nothing,
    ),
    (
        "an_order_or_a_stop_may_come_at_any_point",
        an_order_or_a_stop_may_come_at_any_point,
    ),
    ("any_plan_survives_anything", any_plan_survives_anything),
    (
        "the_same_seed_is_the_same_story",
        the_same_seed_is_the_same_story,
    ),
];

/// The planted panics are part of the story; all others are told.
fn hush_planted_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&"a planted panic") {
            usual(info);
        }
    }));
}

fn main() -> std::process::ExitCode {
    hush_planted_panics();
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str()));
    if std::env::args().any(|a| a == "--list") {
        return std::process::ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let tally = Tally {
        only: std::env::var("FLOW_SIM").ok(),
        ..Tally::default()
    };
    let (mut passed, mut failed) = (0, 0);
    let mut out = std::io::stderr();
    for (name, section) in SECTIONS.into_iter().filter(|(name, _)| wanted(name)) {
        let (before, since) = (tally.cases.load(Ordering::Relaxed), Instant::now());
        section(&tally);
        let cases = tally.cases.load(Ordering::Relaxed) - before;
        let violations = std::mem::take(&mut *lock(&tally.violations));
        let verdict = if violations.is_empty() {
            "ok"
        } else {
            "FAILED"
        };
        passed += u32::from(violations.is_empty());
        failed += u32::from(!violations.is_empty());
        let _ = writeln!(
            out,
            "test {name} ... {verdict} ({cases} cases, {:.1} s)",
            since.elapsed().as_secs_f64()
        );
        for violation in violations {
            let _ = writeln!(out, "  violation: {violation}");
        }
    }
    let points: u64 = lock(&tally.points).values().sum();
    let _ = writeln!(
        out,
        "crash simulation: {points} kill points, {} cases, {} deaths, {} of them during recovery, {failed} sections with violations",
        tally.cases.load(Ordering::Relaxed),
        tally.deaths.load(Ordering::Relaxed),
        tally.second.load(Ordering::Relaxed),
    );
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let _ = writeln!(
        out,
        "test result: {word}. {passed} passed; {failed} failed; finished in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    std::process::ExitCode::from(u8::from(failed > 0))
}
