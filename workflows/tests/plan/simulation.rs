//! The planned release, played: each of its steps ends badly in each way a step can, forward and backward, and what stands
//! afterwards is compared with a table.
//!
//! Keys, phases, groups, effects and undos are the real plan's. What the steps do is simulated: each has one effect, which
//! its undo takes back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use flow_engine::plan::{Effect, Node, OnFailure, Plan};
use flow_engine::record::ParkReason;
use flow_engine::retry::Policy;
use flow_engine::run::Life;
use flow_engine::sim::{Behaviour, Binary, SimStep, Simulation, What, World};
use flow_engine::step::Step as _;

use super::planned;

/// The ways in which a step ends badly going forward: evidence against the release, a gate's no, an outcome nobody knows,
/// and what could not be asked.
const FORWARD: [(&str, Behaviour); 4] = [
    ("failed", Behaviour::Fails),
    ("refused", Behaviour::Refuses),
    ("unknown", Behaviour::Asks),
    ("unreached", Behaviour::Unreached),
];
/// The same going backward. An undo is no gate.
const BACKWARD: [(&str, Behaviour); 3] = [
    ("failed", Behaviour::UndoFails),
    ("unknown", Behaviour::UndoAsks),
    ("unreached", Behaviour::UndoUnreached),
];

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    /// In a word, with the step it is about.
    how: String,
    /// The keys of the steps that were undone, in that order.
    undone: Vec<String>,
    /// The keys of the steps whose change stands.
    stands: Vec<String>,
}

/// The plan with simulated steps, which behave well except for one.
fn simulated(plan: &Plan, odd: &[(&str, Behaviour)]) -> Plan {
    let mut plan = plan.clone();
    for node in &mut plan.nodes {
        let behaviour = odd.iter().find(|(key, _)| *key == node.key);
        let step = SimStep {
            undoable: node.undo.is_some(),
            ..SimStep::new(behaviour.map_or(Behaviour::Works, |(_, behaviour)| *behaviour))
        };
        node.kind = SimStep::KIND.into();
        node.version = SimStep::VERSION;
        node.params = serde_json::to_value(step).expect("plain data");
        node.policy = Policy {
            timeout_s: 5,
            attempts: 2,
            pause_s: 1,
            pause_max_s: 1,
            patience_s: 4,
        };
    }
    plan
}

/// Plays the plan until it rests.
async fn play(plan: &Plan, odd: &[(&str, Behaviour)]) -> End {
    let world = World::new(None, 0);
    let plan = simulated(plan, odd);
    let simulation = Simulation::new(world, plan.clone());
    let stop = simulation.live(Binary::Same, None).await;
    assert!(stop.expect("the journal works").is_some(), "nobody died");
    let run = simulation.run().await.expect("it loads").expect("a run");
    let undone = simulation.world.ledger().into_iter().filter_map(|fact| {
        let What::UndoAnswered { step, answer, .. } = fact.what else {
            return None;
        };
        (answer == "ok").then_some(step)
    });
    let undone: Vec<String> = undone.collect();
    let done = simulation
        .world
        .ledger()
        .into_iter()
        .filter_map(|fact| match fact.what {
            What::Did { step, .. } => Some(step),
            _ => None,
        });
    let done: BTreeSet<String> = done.collect();
    // What an undo that did not succeed has left is not known: it counts as standing.
    let stands = |node: &&Node| {
        let changed = node.effect == Effect::Changes && done.contains(&node.key);
        changed && !undone.contains(&node.key)
    };
    let standing = plan.nodes.iter().filter(stands);
    End {
        how: in_a_word(&plan, &run.life),
        undone: undone.clone(),
        stands: standing.map(|node| node.key.clone()).collect(),
    }
}

fn in_a_word(plan: &Plan, life: &Life) -> String {
    let key = |step: &u32| plan.nodes[*step as usize].key.as_str();
    match life {
        Life::Finished { verdict, .. } => format!("{verdict:?}").to_lowercase(),
        Life::Parked { why, .. } => match why {
            ParkReason::StepFailed { .. } => "parks, failed".into(),
            ParkReason::Refused { .. } => "parks, refused".into(),
            ParkReason::Unknown { .. } => "parks, unknown".into(),
            ParkReason::Unreached { .. } => "parks, unreached".into(),
            ParkReason::UndoFailed { step } => format!("parks, not undone: {}", key(step)),
            ParkReason::UndoUnreached { step } => format!("parks, not reached: {}", key(step)),
            ParkReason::Unreadable { step, .. } => format!("parks, unreadable: {}", key(step)),
        },
        Life::Forward | Life::Unwinding(_) => "does not rest".into(),
    }
}

