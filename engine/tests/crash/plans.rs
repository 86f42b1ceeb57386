//! The plans that are tried: a small fixed family, and any number of generated ones.

use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::{Out, Planner};
use flow_engine::sim::{Behaviour, ODD, SimFlag, SimStep};

/// Splitmix64: small, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// Yes, once in `n`.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("it is small")]
    }
}

/// A plan of the fixed family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Two steps that change production.
    Small,
    /// Before, in, and after production, with two steps beside one another and one that cannot be undone.
    Release,
    /// Conditions that say yes and no.
    Conditional,
}

impl Family {
    pub(crate) const ALL: [Family; 3] = [Family::Small, Family::Release, Family::Conditional];

    /// The steps that may behave like this, and whether before their effect.
    pub(crate) fn odd_ones(self, behaviour: Behaviour) -> Vec<(&'static str, bool)> {
        let everywhere = matches!(
            behaviour,
            Behaviour::Fails | Behaviour::Asks | Behaviour::Unreached
        );
        match self {
            Family::Small if behaviour.can_be_early() => vec![("b/two", false), ("b/two", true)],
            Family::Small => vec![("b/two", false)],
            Family::Conditional => vec![("b/change", false)],
            Family::Release if everywhere => {
                vec![("a/one", false), ("b/left", false), ("c/end", false)]
            }
            Family::Release => vec![("b/left", false)],
        }
    }

    /// The plan in which one step is odd.
    pub(crate) fn plan(self, odd: &str, how: SimStep) -> Plan {
        let usual = SimStep::new(Behaviour::Works);
        let step = |key: &'static str| {
            let step = if key == odd { how } else { usual };
            SimStep {
                undoable: key != "a/two",
                talks: key == "b/last" || key == "b/change",
                ..step
            }
        };
        let mut p = Planner::new("sim", "1", "prod", "sim");
        match self {
            Family::Small => p.phase("b", "in production", OnFailure::Rollback, |p| {
                p.step("b/one", step("b/one"));
                p.step("b/two", step("b/two"));
            }),
            Family::Release => {
                p.phase("a", "before", OnFailure::Park, |p| {
                    p.step("a/one", step("a/one"));
                    p.step("a/two", step("a/two"));
                });
                p.phase("b", "in production", OnFailure::Rollback, |p| {
                    p.parallel("both", |p| {
                        p.step("b/left", step("b/left"));
                        p.step("b/right", step("b/right"));
                    });
                    p.step("b/last", step("b/last"));
                });
                p.phase("c", "after", OnFailure::Rollback, |p| {
                    p.step("c/end", step("c/end"));
                });
            }
            Family::Conditional => {
                let yes = p.phase("a", "before", OnFailure::Park, |p| {
                    let yes = p.step("a/yes", SimFlag { yes: true });
                    p.only_if(&yes, |p| {
                        p.step("a/rare", step("a/rare"));
                    });
                    yes
                });
                p.phase("b", "in production", OnFailure::Rollback, |p| {
                    let no = p.step("b/no", SimFlag { yes: false });
                    p.only_if(&no, |p| {
                        p.step("b/never", usual);
                    });
                    p.only_if(&yes, |p| {
                        p.step("b/change", step("b/change"));
                    });
                });
            }
        }
        renamed(p, Some(odd))
    }
}

/// Gives the odd step a kind of its own, which some binaries lack.
fn renamed(planner: Planner, odd: Option<&str>) -> Plan {
    let mut plan = planner.finish().expect("a plan");
    for node in &mut plan.nodes {
        if Some(node.key.as_str()) == odd {
            node.kind = ODD.into();
        }
    }
    plan
}

/// A plan of random steps and phases.
pub(crate) fn generated(dice: &mut Dice) -> Plan {
    let mut p = Planner::new("sim", "1", "prod", "sim");
    let mut flag: Option<Out<bool>> = None;
    let mut odd = None;
    let phases = 1 + dice.below(3);
    for phase in 0..phases {
        let on_failure = dice.pick(&[OnFailure::Park, OnFailure::Rollback, OnFailure::Rollback]);
        p.phase(&format!("p{phase}"), "a phase", on_failure, |p| {
            for unit in 0..=dice.below(3) {
                let name = format!("p{phase}/u{unit}");
                if dice.once_in(5) {
                    let yes = dice.once_in(2);
                    flag = Some(p.step(&name, SimFlag { yes }));
                    continue;
                }
                let width = dice.pick(&[1, 1, 1, 2, 3]);
                let mut body = |p: &mut Planner| {
                    for place in 0..width {
                        let key = format!("{name}.{place}");
                        p.step(&key, any_step(dice));
                        if odd.is_none() && dice.once_in(3) {
                            odd = Some(key);
                        }
                    }
                };
                let condition = flag.clone().filter(|_| unit % 2 == 1);
                match (&condition, width) {
                    (Some(flag), 1) => p.only_if(flag, body),
                    (Some(flag), _) => p.only_if(flag, |p| p.parallel(&name, body)),
                    (None, 1) => body(p),
                    (None, _) => p.parallel(&name, body),
                }
            }
        });
    }
    let mut plan = renamed(p, odd.as_deref());
    for node in &mut plan.nodes {
        node.policy.attempts = dice.pick(&[1, 2, 3]);
        node.policy.patience_s = dice.pick(&[0, 1, 4, 30]);
    }
    plan
}

fn any_step(dice: &mut Dice) -> SimStep {
    let behaviour = if dice.once_in(2) {
        Behaviour::Works
    } else {
        dice.pick(&Behaviour::ALL)
    };
    SimStep {
        behaviour,
        early: dice.once_in(3),
        undoable: !dice.once_in(4),
        talks: dice.once_in(4),
    }
}
