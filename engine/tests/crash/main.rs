//! Kill a run at every point, with every step misbehaving in every way, and let the operator go on, turn back, or come
//! with another binary: the world's own ledger says whether anything was lost, doubled, invented or left behind.
//!
//! A violation prints the name of its case. `FLOW_SIM='<name>' cargo test -p flow-engine --test crash` plays only that
//! one; `FLOW_SIM_SEEDS=<n>` changes how many generated cases are played.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flow_engine::sim::{Binary, Point};

macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds { return Err(format!($($words)+)); }
    };
}

mod cases;
mod judge;
mod model;
mod plans;
mod play;
mod tries;

use cases::{MEDDLING, RECOVERY, Setting, TWICE, any, ends, named, settings};
use plans::{Dice, Family, generated};
use play::{Case, Played, play};

/// What was tried, over all threads.
#[derive(Default)]
struct Tally {
    cases: AtomicU64,
    deaths: AtomicU64,
    second: AtomicU64,
    points: Mutex<BTreeMap<Point, u64>>,
    violations: Mutex<Vec<String>>,
    only: Option<String>,
    playing: Mutex<Vec<(String, Instant)>>,
}

/// A case takes milliseconds; one that takes this long goes round in circles without passing a kill point.
const LONGEST_CASE: Duration = Duration::from_mins(1);

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
        match self.watched(name, case) {
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

    /// Plays a case where [`Tally::watch`] sees it.
    fn watched(&self, name: &str, case: &Case<'_>) -> Result<Played, String> {
        lock(&self.playing).push((name.to_owned(), Instant::now()));
        let end = paused(play(case));
        lock(&self.playing).retain(|(other, _)| other != name);
        end
    }

    /// Ends the whole simulation with a violation when a case never ends: its thread cannot be stopped.
    fn watch(&self) {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let playing = lock(&self.playing);
            let stuck = |(_, since): &&(String, Instant)| since.elapsed() > LONGEST_CASE;
            if let Some((name, _)) = playing.iter().find(stuck) {
                let mut out = std::io::stderr();
                let _ = writeln!(out, "  violation: {name}: it goes round in circles");
                std::process::exit(1);
            }
        }
    }

    fn count(&self, point: Point) {
        *lock(&self.points).entry(point).or_default() += 1;
    }

    /// A case that nobody disturbs.
    fn quiet(&self, setting: &Setting) -> Option<Played> {
        let case = setting.case();
        match self.watched(&setting.name, &case) {
            Ok(played) => Some(played),
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

/// Those among the settings of one plan that lead somewhere of their own, with what happens when nobody dies.
fn distinct<'a>(tally: &Tally, settings: &'a [Setting]) -> Vec<(&'a Setting, Played)> {
    let mut all: Vec<(&Setting, Played)> = Vec::new();
    for setting in settings {
        let Some(quiet) = tally.quiet(setting) else {
            continue;
        };
        let operator = setting.operator;
        let waits_for_death = operator.shies || operator.then != Binary::Same;
        if waits_for_death || all.iter().all(|(_, known)| known.ledger != quiet.ledger) {
            all.push((setting, quiet));
        }
    }
    all
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
    let work: Vec<_> = Family::ALL.into_iter().flat_map(settings).collect();
    spread(&work, tally, |settings| {
        for (setting, quiet) in distinct(tally, settings) {
            for (after, point) in (1..).zip(&quiet.trace) {
                tally.count(*point);
                for kill in ends(*point, after) {
                    let name = format!("{}, {}", setting.name, named(kill));
                    let kills = vec![kill];
                    tally.play(
                        &name,
                        &Case {
                            kills,
                            ..setting.case()
                        },
                    );
                }
            }
        }
    });
}

fn a_second_death_during_recovery_changes_nothing(tally: &Tally) {
    let mut work = settings(Family::Small);
    for settings in &mut work {
        let twice = |s: &Setting| s.operator.then == Binary::Same && !s.operator.regrets;
        settings
            .retain(|s| twice(s) && TWICE.iter().any(|b| s.name.contains(&format!("` {b:?},"))));
    }
    spread(&work, tally, |settings| {
        for (setting, quiet) in distinct(tally, settings) {
            for (after, point) in (1..).zip(&quiet.trace) {
                let first = ends(*point, after)[0];
                let kills = vec![first];
                let case = Case {
                    kills,
                    ..setting.case()
                };
                let Ok(recovered) = tally.watched(&setting.name, &case) else {
                    continue;
                };
                let later = recovered
                    .trace
                    .iter()
                    .skip(usize::try_from(after).expect("small"));
                for (after, point) in (1..).zip(later).take(RECOVERY) {
                    let ends = ends(*point, after);
                    let second = ends[usize::try_from(first.after).expect("small") % ends.len()];
                    let name = format!("{}, {}, {}", setting.name, named(first), named(second));
                    let kills = vec![first, second];
                    tally.play(
                        &name,
                        &Case {
                            kills,
                            ..setting.case()
                        },
                    );
                }
            }
        }
    });
}

fn an_order_or_a_stop_may_come_at_any_point(tally: &Tally) {
    spread(&settings(Family::Conditional), tally, |settings| {
        let Some(quiet) = tally.quiet(&settings[0]) else {
            return;
        };
        for at in 1..=quiet.trace.len() as u64 {
            for what in MEDDLING {
                let name = format!("{}, {what:?} at {at}", settings[0].name);
                let meddle = Some((at, what));
                tally.play(
                    &name,
                    &Case {
                        meddle,
                        ..settings[0].case()
                    },
                );
            }
        }
    });
}

fn any_plan_survives_anything(tally: &Tally) {
    let seeds = std::env::var("FLOW_SIM_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(3000);
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
        // As `cargo nextest` asks; none of them is ignored.
        if !std::env::args().any(|a| a == "--ignored") {
            for (name, _) in SECTIONS {
                let _ = writeln!(std::io::stdout(), "{name}: test");
            }
        }
        return std::process::ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let tally: &'static Tally = Box::leak(Box::new(Tally {
        only: std::env::var("FLOW_SIM").ok(),
        ..Tally::default()
    }));
    std::thread::spawn(|| tally.watch());
    let (mut passed, mut failed, mut found) = (0, 0, 0);
    let mut out = std::io::stderr();
    for (name, section) in SECTIONS.into_iter().filter(|(name, _)| wanted(name)) {
        let (before, since) = (tally.cases.load(Ordering::Relaxed), Instant::now());
        section(tally);
        let cases = tally.cases.load(Ordering::Relaxed) - before;
        let violations = std::mem::take(&mut *lock(&tally.violations));
        let verdict = if violations.is_empty() {
            "ok"
        } else {
            "FAILED"
        };
        passed += u32::from(violations.is_empty());
        failed += u32::from(!violations.is_empty());
        found += violations.len();
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
        "crash simulation: {points} kill points, {} cases; {} deaths, {} of them in a life that recovered from one; {found} violations",
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
