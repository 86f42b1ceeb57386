//! What is tried: which plans, operated by whom, and how a process can end.

use flow_engine::plan::Plan;
use flow_engine::signal::Order;
use flow_engine::sim::{Behaviour, Binary, Meddling, Point, SimStep};

use crate::plans::{Dice, Family};
use crate::play::{Case, Habit, Kill, Operator};

/// One plan and one operator, and how they are called.
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) plan: Plan,
    pub(crate) operator: Operator,
}

impl Setting {
    /// The case that nobody disturbs.
    pub(crate) fn case(&self) -> Case<'_> {
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
pub(crate) fn ends(point: Point, after: u64) -> Vec<Kill> {
    let kill = |keeps, breaks| Kill {
        after,
        keeps,
        breaks,
    };
    if point == Point::Written {
        vec![
            kill(false, false),
            kill(true, false),
            kill(after.is_multiple_of(2), true),
        ]
    } else {
        vec![kill(false, false)]
    }
}

pub(crate) fn named(kill: Kill) -> String {
    let end = if kill.breaks { "disk fails" } else { "killed" };
    let tail = if kill.keeps { ", tail kept" } else { "" };
    format!("{end} after {}{tail}", kill.after)
}

/// How far into a recovery the second death is tried, in kill points: taking the run, and the first steps of it.
pub(crate) const RECOVERY: usize = 12;
/// What the odd step does where two deaths are tried.
pub(crate) const TWICE: [Behaviour; 4] = [
    Behaviour::Works,
    Behaviour::Fails,
    Behaviour::Asks,
    Behaviour::UndoFailsOnce,
];
/// What it does where the next binary is another one.
pub(crate) const BINARIES_MATTER: [Behaviour; 3] =
    [Behaviour::Works, Behaviour::Waits, Behaviour::UndoFails];
pub(crate) const MEDDLING: [Meddling; 5] = [
    Meddling::Order(Order::Rollback),
    Meddling::Order(Order::Cancel),
    Meddling::Beside(Order::Rollback),
    Meddling::Beside(Order::Cancel),
    Meddling::Stop,
];
pub(crate) const HABITS: [Habit; 5] = [
    Habit::GoesOn,
    Habit::Retries,
    Habit::Waives,
    Habit::RollsBack,
    Habit::Cancels,
];

/// Everybody who may operate a plan of this family. The other binaries are tried where they can make a difference.
pub(crate) fn operators(family: Family, behaviour: Behaviour) -> Vec<Operator> {
    let plain = Operator {
        habit: Habit::GoesOn,
        shies: false,
        regrets: false,
        then: Binary::Same,
    };
    let shy = |habit| Operator {
        habit,
        shies: true,
        ..plain
    };
    let with = |habit, then| Operator {
        habit,
        then,
        ..plain
    };
    let mut all: Vec<Operator> = HABITS.map(|habit| Operator { habit, ..plain }).into();
    match family {
        Family::Release => {}
        Family::Conditional => all.extend([shy(Habit::RollsBack), shy(Habit::Cancels)]),
        Family::Small => {
            let regrets = true;
            all.extend([shy(Habit::RollsBack), Operator { regrets, ..plain }]);
        }
    }
    if family == Family::Small && BINARIES_MATTER.contains(&behaviour) {
        let lacking = Binary::Lacking;
        let then = lacking;
        all.extend([
            with(Habit::GoesOn, lacking),
            with(Habit::Waives, lacking),
            with(Habit::RollsBack, lacking),
            Operator {
                then,
                ..shy(Habit::RollsBack)
            },
            Operator {
                then,
                ..shy(Habit::Waives)
            },
            with(Habit::GoesOn, Binary::Upgraded),
            with(Habit::GoesOn, Binary::Incompatible),
        ]);
    }
    all
}

/// One plan, and everybody who may operate it.
pub(crate) fn settings(family: Family) -> Vec<Vec<Setting>> {
    let mut all = Vec::new();
    for behaviour in Behaviour::ALL {
        for (odd, early) in family.odd_ones(behaviour) {
            let how = SimStep {
                early,
                ..SimStep::new(behaviour)
            };
            let plan = family.plan(odd, how);
            let when = if early { "early " } else { "" };
            let by = |operator| Setting {
                name: format!("{family:?}, `{odd}` {when}{behaviour:?}, {operator:?}"),
                plan: plan.clone(),
                operator,
            };
            all.push(operators(family, behaviour).into_iter().map(by).collect());
        }
    }
    all
}

/// Any plan, any operator, up to three deaths, and somebody who meddles.
pub(crate) fn any(seed: u64, plan: &Plan, kills_within: u64) -> Case<'_> {
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
    let which = usize::try_from(dice.below(MEDDLING.len() as u64)).expect("small");
    let meddle = dice
        .once_in(3)
        .then(|| (1 + dice.below(kills_within), MEDDLING[which].clone()));
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