/// One row for each step; ways that end alike share a line. What stands is said against the row before, as it grows by a
/// step at a time.
fn table(rows: &[(String, Vec<(&str, End)>)]) -> String {
    let mut text = String::new();
    let mut before: Vec<String> = Vec::new();
    for (key, ends) in rows {
        let _infallible = writeln!(text, "{key}");
        let mut alike: BTreeMap<(&[String], &[String]), Vec<String>> = BTreeMap::new();
        for (kind, end) in ends {
            let ways = alike.entry((&end.undone, &end.stands)).or_default();
            ways.push(format!("{kind}: {}", end.how));
        }
        for ((undone, stands), ways) in &alike {
            let _infallible = writeln!(text, "    {}", ways.join("; "));
            if !undone.is_empty() {
                let _infallible = writeln!(text, "      undone: {}", undone.join(" "));
            }
            let _infallible = writeln!(text, "      stands: {}", said(stands, &before));
        }
        if let Some((_, stands)) = alike.keys().find(|(undone, _)| undone.is_empty()) {
            before = stands.to_vec();
        }
    }
    text
}

fn said(stands: &[String], before: &[String]) -> String {
    let more = stands.strip_prefix(before).filter(|_| !before.is_empty());
    match more {
        Some([]) => "as before".into(),
        Some(more) => format!("as before, and {}", more.join(" ")),
        None if stands.is_empty() => "nothing".into(),
        None => stands.join(" "),
    }
}

#[tokio::test(start_paused = true)]
async fn each_step_of_a_release_that_ends_badly_leaves_what_the_table_says() {
    let plan = planned("release");
    let mut rows = Vec::new();
    for node in &plan.nodes {
        let mut ends = Vec::new();
        for (kind, behaviour) in FORWARD {
            let end = play(&plan, &[(&node.key, behaviour)]).await;
            held_forward(&plan, node, kind, &end);
            ends.push((kind, end));
        }
        rows.push((node.key.clone(), ends));
    }
    insta::assert_snapshot!("forward", table(&rows));
}

/// What the table must not say of any step, whatever it says.
fn held_forward(plan: &Plan, node: &Node, kind: &str, end: &End) {
    let case = format!("{} {kind}: {end:?}", node.key);
    let rolls_back = end.how == "rolledback";
    if matches!(kind, "unknown" | "unreached") {
        assert!(!rolls_back && end.undone.is_empty(), "no evidence: {case}");
    }
    if plan.phase_of(node).on_failure == OnFailure::Park {
        assert!(!rolls_back, "production was not touched: {case}");
    }
    if rolls_back {
        let undo = |key: &String| plan.node(key).is_some_and(|(_, node)| node.undo.is_some());
        let left: Vec<_> = end.stands.iter().filter(|key| undo(key)).collect();
        assert!(left.is_empty(), "it has an undo and stands: {case}");
    }
    let place = |key: &String| plan.node(key).map(|(place, _)| place);
    let newest_first = end.undone.is_sorted_by(|a, b| place(a) > place(b));
    assert!(newest_first, "undone out of order: {case}");
}

#[tokio::test(start_paused = true)]
async fn each_undo_of_a_rolled_back_release_that_ends_badly_leaves_what_the_table_says() {
    let plan = planned("release");
    let last = ("prod/watch", Behaviour::Fails);
    let whole = play(&plan, &[last]).await;
    assert_eq!(whole.how, "rolledback");
    let mut rows = vec![(
        "(every undo works)".into(),
        vec![("prod/watch failed", whole.clone())],
    )];
    for key in &whole.undone {
        let mut ends = Vec::new();
        for (kind, behaviour) in BACKWARD {
            let odd: &[_] = if key == last.0 {
                &[(key.as_str(), behaviour)]
            } else {
                &[last, (key.as_str(), behaviour)]
            };
            let end = play(&plan, odd).await;
            let parked = end.how.starts_with("parks, not") && end.how.ends_with(key.as_str());
            assert!(
                parked,
                "a rollback goes past an undo that is not done: {key} {end:?}"
            );
            ends.push((kind, end));
        }
        rows.push((key.clone(), ends));
    }
    insta::assert_snapshot!("backward", table(&rows));
}

#[tokio::test(start_paused = true)]
async fn a_release_in_which_all_goes_well_is_completed_and_undoes_nothing() {
    let end = play(&planned("release"), &[]).await;
    assert_eq!((end.how.as_str(), end.undone.len()), ("completed", 0));
}
